"""
What a network that sees only a crop can know, and how the camera completes it.

Seen in the middle of a crop, a person looks as from a camera that points there: poses are given in
that camera's axes, turned by the crop's viewing ray. Where the pelvis is takes three numbers: its
place in the crop, and how large the crop is at its distance.
"""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.rotations import swing_rotmat
from niki_ros.observers.crop import Crop
from niki_ros.scene.camera import Camera
import numpy as np

MIN_DEPTH_M = 0.1


@dataclass(frozen=True)
class CropView:
    """
    A crop of a camera's image.

    :param camera_from_view: (3, 3) turns the axes of a camera that points at the middle of the
        crop into those of the real one.
    :param crops: how many times the crop's width fits into one radian at its middle: a crop of
        side s at distance z shows z / crops metres.
    """

    crop: Crop
    camera: Camera
    camera_from_view: np.ndarray
    crops: float

    @classmethod
    def of(cls, crop: Crop, camera: Camera) -> CropView:
        """Return the view of ``crop`` in an image of ``camera``."""
        ray = camera.rays(crop.center_px)
        focal = np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])
        # away from the optical axis a pinhole magnifies by 1 / cos across and 1 / cos² outwards
        magnified = np.linalg.norm(ray)**1.5
        turn = swing_rotmat(np.array([0.0, 0.0, 1.0]), ray)
        return cls(crop, camera, turn, float(focal * magnified / crop.side_px))

    def root_m(self, uv, log_scale: float) -> np.ndarray:
        """
        Return the pelvis (3,) in the camera's axes, metres.

        :param uv: (2,) its place in the crop, -0.5 … 0.5.
        :param log_scale: log of how many crops fit into one metre at its distance.
        """
        ray = self.camera.rays(self.crop.image_from_uv(uv))
        depth = max(self.crops / float(np.exp(log_scale)), MIN_DEPTH_M)
        return ray * (depth / max(float(ray @ self.camera_from_view[:, 2]), 0.1))

    def place_of(self, root_m) -> tuple:
        """Invert :meth:`root_m`: (2,) uv and the log of the scale."""
        uv = (self.camera.project(root_m) - self.crop.center_px) / self.crop.side_px
        return uv, float(np.log(self.crops / (root_m @ self.camera_from_view[:, 2])))

    def projection(self) -> np.ndarray:
        """Return (3, 3) from points in the view's axes to uv of the crop; without distortion."""
        side, (x, y) = self.crop.side_px, self.crop.center_px
        share = np.array([[1, 0, -x], [0, 1, -y], [0, 0, side]]) / side
        return share @ self.camera.matrix @ self.camera_from_view
