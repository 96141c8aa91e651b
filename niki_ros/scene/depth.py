"""The distance of a person from a depth image that is aligned with the colour image."""

from __future__ import annotations

from typing import Optional

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
import numpy as np

RANGE_M = (0.2, 30.0)
_CORNERS = [JOINT[name] for name in ('left_shoulder', 'right_shoulder', 'left_hip', 'right_hip')]
# a depth camera sees the surface of the trunk, the joints lie about so far behind it
SURFACE_M = 0.11
_GRID = 12
_EDGE = 0.15     # of the trunk's width and height, left out at the edges
_GROSS_M = 0.25  # from the median: an arm in front, or what is seen past the body
_LEAST_SHARE = 0.3


def checked_depth(depth, width: int, height: int) -> np.ndarray:
    """
    Return a depth image in metres, (h, w) float32, 0 where nothing was measured.

    :param depth: (h, w) float metres or uint16 millimetres, of the image of ``width`` ×
        ``height`` or that image reduced or enlarged.
    :raises InputError: for another form, or another shape than the image's.
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


def depth_z_offset_m(depth_m, image_size, keypoints_px, joints_m, hidden) -> Optional[float]:
    """
    How much farther (m, along the camera's axis) the body is than it was put.

    The trunk is sampled between shoulders and hips; what is not measured and what lies far from
    the median is left out.

    :param depth_m: (h, w) metres, 0 or NaN = nothing. :param image_size: width, height, pixels.
    :param keypoints_px: (29, 2) image positions. :param joints_m: (29, 3) in the optical frame.
    :param hidden: (29,) joints not seen.
    :return: None where too little of the trunk is seen or measured.
    """
    corners = np.asarray(keypoints_px, dtype=np.float64)[_CORNERS]
    if np.asarray(hidden)[_CORNERS].any() or not np.isfinite(corners).all():
        return None
    across, down = np.meshgrid(*[np.linspace(_EDGE, 1 - _EDGE, _GRID)] * 2)
    weights = np.stack([(1 - across) * (1 - down), across * (1 - down),
                        (1 - across) * down, across * down], axis=-1).reshape(-1, 4)
    measured = _at(depth_m, weights @ corners, image_size)
    expected = weights @ np.asarray(joints_m)[_CORNERS, 2] - SURFACE_M
    good = np.isfinite(measured) & (measured > RANGE_M[0]) & (measured < RANGE_M[1])
    if good.sum() < _LEAST_SHARE * len(weights):
        return None
    shift = (measured - expected)[good]
    near = np.abs(shift - np.median(shift)) < _GROSS_M
    if near.sum() < _LEAST_SHARE * len(weights):
        return None
    return float(np.median(shift[near]))


def _at(depth_m, pixels, image_size) -> np.ndarray:
    """Return the depth (n,) at image positions (n, 2); NaN outside."""
    height, width = depth_m.shape
    scale = np.array([width, height]) / np.asarray(image_size, dtype=np.float64)
    column, row = np.floor(pixels * scale).astype(np.int64).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    out = np.full(len(pixels), np.nan)
    out[inside] = depth_m[row[inside], column[inside]]
    return out


def moved_along_ray(root_m, shift_m: float) -> np.ndarray:
    """Return the root (3,) on the same ray, ``shift_m`` farther along the camera's axis."""
    root_m = np.asarray(root_m, dtype=np.float64)
    return root_m * max((root_m[2] + shift_m) / root_m[2], 0.05)
