"""
BlazePose's 33 landmarks as 29 joints.

Spine, neck, collars and head have no landmark; they are constructed with the proportions of the
open skeleton, scaled to the trunk of the person.
"""

import math

from niki_ros.body.rotations import cross, length
from niki_ros.body.skeleton import JOINT, open_skeleton
import numpy as np

NOSE, EYES, EARS, SHOULDERS, HIPS = 0, (2, 5), (7, 8), (11, 12), (23, 24)
"""Indices of landmarks, left before right (the person's own left)."""
MIRROR_LANDMARKS = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9,
                    *(one + step for one in range(11, 33, 2) for step in (1, 0))]
"""For each landmark the index of the landmark on the other side."""

_LIMBS = {'hip': 23, 'knee': 25, 'ankle': 27, 'shoulder': 11, 'elbow': 13, 'wrist': 15,
          'big_toe': 31}
_PINKY, _INDEX = 17, 19
# way from ankle to foot over that to the toe, and from hand to finger tip over that from wrist to
# hand, both on the open skeleton
_FOOT_RATIO, _FINGER_RATIO = 0.72, 0.87
# head top relative to the middle of the ears, head axes; the height is measured (0.12-0.13 in all
# cameras)
_HEAD_TOP_M = np.array([0.0, 0.126, 0.03])
_SCALE_RATIOS = (0.4, 1.5)  # size of a person over the open skeleton

CONSTRUCTED = ('pelvis', 'spine1', 'spine2', 'spine3', 'neck', 'left_collar', 'right_collar')
"""Names of joints of the trunk without a landmark."""


def _linear_map() -> np.ndarray:
    """Return each joint as a weighted sum of landmarks (29, 33); approximate outside the limbs."""
    weights = np.zeros((29, 33))
    rest = open_skeleton().rest_joints_m
    low, high = rest[JOINT['left_hip'], 1], rest[JOINT['left_shoulder'], 1]
    for joint in CONSTRUCTED:
        share = (rest[JOINT[joint], 1] - low) / (high - low)
        weights[JOINT[joint], HIPS] = (1 - share) / 2
        weights[JOINT[joint], SHOULDERS] = share / 2
    for side, offset in (('left', 0), ('right', 1)):
        for kind, landmark in _LIMBS.items():
            weights[JOINT[f'{side}_{kind}'], landmark + offset] = 1.0
        knuckles = np.zeros(33)
        knuckles[[_PINKY + offset, _INDEX + offset]] = 0.5
        wrist, toe = weights[JOINT[f'{side}_wrist']], weights[JOINT[f'{side}_big_toe']]
        weights[JOINT[f'{side}_hand']] = knuckles
        weights[JOINT[f'{side}_middle_finger']] = knuckles + _FINGER_RATIO * (knuckles - wrist)
        weights[JOINT[f'{side}_foot']] = (
            _FOOT_RATIO * toe + (1 - _FOOT_RATIO) * weights[JOINT[f'{side}_ankle']])
    ears = np.zeros(33)
    ears[list(EARS)] = 0.5
    neck = weights[JOINT['neck']]
    weights[JOINT['head']] = 0.4 * neck + 0.6 * ears
    weights[JOINT['head_top']] = ears + 0.8 * (ears - neck)
    return weights


JOINTS_FROM_LANDMARKS = _linear_map()
"""(29, 33) each joint as a weighted sum of landmarks: exact for limbs, approximate elsewhere."""


def joints_from_landmarks(world_m: np.ndarray) -> np.ndarray:
    """Return joints (29, 3), pelvis at 0, of landmarks (33, 3); both metres, camera axes."""
    points = np.asarray(world_m, dtype=np.float64)
    joints = JOINTS_FROM_LANDMARKS @ points
    _construct(joints, points)
    return joints - joints[0]


