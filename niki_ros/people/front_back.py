"""
Front and back mistaken: a front end that suddenly sees a person turned round by half a circle.

Seen from behind, a body looks much like its mirror image seen from the front: every joint stays
where it is in the image, left and right change names, and the depth changes its sign. Front ends
fall from one reading into the other within a frame, with full confidence; people do not turn that
fast. Some keep the depth and exchange the names only, as somebody bent forward is then still the
same heap of limbs.
"""

from __future__ import annotations

from dataclasses import replace

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT, MIRROR_29
import numpy as np

_LEFT = [JOINT['left_hip'], JOINT['left_shoulder']]
_RIGHT = [JOINT['right_hip'], JOINT['right_shoulder']]
_MIRROR = list(MIRROR_29)

# the other reading is believed when the front end has stuck to it for this long
BELIEVE_AFTER_S = 1.0
START_S = 0.3
"""In the first moments of a track readings are taken as they come."""
# cosines to the remembered direction: turned this far, and this much nearer when mirrored
_TURNED, _BETTER = 0.2, 0.6
# time constants of the memory: of what is seen, and of what had to be mended
_SEEN_S, _MENDED_S = 0.1, 1.0
# what other readings are worth: the depth is a guess (measured on the Pose2Sim trial: mirrored 220
# to 350 mm where the mistaken reading is off by 410 to 640; with names exchanged alone 167)
_SIGMA, _SWAPPED_SIGMA = 0.6, 0.45


def mirrored(observation: JointObservation) -> JointObservation:
    """Return the other reading of the same image: left and right exchanged, depth negated."""
    return _renamed(observation, -1.0, _SIGMA)


def swapped(observation: JointObservation) -> JointObservation:
    """Return the observation with the names of left and right exchanged."""
    return _renamed(observation, 1.0, _SWAPPED_SIGMA)


def _renamed(observation, depth_sign, sigma) -> JointObservation:
    joints = observation.joints_m[_MIRROR] * np.array([1, 1, depth_sign], np.float32)
    points = observation.keypoint_rays
    if points is not None:
        points = points.mirrored(depth_sign)
    return replace(
        observation, joints_m=joints - joints[:1],
        sigma_200mm=np.maximum(observation.sigma_200mm[_MIRROR], sigma),
        keypoints_px=observation.keypoints_px[_MIRROR],
        keypoint_sigma_px=observation.keypoint_sigma_px[_MIRROR], twist_cos_sin=None,
        keypoint_rays=points,
        unlifted_sigma_200mm=None)


def trunk_left(joints_m) -> np.ndarray:
    """Return the direction (3,) from the right to the left side of the trunk."""
    across = (joints_m[_LEFT] - joints_m[_RIGHT]).sum(0)
    return across / max(float(np.linalg.norm(across)), 1e-6)


class FrontBackGuard:
    """Remembers which way one person stood, and mends observations that say the opposite."""

    def __init__(self):
        """Believe the first observation."""
        self._left = None
        self._joints_m = None
        self._reading = None
        self._against_s = 0.0
        self._age_s = 0.0

    def check(self, observation: JointObservation, dt_s: float) -> JointObservation:
        """
        Return the observation, read otherwise where it contradicts the last ``BELIEVE_AFTER_S``.

        :param dt_s: time since the person was seen last.
        """
        left = trunk_left(observation.joints_m)
        if self._left is None or dt_s > BELIEVE_AFTER_S:
            self._left, self._against_s, self._age_s = left, 0.0, 0.0
            self._joints_m = observation.joints_m
            return observation
        self._age_s += dt_s
        if self._age_s < START_S:
            # the first readings are a vote: none of them is mended by the one before
            self._remember(left, observation, dt_s / max(self._age_s, 1e-6))
            return observation
        if left @ self._left < _TURNED:
            # what the mistake is, is told when it begins; while it lasts, the memory is a guess
            reading = self._reading or self._nearer(observation, (mirrored, swapped))
            other = reading(observation)
            mended = trunk_left(other.joints_m)
            if (mended - left) @ self._left > _BETTER:
                self._against_s += dt_s
                if self._against_s <= BELIEVE_AFTER_S:
                    self._reading = reading
                    self._remember(mended, other, dt_s / _MENDED_S)
                    return other
                self._left = left
        self._against_s, self._reading = 0.0, None
        self._remember(left, observation, dt_s / _SEEN_S)
        return observation

    def _nearer(self, observation, readings):
        """Return the reading that brings the joints nearest to those of the frame before."""
        return min(readings, key=lambda read: float(
            np.linalg.norm(read(observation).joints_m - self._joints_m, axis=1).mean()))

    def _remember(self, left, observation, share):
        """Turn the remembered direction towards ``left`` by a share of the way."""
        kept = self._left + min(share, 1.0) * (left - self._left)
        self._left = kept / max(float(np.linalg.norm(kept)), 1e-6)
        self._joints_m = observation.joints_m
