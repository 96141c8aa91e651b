"""Masking of other people in an image."""

from __future__ import annotations

import numpy as np

# kept around a person's own box, over its size
_OWN_MARGIN_RATIO = 0.04


def mask_other_people(image_rgb, own_px, others_px) -> np.ndarray:
    """
    Return the image (H, W, 3) uint8 with the boxes of other people in one colour.

    That is the mean colour of the person who stays.

    :param own_px: (4,) x0, y0, x1, y1 of that person. :param others_px: boxes (4,).
    """
    height, width = image_rgb.shape[:2]
    margin = _OWN_MARGIN_RATIO * (np.asarray(own_px[2:]) - own_px[:2])
    own = _slices([*(own_px[:2] - margin), *(own_px[2:] + margin)], width, height)
    masked = image_rgb.copy()
    colour = image_rgb[own].reshape(-1, 3).mean(axis=0).astype(np.uint8)
    for box in others_px:
        masked[_slices(box, width, height)] = colour
    masked[own] = image_rgb[own]
    return masked


def _slices(box_px, width: int, height: int) -> tuple:
    """Return rows and columns of a box, at least one of each."""
    x0, y0, x1, y1 = (int(value) for value in box_px)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return slice(y0, max(min(y1, height), y0 + 1)), slice(x0, max(min(x1, width), x0 + 1))
