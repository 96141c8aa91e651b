"""The 21 keypoints of a person that are lifted to 3D."""

from __future__ import annotations

from typing import NamedTuple

from niki_ros.body.skeleton import JOINT
import numpy as np

KEYPOINTS = (
    'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    'nose', 'left_ear', 'right_ear', 'left_heel', 'right_heel', 'left_toe', 'right_toe',
    'left_knuckles', 'right_knuckles')
"""Names of the keypoints in the order of every array with 21 rows."""
_OTHER_SIDE = {'left': 'right', 'right': 'left'}
MIRROR_KEYPOINTS = [KEYPOINTS.index('_'.join(_OTHER_SIDE.get(part, part) for part in
                                             name.split('_'))) for name in KEYPOINTS]
"""For each keypoint the index of the keypoint on the other side."""
KEYPOINT_IS_JOINT = np.array(
    [name.rpartition('_')[2] not in ('nose', 'ear', 'heel') for name in KEYPOINTS])
"""(21,) bool, True for keypoints that are joints, False for landmarks near a joint."""


def _joint_of_keypoint() -> np.ndarray:
    """Return the index (21,) of the joint that each keypoint is, or is next to."""
    other = {'nose': 'head', 'ear': 'head', 'heel': 'ankle', 'toe': 'big_toe', 'knuckles': 'hand'}
    joints = []
    for name in KEYPOINTS:
        side, _, kind = name.rpartition('_')
        joint = other.get(kind, kind)
        joints.append(JOINT[joint] if joint in JOINT else JOINT[f'{side}_{joint}'])
    return np.array(joints)


JOINT_OF_KEYPOINT = _joint_of_keypoint()


class KeypointRays(NamedTuple):
    """Keypoints of one person in one image, camera's optical axes, input of the lifter."""

    rays: np.ndarray  # (21, 3) directions, any length
    seen: np.ndarray  # (21,) visibility, 0 … 1
    guess_m: np.ndarray  # (21, 3) estimated positions relative to the middle of the hips

    def mirrored(self, depth_sign: float) -> KeypointRays:
        """Return the keypoints with left and right exchanged and depth times ``depth_sign``."""
        guess_m = self.guess_m[MIRROR_KEYPOINTS] * np.array([1.0, 1.0, depth_sign])
        return KeypointRays(self.rays[MIRROR_KEYPOINTS], self.seen[MIRROR_KEYPOINTS], guess_m)
