"""A square of an image for a network, and the way back: crop ↔ image ↔ camera."""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.images.boxes import checked_box
from niki_ros.scene.camera import Camera
import numpy as np

SIZE_PX = 256
MARGIN = 1.25
"""A person's box is enlarged by this, so that hands and feet that move stay inside."""
_MIN_SIDE_PX = 8.0


@dataclass(frozen=True)
class Crop:
    """
    A square of the image, sampled at ``SIZE_PX`` × ``SIZE_PX``.

    :param center_px: (2,) of the square in the image. :param side_px: of the square in the image.
    """

    center_px: np.ndarray
    side_px: float

    @classmethod
    def around(cls, box_px, margin: float = MARGIN) -> Crop:
        """
        Return the square around a box (x0, y0, x1, y1).

        :raises InputError: when the box is empty or not finite.
        """
        box = checked_box(box_px)
        side = max(float((box[2:] - box[:2]).max()) * margin, _MIN_SIDE_PX)
        return cls((box[:2] + box[2:]) / 2, side)

    def image_from_crop(self, crop_px) -> np.ndarray:
        """Return image pixels (..., 2) of pixels in the crop."""
        scale = self.side_px / SIZE_PX
        return self.center_px + (np.asarray(crop_px) - SIZE_PX / 2) * scale

    def crop_from_image(self, image_px) -> np.ndarray:
        """Return pixels in the crop (..., 2) of image pixels."""
        scale = SIZE_PX / self.side_px
        return (np.asarray(image_px) - self.center_px) * scale + SIZE_PX / 2

    def image_from_uv(self, uv) -> np.ndarray:
        """Return image pixels (..., 2) of shares of the crop, -0.5 … 0.5 from its centre."""
        return self.center_px + np.asarray(uv) * self.side_px

    def sample(self, image_rgb: np.ndarray, size_px: int = SIZE_PX) -> np.ndarray:
        """Return (size, size, 3) float32, 0 … 255, bilinear; black outside the image."""
        grid = np.arange(size_px) * (SIZE_PX / size_px)
        across, down = self.image_from_crop(np.stack([grid, grid], axis=-1)).T
        height, width = image_rgb.shape[:2]
        rows, row_weights = _neighbours(down, height)
        columns, column_weights = _neighbours(across, width)
        # the rows first: they lie together in memory
        picked = np.einsum('kr,krxc->rxc', row_weights, image_rgb[rows].astype(np.float32))
        return np.einsum('kx,rkxc->rxc', column_weights, picked[:, columns])


def joints_from_uvd(uvd, crop: Crop, camera: Camera, camera_scale: float, depth_m: float):
    """
    Put joints of a crop in front of the camera that took the image.

    The network sees no camera; it says how large the crop is where the person stands: 1 /
    ``camera_scale`` metres. The focal length turns that into the distance.

    :param uvd: (29, 3) shares of the crop across, down and, times ``depth_m``, in depth.
    :return: joints (29, 3) in the camera's axes, metres, and their pixels (29, 2) in the image.
    """
    pixels = crop.image_from_uv(np.asarray(uvd)[:, :2])
    focal = np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])
    distance = focal / (crop.side_px * camera_scale)
    depth = np.maximum(distance + np.asarray(uvd)[:, 2] * depth_m, 0.05)
    return camera.rays(pixels) * depth[:, None], pixels


def _neighbours(at: np.ndarray, size: int) -> tuple:
    """Return the two indices (2, n) beside each position and their weights, 0 outside."""
    low = np.floor(at).astype(np.int64)
    index = np.stack([low, low + 1])
    share = (at - low).astype(np.float32)
    weight = np.stack([1 - share, share])
    return np.clip(index, 0, size - 1), np.where((index >= 0) & (index < size), weight, 0)
