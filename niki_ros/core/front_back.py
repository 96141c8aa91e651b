"""
Front and back mistaken: a front end that suddenly sees a person turned round by half a circle.

Seen from behind, a body looks much like its mirror image seen from the front: every joint stays
where it is in the image, left and right change names, and the depth changes its sign. Front ends
fall from one reading into the other within a frame, with full confidence; people do not turn that
fast.
"""

from __future__ import annotations

from dataclasses import replace

from niki_ros.core.skeleton import JOINT, MIRROR_29
from niki_ros.core.types import JointObservation
import numpy as np

_LEFT = [JOINT['left_hip'], JOINT['left_shoulder']]
_RIGHT = [JOINT['right_hip'], JOINT['right_shoulder']]
_MIRROR = list(MIRROR_29)

# the other reading is believed when the front end has stuck to it for this long
BELIEVE_AFTER_S = 1.0
# cosines to the remembered direction: turned this far, and this much nearer when mirrored
_TURNED, _BETTER = 0.2, 0.6
# time constants of the memory: of what is seen, and of what had to be mended
_SEEN_S, _MENDED_S = 0.1, 1.0
# what the mirrored reading is worth: its depth is a guess (measured on the Pose2Sim trial: 220 to
# 350 mm where the mistaken reading is off by 410 to 640)
_SIGMA = 0.6


def mirrored(observation: JointObservation) -> JointObservation:
    """Return the other reading of the same image: left and right exchanged, depth negated."""
    joints = observation.joints_m[_MIRROR] * np.array([1, 1, -1], np.float32)
    return replace(
        observation, joints_m=joints - joints[:1],
        sigma=np.maximum(observation.sigma[_MIRROR], _SIGMA),
        keypoints_px=observation.keypoints_px[_MIRROR],
        keypoint_sigma_px=observation.keypoint_sigma_px[_MIRROR], twist_cos_sin=None)


def trunk_left(joints_m) -> np.ndarray:
    """Return the direction (3,) from the right to the left side of the trunk."""
    across = (joints_m[_LEFT] - joints_m[_RIGHT]).sum(0)
    return across / max(float(np.linalg.norm(across)), 1e-6)


class FrontBackGuard:
    """Remembers which way one person stood, and mends observations that say the opposite."""

    def __init__(self):
        """Believe the first observation."""
        self._left = None
        self._against_s = 0.0

    def check(self, observation: JointObservation, dt_s: float) -> JointObservation:
        """
        Return the observation, mirrored where it contradicts the last ``BELIEVE_AFTER_S``.

        :param dt_s: time since the person was seen last.
        """
        left = trunk_left(observation.joints_m)
        if self._left is None or dt_s > BELIEVE_AFTER_S:
            self._left, self._against_s = left, 0.0
            return observation
        other = left * (-1, -1, 1)
        turned, mended = left @ self._left, other @ self._left
        if turned < _TURNED and mended - turned > _BETTER:
            self._against_s += dt_s
            if self._against_s <= BELIEVE_AFTER_S:
                self._remember(other, dt_s / _MENDED_S)
                return mirrored(observation)
            self._left = left
        self._against_s = 0.0
        self._remember(left, dt_s / _SEEN_S)
        return observation

    def _remember(self, left, share):
        """Turn the remembered direction towards ``left`` by a share of the way."""
        kept = self._left + min(share, 1.0) * (left - self._left)
        self._left = kept / max(float(np.linalg.norm(kept)), 1e-6)
