"""
Keypoints of one person over the last 1.4 seconds, input of the lifter.

They are interpolated to fixed ages: cameras deliver 5 to 120 images per second, and drop some.
"""

from collections import deque
from typing import Deque, NamedTuple, Tuple

from niki_ros.body.keypoints import KeypointRays
from niki_ros.body.rotations import swing_rotmat
import numpy as np

AGES_S = np.array([0.0, 0.04, 0.08, 0.12, 0.16, 0.2, 0.27, 0.34, 0.42, 0.5, 0.6, 0.7, 0.85, 1.0,
                   1.2, 1.4])
"""Ages of the keypoints in the input of the lifter, seconds."""
_MIN_Z = 0.05
_MAX_TANGENT = 20.0
_MAX_GAP_S = 0.3  # between images further apart than this no keypoint is known
_AGE_TOLERANCE_S = 0.02  # an age beyond the oldest image by less than this is known
_OPTICAL_AXIS = np.array([0.0, 0.0, 1.0])


class LifterInput(NamedTuple):
    """
    Input of the lifter for one person, at the ages ``AGES_S``.

    The axes of the view are those of a camera that points at the middle of the hips in the newest
    image, without roll relative to the real camera.
    """

    rays: np.ndarray  # (16, 21, 2) tangents in the axes of the view
    seen: np.ndarray  # (16, 21) visibility 0 … 1, 0 where nothing is known
    guess_m: np.ndarray  # (16, 21) estimated depth relative to the hips, axes of the view
    heading: np.ndarray  # (2,) tangents of the middle of the hips in the real camera
    camera_from_view: np.ndarray  # (3, 3) rotation from the axes of the view to the camera's


class LiftWindow:
    """Keypoints of one person in the images of the last ``AGES_S[-1]`` seconds."""

    def __init__(self):
        # stamp, rays in columns 0 … 2, visibility in 3, estimated positions in 4 … 6
        self._images: Deque[Tuple[int, np.ndarray]] = deque()

    def push(self, stamp_ns: int, keypoints: KeypointRays) -> None:
        """Add the keypoints of one image; a stamp not after the last one starts a new window."""
        images = self._images
        if images and stamp_ns <= images[-1][0]:
            images.clear()
        images.append((stamp_ns, np.concatenate(
            [keypoints.rays, keypoints.seen[:, None], keypoints.guess_m], axis=1)))
        oldest_ns = stamp_ns - int(AGES_S[-1] * 1e9)
        while len(images) > 2 and images[1][0] <= oldest_ns:
            images.popleft()

    def keep_newest(self) -> bool:
        """Forget all images before the newest one; return whether there were any."""
        count = len(self._images)
        while len(self._images) > 1:
            self._images.popleft()
        return count > 1

    def at_ages(self) -> LifterInput:
        """Return the keypoints at all ages, in the view towards the hips of the newest image."""
        stamps_ns, keypoints = zip(*reversed(self._images))
        hips = keypoints[0][:2, :3].sum(0)
        camera_from_view = swing_rotmat(_OPTICAL_AXIS, hips)
        newer, share, known = _interpolation((stamps_ns[0] - np.array(stamps_ns)) * 1e-9)
        # only the images next to an age are transformed: one of five at 120 images per second
        used, place = np.unique(np.concatenate(
            [newer, np.minimum(newer + 1, len(keypoints) - 1)]), return_inverse=True)
        in_view = _in_view(np.array([keypoints[i] for i in used]), camera_from_view)
        share = share[:, None, None]
        mixed = ((1 - share) * in_view[place[:len(newer)]]
                 + share * in_view[place[len(newer):]])
        rays, seen, guess_m = mixed[..., :2], mixed[..., 2], mixed[..., 3]
        return LifterInput(rays, seen * known[:, None], guess_m, _tangents(hips),
                           camera_from_view)


def _in_view(keypoints, camera_from_view) -> np.ndarray:
    """Return tangents, visibility and depth (n, 21, 4), axes of the view, of (n, 21, 7)."""
    out = np.empty(keypoints.shape[:-1] + (4,))
    out[..., :2] = _tangents(keypoints[..., :3] @ camera_from_view)
    out[..., 2] = keypoints[..., 3]
    out[..., 3] = keypoints[..., 4:] @ camera_from_view[:, 2]
    return out


def _interpolation(ages_s):
    """
    Return for every age how to interpolate between images of ages (n,), newest first.

    :return: index (16,) of the next newer image, weight (16,) of the next older one, and (16,) 1
        where the two give keypoints, else 0.
    """
    newer = np.maximum(np.searchsorted(ages_s, AGES_S + 1e-6, side='right') - 1, 0)
    older = np.minimum(newer + 1, len(ages_s) - 1)
    gap = ages_s[older] - ages_s[newer]
    share = (AGES_S - ages_s[newer]) / np.maximum(gap, 1e-6)
    share = np.minimum(np.maximum(share, 0.0), 1.0)
    share = np.where(gap > 1e-6, share, 0.0)
    known = (AGES_S <= ages_s[-1] + _AGE_TOLERANCE_S) & (gap <= _MAX_GAP_S)
    known[0] = True
    return newer, share, known.astype(np.float64)


def _tangents(rays) -> np.ndarray:
    """Return the points (..., 2) in which rays (..., 3) meet the plane at distance 1."""
    tangents = rays[..., :2] / np.maximum(rays[..., 2:], _MIN_Z)
    return np.minimum(np.maximum(tangents, -_MAX_TANGENT), _MAX_TANGENT)
