"""People painted over in an image."""

import cv2
import numpy as np

_MAX_PX = 30_000  # OpenCV draws nothing right that is further outside


def paint_body(image, bones_px, trunk_px, head_px, thickness_px: float, head_radius_px: float,
               colour) -> None:
    """
    Fill bones (n, 2, 2), the trunk (4, 2) and the head (2,) in an image, in place.

    Parts with a corner that is NaN or far outside the image are left out.

    :param image: (H, W) or (H, W, 3) uint8, contiguous. :param colour: a number, or three.
    """
    width = max(round(thickness_px), 1)
    if _is_drawable(trunk_px):
        cv2.fillConvexPoly(image, cv2.convexHull(np.asarray(trunk_px).astype(np.int32)), colour)
    for ends in bones_px:
        if _is_drawable(ends):
            (x0, y0), (x1, y1) = np.asarray(ends).astype(int).tolist()
            cv2.line(image, (x0, y0), (x1, y1), colour, width)
    if _is_drawable(head_px):
        cv2.circle(image, tuple(np.asarray(head_px).astype(int).tolist()),
                   max(round(head_radius_px), 1), colour, cv2.FILLED)


def mean_colour(image) -> tuple:
    """Return the mean (r, g, b) of an image (H, W, 3) uint8, grey for one without pixels."""
    return cv2.mean(image)[:3] if image.size else (128.0, 128.0, 128.0)


def copy_where(source, mask, target) -> None:
    """Copy the pixels of ``source`` to ``target`` where ``mask`` (H, W) uint8 is not 0."""
    cv2.copyTo(source, mask, target)


def _is_drawable(points_px) -> bool:
    return bool((np.abs(points_px) < _MAX_PX).all())
