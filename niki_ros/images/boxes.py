"""Checks and overlap of boxes (4,) x0, y0, x1, y1, pixels."""

from niki_ros.common.errors import InputError
import numpy as np


def checked_box(box_px) -> np.ndarray:
    """Return a valid box (4,) x0, y0, x1, y1, pixels, as float64, or raise :class:`InputError`."""
    box = np.asarray(box_px, dtype=np.float64)
    if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
        raise InputError(f'box is {box.tolist()}; expected x0 < x1 and y0 < y1, pixels')
    return box


def overlap(a, b) -> float:
    """Return the intersection over union of two boxes (4,) x0, y0, x1, y1."""
    shared = _intersection(a, b)
    if not shared:
        return 0.0
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def share_within(a, b) -> float:
    """Return the share, 0 … 1, of the smaller box (4,) that lies in the other one."""
    shared = _intersection(a, b)
    if not shared:
        return 0.0
    return shared / min(float((a[2:] - a[:2]).prod()), float((b[2:] - b[:2]).prod()))


def are_near(a, b) -> bool:
    """Return whether the middles of two boxes (4,) are closer than their longest side."""
    apart = np.linalg.norm(a[:2] + a[2:] - b[:2] - b[2:]) / 2
    return bool(apart < max((a[2:] - a[:2]).max(), (b[2:] - b[:2]).max()))


def _intersection(a, b) -> float:
    """Return the area that two boxes (4,) share, square pixels."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return 0.0 if (size <= 0).any() else float(size.prod())
