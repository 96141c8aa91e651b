"""
Linear maps from BlazePose's 33 landmarks to the new heads, with which a training starts.

Before the first step the new heads then return what the landmark network says.
"""

from niki_ros.body.skeleton import BODY_24, JOINT, JOINTS_29, open_skeleton, PARENTS_29
from niki_ros.observers.landmark_joints import EARS, HIPS, JOINTS_FROM_LANDMARKS, NOSE, SHOULDERS
import numpy as np

from niki_training.networks.swing import bone_axes, BONE_CHILDREN

LANDMARKS = 33
_KNUCKLES = {'left': (19, 17), 'right': (20, 18)}  # of index finger and little finger
# of a joint of the spine or above, in the direction to the left; the hips have the rest
_SHOULDERS_SHARE = {'spine1': 0.3, 'spine2': 0.5, 'spine3': 1.0, 'neck': 1.0, 'head': 1.0}
_LEFT, _FORWARD = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def joint_map() -> np.ndarray:
    """
    Return each joint as a weighted sum of landmarks, (29, 33).

    It is the map of the front end, and the collars have their distance from each other as well,
    along the line of the shoulders.
    """
    weights = JOINTS_FROM_LANDMARKS.copy()
    rest_m = open_skeleton().rest_joints_m
    for side in ('left', 'right'):
        across_m = rest_m[JOINT['left_shoulder'], 0] - rest_m[JOINT['right_shoulder'], 0]
        share = rest_m[JOINT[f'{side}_collar'], 0] / across_m
        weights[JOINT[f'{side}_collar']] += share * _difference(*SHOULDERS)
    return weights


def frame_map() -> np.ndarray:
    """
    Return the two vectors of each body joint as weighted sums of landmarks, (24, 2, 33).

    The first is the bone from the joint to its (main) child over the length at rest. The second is
    the direction that points left at rest, or forward for arms and hands; it tells the twist
    roughly.
    """
    frames = np.zeros((24, 2, LANDMARKS))
    frames[:, 0] = _bones_over_lengths(joint_map())
    for joint in range(24):
        frames[joint, 1] = _second_vector(JOINTS_29[joint])
    return frames


def joint_frame_map() -> np.ndarray:
    """
    Return the two vectors of each body joint as weighted sums of the 29 joints, (24, 2, 29).

    Like :func:`frame_map`; what points forward at rest for an arm are the feet, so that its twist
    is no more than a beginning.
    """
    rest_m, frames = open_skeleton().rest_joints_m, np.zeros((24, 2, len(JOINTS_29)))

    def difference(end: str, start: str) -> np.ndarray:
        weights = np.zeros(len(JOINTS_29))
        weights[JOINT[end]], weights[JOINT[start]] = 1.0, -1.0
        return weights / np.linalg.norm(rest_m[JOINT[end]] - rest_m[JOINT[start]])
    forward = sum(difference(f'{side}_big_toe', f'{side}_ankle') for side in ('left', 'right')) / 2
    left = {name: difference(f'left_{name}', f'right_{name}') for name in ('hip', 'shoulder')}
    frames[:, 0] = _bones_over_lengths(np.eye(len(JOINTS_29)))
    for joint, name in enumerate(BODY_24):
        share = _SHOULDERS_SHARE.get(name, 0.0)
        frames[joint, 1] = (forward if _is_arm(joint) else
                            share * left['shoulder'] + (1 - share) * left['hip'])
    return frames


def _bones_over_lengths(joints) -> np.ndarray:
    """Return each bone to its (main) child over its length at rest, (24, K), of joints (29, K)."""
    rest_m, children = open_skeleton().rest_joints_m, list(BONE_CHILDREN)
    lengths_m = np.linalg.norm(rest_m[children] - rest_m[:24], axis=-1)
    return (joints[children] - joints[:24]) / lengths_m[:, None]


def rest_frames() -> np.ndarray:
    """Return the axes at rest of the two vectors and their cross product, columns, (24, 3, 3)."""
    first = bone_axes(open_skeleton().rest_joints_m)
    second = np.array([_FORWARD if _is_arm(joint) else _LEFT for joint in range(24)])
    second = second - (first * second).sum(-1, keepdims=True) * first
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def _is_arm(joint: int) -> bool:
    """Return whether a joint is a collar or below it."""
    while joint > 0:
        if JOINTS_29[joint].endswith('collar'):
            return True
        joint = PARENTS_29[joint]
    return False


def _second_vector(name: str) -> np.ndarray:
    """Return weights (33,) of a vector that points left at rest, or forward for an arm."""
    side, _, kind = name.rpartition('_')
    if kind in ('elbow', 'wrist', 'hand'):
        return _difference(*_KNUCKLES[side]) / 0.06
    if kind in ('collar', 'shoulder'):
        face = -np.bincount(EARS, minlength=LANDMARKS) / 2.0
        face[NOSE] += 1.0
        return face / 0.12
    if kind in ('head', 'neck'):
        return _difference(*EARS) / 0.15
    hips, shoulders = _difference(*HIPS) / 0.2, _difference(*SHOULDERS) / 0.35
    share = _SHOULDERS_SHARE.get(name, 0.0)
    return share * shoulders + (1 - share) * hips


def _difference(end: int, start: int) -> np.ndarray:
    """Return weights (33,) of the vector from landmark ``start`` to ``end``."""
    weights = np.zeros(LANDMARKS)
    weights[end], weights[start] = 1.0, -1.0
    return weights
