"""A square crop of an image, with conversions between crop, image and camera."""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.images.boxes import checked_box
from niki_ros.scene.camera import Camera
import numpy as np

SIZE_PX = 256
MARGIN = 1.25  # side of a crop over the longer side of the box: moving hands and feet stay inside
_MIN_SIDE_PX = 8.0


@dataclass(frozen=True)
class Crop:
    """A square of the image that is sampled at ``SIZE_PX`` × ``SIZE_PX`` pixels."""

    center_px: np.ndarray  # (2,) in the image
    side_px: float  # in the image

    @classmethod
    def around(cls, box_px, margin: float = MARGIN) -> Crop:
        """Return the square around a box (4,) x0, y0, x1, y1, pixels, that is checked."""
        box = checked_box(box_px)
        side = max(float((box[2:] - box[:2]).max()) * margin, _MIN_SIDE_PX)
        return cls((box[:2] + box[2:]) / 2, side)

    def image_from_crop(self, crop_px) -> np.ndarray:
        """Return pixels of the image (..., 2) of pixels of the crop (..., 2)."""
        scale = self.side_px / SIZE_PX
        return self.center_px + (np.asarray(crop_px) - SIZE_PX / 2) * scale

    def crop_from_image(self, image_px) -> np.ndarray:
        """Return pixels of the crop (..., 2) of pixels of the image (..., 2)."""
        scale = SIZE_PX / self.side_px
        return (np.asarray(image_px) - self.center_px) * scale + SIZE_PX / 2

    def image_from_uv(self, uv) -> np.ndarray:
        """Return pixels of the image (..., 2) of uv (..., 2), -0.5 … 0.5 from edge to edge."""
        return self.center_px + np.asarray(uv) * self.side_px

    def sample(self, image_rgb: np.ndarray, size_px: int = SIZE_PX) -> np.ndarray:
        """Return the crop (size, size, 3) float32, 0 … 255, bilinear; black outside the image."""
        grid = np.arange(size_px) * (SIZE_PX / size_px)
        across, down = self.image_from_crop(np.stack([grid, grid], axis=-1)).T
        height, width = image_rgb.shape[:2]
        rows, row_weights = _neighbours(down, height)
        columns, column_weights = _neighbours(across, width)
        # rows first, because they are contiguous in memory
        picked = np.einsum('kr,krxc->rxc', row_weights, image_rgb[rows].astype(np.float32))
        return np.einsum('kx,rkxc->rxc', column_weights, picked[:, columns])


def joints_from_uvd(uvd, crop: Crop, camera: Camera, camera_scale: float, depth_m: float):
    """
    Return joints (29, 3) in the camera's optical frame, metres, and their pixels (29, 2).

    :param uvd: (29, 3) u, v: -0.5 … 0.5 across and down the crop; d: depth over ``depth_m``.
    :param camera_scale: widths of the crop per metre at the person's distance.
    """
    pixels = crop.image_from_uv(np.asarray(uvd)[:, :2])
    focal = np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])
    distance = focal / (crop.side_px * camera_scale)
    depth = np.maximum(distance + np.asarray(uvd)[:, 2] * depth_m, 0.05)
    return camera.rays(pixels) * depth[:, None], pixels


def _neighbours(at: np.ndarray, size: int) -> tuple:
    """Return the two indices (2, n) next to each position (n,), and their weights (2, n)."""
    low = np.floor(at).astype(np.int64)
    index = np.stack([low, low + 1])
    share = (at - low).astype(np.float32)
    weight = np.stack([1 - share, share])
    return np.clip(index, 0, size - 1), np.where((index >= 0) & (index < size), weight, 0)
