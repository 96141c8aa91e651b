"""
One person's keypoints over the last one and a half seconds, as the lifter is given them.

Cameras deliver 5 to 120 images a second and drop some. The lifter is not told about images: it is
given the keypoints at fixed ages, interpolated between the images before and after.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, NamedTuple, Tuple

from niki_ros.body.keypoints import KeypointRays
from niki_ros.body.rotations import swing_rotmat
import numpy as np

AGES_S = np.array([0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.27, 0.34, 0.42, 0.5, 0.6, 0.7, 0.85, 1.0,
                   1.2, 1.4])
"""Ages at which the lifter looks at the keypoints, seconds."""
_LEAST_Z = 0.05
_MOST_TANGENT = 20.0
# between images further apart than this nothing is known
_GAP_S = 0.3
_FORWARD = np.array([0.0, 0.0, 1.0])


class LifterInput(NamedTuple):
    """
    What the lifter's graph is given of one person.

    :param rays: (16, 21, 2) tangents in the axes of a camera that points at the hips of today,
        upright with the real camera, at the ages ``AGES_S``.
    :param seen: (16, 21) 0 … 1, 0 where nothing is known. :param guess_m: (16, 21) guessed depth
        about the hips in those axes. :param heading: (2,) tangents of the hips in the real camera.
    :param camera_from_view: (3, 3) turns those axes into the real camera's.
    """

    rays: np.ndarray
    seen: np.ndarray
    guess_m: np.ndarray
    heading: np.ndarray
    camera_from_view: np.ndarray


class LiftWindow:
    """The last ``AGES_S[-1]`` seconds of one person."""

    def __init__(self):
        """Start without a past."""
        self._images: Deque[Tuple[int, KeypointRays]] = deque()

    def push(self, stamp_ns: int, points: KeypointRays) -> None:
        """Take in what one image shows; an earlier stamp than the last one starts afresh."""
        images = self._images
        if images and stamp_ns <= images[-1][0]:
            images.clear()
        images.append((stamp_ns, points))
        oldest_ns = stamp_ns - int(AGES_S[-1] * 1e9)
        while len(images) > 2 and images[1][0] <= oldest_ns:
            images.popleft()

    def at_ages(self) -> LifterInput:
        """Return the keypoints at all ages, seen from the hips of the newest image."""
        stamps_ns, points = zip(*reversed(self._images))
        hips = points[0].rays[:2].sum(0)
        turn = swing_rotmat(_FORWARD, hips)
        first, share, known = _between((stamps_ns[0] - np.array(stamps_ns)) * 1e-9)
        second = np.minimum(first + 1, len(points) - 1)
        # at 120 images a second four of five are not asked for
        after, before = (_in_view([points[i] for i in which], turn) for which in (first, second))
        rays, seen, guess_m = (_mixed(share, a, b) for a, b in zip(after, before))
        return LifterInput(rays, seen * known[:, None], guess_m, _tangents(hips), turn)


def _in_view(points, turn):
    """Return tangents (n, 21, 2), sight (n, 21) and depth (n, 21) in the axes of the view."""
    rays, seen, guess_m = (np.stack(values) for values in zip(*points))
    return _tangents(rays @ turn), seen, (guess_m @ turn)[..., 2]


def _mixed(share, after, before):
    """Return ``share`` (n,) of the values (n, ...) before and the rest of those after."""
    share = share.reshape(-1, *[1] * (after.ndim - 1))
    return (1 - share) * after + share * before


def _between(ages_s):
    """
    Return for every age the image after it, the weight of the one before, and whether it is known.

    :param ages_s: (n,) of the images, newest first.
    """
    first = np.clip(np.searchsorted(ages_s, AGES_S + 1e-6, side='right') - 1, 0, None)
    second = np.minimum(first + 1, len(ages_s) - 1)
    gap = ages_s[second] - ages_s[first]
    share = np.clip((AGES_S - ages_s[first]) / np.maximum(gap, 1e-6), 0.0, 1.0)
    share = np.where(gap > 1e-6, share, 0.0)
    known = (AGES_S <= ages_s[-1] + 0.02) & (gap <= _GAP_S)
    known[0] = True
    return first, share, known.astype(np.float64)


def _tangents(rays) -> np.ndarray:
    """Return (..., 2) where rays (..., 3) meet the plane in front of a camera."""
    depth = np.maximum(rays[..., 2:], _LEAST_Z)
    return np.clip(rays[..., :2] / depth, -_MOST_TANGENT, _MOST_TANGENT)
