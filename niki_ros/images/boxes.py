"""Boxes x0, y0, x1, y1 in pixels of an image."""

from __future__ import annotations

import numpy as np


def overlap(a, b) -> float:
    """Intersection over union of two boxes x0 y0 x1 y1."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (size <= 0).any():
        return 0.0
    shared = float(size.prod())
    return shared / float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - shared)


def share_within(a, b) -> float:
    """Return how much of the smaller of two boxes x0 y0 x1 y1 lies in the other, 0 … 1."""
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    if (size <= 0).any():
        return 0.0
    return float(size.prod()) / min(float((a[2:] - a[:2]).prod()), float((b[2:] - b[:2]).prod()))
