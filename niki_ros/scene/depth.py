"""Distance of a person by a depth image that is aligned with the colour image."""

from dataclasses import dataclass
from typing import Optional, Tuple

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
import numpy as np

TRUNK_CORNERS = [JOINT[name] for name in (
    'left_shoulder', 'right_shoulder', 'left_hip', 'right_hip')]
"""Joints between which the surface of the trunk is measured."""


@dataclass(frozen=True)
class DepthNumbers:
    """Numbers of :func:`depth_z_offset_m`."""

    range_m: Tuple[float, float] = (0.2, 30.0)  # of depths that are used
    surface_m: float = 0.11  # from the surface of the trunk, which is measured, to its joints
    grid_count: int = 12  # samples across and down the trunk
    edge_ratio: float = 0.15  # of the trunk's width and height, left out at each edge
    max_deviation_m: float = 0.25  # from the median; beyond are an arm in front, or background
    min_samples_ratio: float = 0.3  # of the samples that must be measured, and near the median


def checked_depth(depth, width: int, height: int) -> np.ndarray:
    """
    Return a depth image (h, w) float32, metres, 0 where nothing was measured.

    :param depth: (h, w) float metres or uint16 millimetres, of any resolution, aligned with the
        image of ``width`` × ``height`` pixels.
    :raises InputError: for another shape or type, or another aspect ratio than the image's.
    """
    depth = np.asarray(depth)
    if depth.ndim != 2 or 0 in depth.shape or depth.dtype.kind not in 'fu':
        raise InputError(f'depth is {depth.dtype} {depth.shape}; expected (H, W) of float metres '
                         'or uint16 millimetres')
    if abs(depth.shape[1] * height - depth.shape[0] * width) > 0.01 * depth.shape[1] * height:
        raise InputError(f'depth is {depth.shape[1]}x{depth.shape[0]}, the image '
                         f'{width}x{height}: another shape; register the depth to the image')
    scale = 1.0 if depth.dtype.kind == 'f' else 1e-3
    return depth.astype(np.float32) * np.float32(scale)


def depth_z_offset_m(depth_m, image_size, keypoints_px, joints_m, hidden,
                     numbers: DepthNumbers = DepthNumbers()) -> Optional[float]:
    """
    Return how far to move the body along the camera's z axis, metres, so that the trunk fits.

    :param depth_m: (h, w), 0 or NaN where nothing was measured. :param image_size: width and
        height of the colour image, pixels. :param keypoints_px: (29, 2) in the colour image.
    :param joints_m: (29, 3), optical frame. :param hidden: (29,) bool, True where not seen.
    :return: None where too little of the trunk is seen or measured.
    """
    corners = np.asarray(keypoints_px, dtype=np.float64)[TRUNK_CORNERS]
    if np.asarray(hidden)[TRUNK_CORNERS].any() or not np.isfinite(corners).all():
        return None
    steps = np.linspace(numbers.edge_ratio, 1 - numbers.edge_ratio, numbers.grid_count)
    across, down = np.meshgrid(steps, steps)
    weights = np.stack([(1 - across) * (1 - down), across * (1 - down),
                        (1 - across) * down, across * down], axis=-1).reshape(-1, 4)
    measured = _depth_at(depth_m, weights @ corners, image_size)
    expected = weights @ np.asarray(joints_m)[TRUNK_CORNERS, 2] - numbers.surface_m
    low, high = numbers.range_m
    valid = np.isfinite(measured) & (measured > low) & (measured < high)
    min_samples = numbers.min_samples_ratio * len(weights)
    if valid.sum() < min_samples:
        return None
    offset = (measured - expected)[valid]
    near = np.abs(offset - np.median(offset)) < numbers.max_deviation_m
    return float(np.median(offset[near])) if near.sum() >= min_samples else None


def _depth_at(depth_m, pixels, image_size) -> np.ndarray:
    """Return the depth (n,) at positions (n, 2) in the colour image; NaN outside."""
    height, width = depth_m.shape
    scale = np.array([width, height]) / np.asarray(image_size, dtype=np.float64)
    column, row = np.floor(pixels * scale).astype(np.int64).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    out = np.full(len(pixels), np.nan)
    out[inside] = depth_m[row[inside], column[inside]]
    return out


def moved_along_ray(root_m, z_offset_m: float) -> np.ndarray:
    """Return the root (3,) on the same ray, ``z_offset_m`` farther along the camera's z axis."""
    root_m = np.asarray(root_m, dtype=np.float64)
    return root_m * max((root_m[2] + z_offset_m) / root_m[2], 0.05)