def rotation_to_ray(ray: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) from the optical axis to ``ray`` (3,), z > 0."""
    x, y, z = _unit(np.asarray(ray, dtype=np.float64), (0.0, 0.0, 1.0))
    return np.array([
        [1 - x * x / (1 + z), -x * y / (1 + z), x],
        [-x * y / (1 + z), 1 - y * y / (1 + z), y],
        [-x, -y, z]])


def _unit(vector: np.ndarray, fallback) -> np.ndarray:
    """Return ``vector`` (3,) with length 1, or ``fallback`` where it is zero."""
    size = math.sqrt(vector @ vector)
    return vector / size if size > 1e-6 else np.asarray(fallback, dtype=np.float64)


def _frames(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return axes x left, y up, z forward as columns (n, 3, 3), y along ``up``, both (n, 3)."""
    out = np.empty((len(up), 3, 3))
    size = length(up)[:, None]
    y = np.where(size > 1e-6, up / np.maximum(size, 1e-6), (0.0, -1.0, 0.0))
    across = left - np.add.reduce(left * y, axis=1, keepdims=True) * y
    if (length(across) <= 1e-6).any():
        is_short = length(across)[:, None] <= 1e-6
        across = np.where(is_short, cross(y, np.array([0.0, 0.0, -1.0])), across)
        across[length(across) <= 1e-6] = 1.0, 0.0, 0.0
    x = across / length(across)[:, None]
    out[..., 0], out[..., 1], out[..., 2] = x, y, cross(x, y)
    return out


def _trunk_at_rest() -> tuple:
    """
    Return the constructed joints at rest.

    :return: indices (7,); positions relative to the middle of the hips (7, 3) and of the shoulders
        (7, 3), metres; share of the way from hips to shoulders (7, 1); length of that way, metres.
    """
    rest = open_skeleton().rest_joints_m
    index = [JOINT[name] for name in CONSTRUCTED]
    hips = rest[[JOINT['left_hip'], JOINT['right_hip']]].mean(0)
    shoulders = rest[[JOINT['left_shoulder'], JOINT['right_shoulder']]].mean(0)
    share = np.clip((rest[index] - hips)[:, 1] / (shoulders - hips)[1], 0.0, 1.0)
    return (index, rest[index] - hips, rest[index] - shoulders, share[:, None],
            float(np.linalg.norm(shoulders - hips)))


_TRUNK, _FROM_HIPS_M, _FROM_SHOULDERS_M, _UP_RATIO, _TRUNK_M = _trunk_at_rest()


_LEFT, _RIGHT = (np.array([HIPS[side], SHOULDERS[side], EARS[side]]) for side in (0, 1))
_HEAD, _HEAD_TOP = JOINT['head'], JOINT['head_top']
_TOP_FROM_HEAD_M = open_skeleton().rest_joints_m[_HEAD_TOP] - open_skeleton().rest_joints_m[_HEAD]


def _construct(joints: np.ndarray, points: np.ndarray) -> None:
    """Set the joints of trunk and head; x of the head is by the ears, z by the face."""
    across = points.take(_LEFT, 0) - points.take(_RIGHT, 0)
    hips, shoulders, ears = (points.take(_LEFT, 0) + points.take(_RIGHT, 0)) / 2
    face = (points[NOSE] + points[EYES[0]] + points[EYES[1]]) / 3
    ups = np.empty((3, 3))
    ups[:2] = up = shoulders - hips
    ups[2] = cross(face - ears, across[2])
    lower, upper, head = _frames(across, ups)
    low, high = _SCALE_RATIOS
    scale = min(max(math.sqrt(up @ up) / _TRUNK_M, low), high)
    joints[_TRUNK] = (1 - _UP_RATIO) * (hips + scale * (_FROM_HIPS_M @ lower.T)) + _UP_RATIO * (
        shoulders + scale * (_FROM_SHOULDERS_M @ upper.T))
    joints[_HEAD_TOP] = ears + scale * head @ _HEAD_TOP_M
    joints[_HEAD] = joints[_HEAD_TOP] - scale * head @ _TOP_FROM_HEAD_M
