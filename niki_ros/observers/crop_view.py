"""
Conversion between the output of a network whose input is a crop, and metres.

Poses are in the axes of a camera that points at the middle of the crop: a person in the crop looks
as from there. The pelvis is given by uv in the crop, and the size of the crop at its distance.
"""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.rotations import swing_rotmat
from niki_ros.observers.crop import Crop
from niki_ros.scene.camera import Camera
import numpy as np

_MIN_DEPTH_M = 0.1


@dataclass(frozen=True)
class CropView:
    """A crop of a camera's image."""

    crop: Crop
    camera: Camera
    # (3, 3) from the axes of a camera that points at the middle of the crop to the camera's
    camera_from_view: np.ndarray
    crops: float  # widths of the crop per radian: at distance z it is z / crops metres wide

    @classmethod
    def of(cls, crop: Crop, camera: Camera) -> CropView:
        """Return the view of ``crop`` in an image of ``camera``."""
        ray = camera.rays(crop.center_px)
        focal = np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])
        # off the optical axis a pinhole magnifies by 1 / cos tangentially, by 1 / cos² radially
        magnification = np.linalg.norm(ray)**1.5
        camera_from_view = swing_rotmat(np.array([0.0, 0.0, 1.0]), ray)
        return cls(crop, camera, camera_from_view, float(focal * magnification / crop.side_px))

    def root_m(self, uv, log_scale: float) -> np.ndarray:
        """
        Return the pelvis (3,) in the camera's optical frame, metres.

        :param uv: (2,) in the crop, -0.5 … 0.5. :param log_scale: logarithm of the widths of the
            crop per metre at the distance of the pelvis.
        """
        ray = self.camera.rays(self.crop.image_from_uv(uv))
        depth = max(self.crops / float(np.exp(log_scale)), _MIN_DEPTH_M)
        return ray * (depth / max(float(ray @ self.camera_from_view[:, 2]), 0.1))

    def uv_and_log_scale(self, root_m) -> tuple:
        """Return uv (2,) and log_scale of a pelvis (3,): the inverse of :meth:`root_m`."""
        uv = (self.camera.project(root_m) - self.crop.center_px) / self.crop.side_px
        return uv, float(np.log(self.crops / (root_m @ self.camera_from_view[:, 2])))

    def projection(self) -> np.ndarray:
        """Return the projection (3, 3) from the view's axes to uv, without distortion."""
        side, (x, y) = self.crop.side_px, self.crop.center_px
        share = np.array([[1, 0, -x], [0, 1, -y], [0, 0, side]]) / side
        return share @ self.camera.matrix @ self.camera_from_view
