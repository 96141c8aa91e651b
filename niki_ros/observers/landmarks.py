"""
BlazePose's 33 landmarks as 29 joints with expected errors. Numpy only.

Limbs are taken as they are. What the network does not give (spine, neck, collars, head) is placed
by construction, with the proportions of the open skeleton scaled to this person's trunk.

The figures in this file were measured on Pose2Sim's balancing trial: four calibrated cameras, 100
frames each, joints triangulated from all views (good to 2-3 cm), network ``full`` in the runtime
of its authors, frames where front and back were mistaken left out (32 of 400).
``test/test_landmark_network.py`` measures the joints' error with the graph of today.
"""

from __future__ import annotations

import math

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT, JOINTS_29, open_skeleton
from niki_ros.observers.landmark_lengths import bone_lengths
import numpy as np

NOSE, EYES, EARS, SHOULDERS, HIPS = 0, (2, 5), (7, 8), (11, 12), (23, 24)
"""Indices of landmarks, left before right (the person's own left)."""

_LIMBS = {'hip': 23, 'knee': 25, 'ankle': 27, 'shoulder': 11, 'elbow': 13, 'wrist': 15,
          'big_toe': 31}
_PINKY, _INDEX = 17, 19
_FOOT_SHARE = 0.72  # of the way from ankle to toe on the open skeleton
_FINGER_SHARE = 0.80  # hand to finger tip over wrist to hand on the open skeleton
_HEAD_TOP = (0.0, 0.126, 0.03)
"""From between the ears, metres, head axes. Height measured (0.12-0.13 in all cameras)."""

_CONSTRUCTED = ('pelvis', 'spine1', 'spine2', 'spine3', 'neck', 'left_collar', 'right_collar')

_SIGMA = {'pelvis': 0.1, 'hip': 0.15, 'knee': 0.29, 'ankle': 0.33, 'foot': 0.36, 'big_toe': 0.4,
          'shoulder': 0.25, 'elbow': 0.34, 'wrist': 0.45, 'hand': 0.48, 'middle_finger': 0.52,
          'spine1': 0.25, 'spine2': 0.35, 'spine3': 0.35, 'neck': 0.3, 'collar': 0.35,
          'head': 0.35, 'head_top': 0.4}
# visibility from which a joint is seen, and below which it is not
_SEEN, _HIDDEN = 0.95, 0.5
_HIPS_SHARE = 0.5
_KEYPOINT_SHARE, _UNSEEN_KEYPOINT_SHARE = 0.015, 0.045
_EDGE = 0.05
_VISIBLE = 0.5


def _kind(joint: str) -> str:
    return joint.replace('left_', '').replace('right_', '')


SIGMA_VISIBLE = np.array([_SIGMA[_kind(joint)] for joint in JOINTS_29])
"""
(29,) sigma of a joint that is seen.

Limbs, head top: the median error per coordinate over 200 mm, relative to the hips. Where the
network has no such joint, chosen: the error of its neighbours or more. The errors divided by their
sigma have a root mean square of 0.9 (hips) to 1.4 (left wrist).
"""


def _linear_map() -> np.ndarray:
    """Each joint as a weighted sum of landmarks (29, 33): exact for limbs, a stand-in else."""
    weights = np.zeros((29, 33))
    rest = open_skeleton().rest_joints_m
    low, high = rest[JOINT['left_hip'], 1], rest[JOINT['left_shoulder'], 1]
    for joint in _CONSTRUCTED:
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
        weights[JOINT[f'{side}_middle_finger']] = knuckles + _FINGER_SHARE * (knuckles - wrist)
        weights[JOINT[f'{side}_foot']] = (
            _FOOT_SHARE * toe + (1 - _FOOT_SHARE) * weights[JOINT[f'{side}_ankle']])
    ears = np.zeros(33)
    ears[list(EARS)] = 0.5
    neck = weights[JOINT['neck']]
    weights[JOINT['head']] = 0.4 * neck + 0.6 * ears
    weights[JOINT['head_top']] = ears + 0.8 * (ears - neck)
    return weights


JOINTS_FROM_LANDMARKS = _linear_map()
SHARES = np.abs(JOINTS_FROM_LANDMARKS) / np.abs(JOINTS_FROM_LANDMARKS).sum(1, keepdims=True)
"""(29, 33) by how much the sight of each landmark counts for each joint."""


def _unit(vector: np.ndarray, fallback) -> np.ndarray:
    """Return ``vector`` with length 1, or ``fallback`` where it has none."""
    length = math.sqrt(vector @ vector)
    return vector / length if length > 1e-6 else np.asarray(fallback, dtype=np.float64)


def _cross(a, b) -> np.ndarray:
    """Return a × b of two vectors (3,); numpy's own takes ten times as long."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                     a[0] * b[1] - a[1] * b[0]])


def _frame(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Axes x left, y up, z forward as columns (3, 3); ``up`` is kept, ``left`` made square."""
    y = _unit(up, (0.0, -1.0, 0.0))
    across = left - (left @ y) * y
    if across @ across > 1e-12:
        x = _unit(across, (1.0, 0.0, 0.0))
    else:
        x = _unit(_cross(y, (0.0, 0.0, -1.0)), (1.0, 0.0, 0.0))
    return np.stack([x, y, _cross(x, y)], axis=1)


def _trunk_at_rest() -> tuple:
    """
    Return how the constructed joints lie at rest.

    :return: indices (7,); from between the hips (7, 3) and from between the shoulders (7, 3);
        share of the way from hips to shoulders (7, 1); length of that way.
    """
    rest = open_skeleton().rest_joints_m
    index = [JOINT[name] for name in _CONSTRUCTED]
    hips = rest[[JOINT['left_hip'], JOINT['right_hip']]].mean(0)
    shoulders = rest[[JOINT['left_shoulder'], JOINT['right_shoulder']]].mean(0)
    share = np.clip((rest[index] - hips)[:, 1] / (shoulders - hips)[1], 0.0, 1.0)
    return (index, rest[index] - hips, rest[index] - shoulders, share[:, None],
            float(np.linalg.norm(shoulders - hips)))


_TRUNK, _FROM_HIPS, _FROM_SHOULDERS, _UP_SHARE, _TRUNK_M = _trunk_at_rest()


def _place_trunk(joints: np.ndarray, points: np.ndarray) -> float:
    """
    Place pelvis, spine, neck and collars between the hips' frame and the shoulders' frame.

    :return: this person's scale on the open skeleton, by the length of the trunk.
    """
    left_hip, right_hip = points[HIPS[0]], points[HIPS[1]]
    left_shoulder, right_shoulder = points[SHOULDERS[0]], points[SHOULDERS[1]]
    hips, shoulders = (left_hip + right_hip) / 2, (left_shoulder + right_shoulder) / 2
    up = shoulders - hips
    scale = min(max(math.sqrt(up @ up) / _TRUNK_M, 0.4), 1.5)
    lower, upper = _frame(left_hip - right_hip, up), _frame(left_shoulder - right_shoulder, up)
    joints[_TRUNK] = (1 - _UP_SHARE) * (hips + scale * (_FROM_HIPS @ lower.T)) + _UP_SHARE * (
        shoulders + scale * (_FROM_SHOULDERS @ upper.T))
    return scale


def _place_head(joints: np.ndarray, points: np.ndarray, scale: float) -> None:
    """Place head and head top from ears, eyes and nose: ears give left, the face forward."""
    rest = open_skeleton().rest_joints_m
    ears = points[list(EARS)].mean(0)
    left = points[EARS[0]] - points[EARS[1]]
    forward = points[[NOSE, *EYES]].mean(0) - ears
    head = _frame(left, _cross(forward, left))
    joints[JOINT['head_top']] = ears + scale * head @ np.asarray(_HEAD_TOP)
    joints[JOINT['head']] = joints[JOINT['head_top']] - scale * head @ (
        rest[JOINT['head_top']] - rest[JOINT['head']])


def joints_from_landmarks(world_m: np.ndarray) -> np.ndarray:
    """Joints (29, 3), pelvis at 0, of world landmarks (33, 3); both metres in camera axes."""
    points = np.asarray(world_m, dtype=np.float64)
    joints = JOINTS_FROM_LANDMARKS @ points
    scale = _place_trunk(joints, points)
    _place_head(joints, points, scale)
    return joints - joints[0]


def seen_share(normalized: np.ndarray, visibility: np.ndarray) -> tuple:
    """
    How far each joint is seen and how far it is outside the image.

    :param normalized: (33, 2) image positions over width and height.
    :param visibility: (33,) 0 … 1.
    :return: visible (29,) 0 … 1 and outside (29,): 0 inside, 1 from 5 % beyond the edge.
    """
    beyond = np.maximum(-normalized, normalized - 1.0).max(axis=1)
    outside = np.clip(beyond / _EDGE, 0.0, 1.0)
    return SHARES @ np.clip(visibility, 0.0, 1.0), SHARES @ outside


_NOT_HIPS = [joint for joint in range(1, 29)
             if joint not in (JOINT['left_hip'], JOINT['right_hip'])]
_PLACED = [JOINT[name] for name in (*_CONSTRUCTED, 'head', 'head_top')]


def joint_sigma(visible: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """
    Sigma (..., 29) from visibility (..., 29), as the network gives it, and outside (..., 29).

    While nothing stands in front of a person, visibility says little: a limb that its own body
    hides has 40-70 mm per coordinate, as one that is seen. With rectangles in front of legs, an
    arm or the lower half (every camera, ``niki-evaluate occlude``) it says nearly all: below 0.5
    a knee has 113-161 mm, an ankle 216-324, an elbow 145-207, a wrist 245-338, and always in the
    same direction, so that no filter of independent errors takes it out. In those clips 4 % of
    the legs and 7-10 % of the arms below 0.5 were hidden by nothing but their own body. So sigma
    rises from what is measured at a visibility of 0.95 to 1 at 0.5, and to 1 outside the image.
    Where the hips themselves are not seen, all joints, being relative to them, are worse:
    shoulders 71-202 mm instead of 33-82 mm.
    """
    doubt = np.clip((_SEEN - visible) / (_SEEN - _HIDDEN), 0.0, 1.0)
    sigma = SIGMA_VISIBLE + doubt * (1.0 - SIGMA_VISIBLE)
    sigma = sigma + outside * (1.0 - sigma)
    hips = [JOINT['left_hip'], JOINT['right_hip']]
    guessed = (sigma[..., hips] - SIGMA_VISIBLE[hips]).mean(-1, keepdims=True)
    sigma[..., _NOT_HIPS] = np.hypot(sigma[..., _NOT_HIPS], _HIPS_SHARE * guessed)
    return np.minimum(sigma, 1.0)


def keypoint_sigma(visible: np.ndarray, outside: np.ndarray, size_px: float) -> np.ndarray:
    """
    Return the error (29,) to expect of image positions, pixels; inf where none is known.

    Measured in shares of the person's height, median over both coordinates: 2.0-2.5 % at a
    visibility above 0.9, 2.8 % at 0.7-0.9, 3.8 % at 0.5-0.7 where the body hides itself; behind
    something else 12-52 % below 0.5: no position at all.
    """
    share = _KEYPOINT_SHARE + _UNSEEN_KEYPOINT_SHARE * (1.0 - visible)
    share[_PLACED] *= 3.0  # measured 5 % at the neck, 3.4 % at the head top
    return np.where((outside > 0.5) | (visible < _HIDDEN), np.inf, share * size_px)


def keypoints_from_landmarks(pixels, world_m, joints_m) -> np.ndarray:
    """
    Image positions (29, 2) of the joints.

    Limbs are where their landmarks are. A constructed joint stands off from the weighted sum of
    its landmarks as it does in 3D, with one scale for the person (weak perspective).

    :param pixels: (33, 2) landmarks in the image.
    :param world_m: (33, 3) landmarks in metres.
    :param joints_m: (29, 3) joints made from ``world_m``.
    """
    flat, plane = pixels - pixels.mean(0), world_m[:, :2] - world_m[:, :2].mean(0)
    px_per_m = (flat * plane).sum() / max((plane * plane).sum(), 1e-9)
    placed = joints_m + (world_m[HIPS[0]] - joints_m[JOINT['left_hip']])
    off_m = (placed - JOINTS_FROM_LANDMARKS @ world_m)[:, :2]
    return JOINTS_FROM_LANDMARKS @ pixels + px_per_m * off_m


def observation_from_landmarks(normalized, world_m, visibility, image_size) -> JointObservation:
    """
    Build the observation of one person.

    :param normalized: (33, 2) image positions over width and height.
    :param world_m: (33, 3) metres around the hips, camera axes.
    :param visibility: (33,) 0 … 1.
    :param image_size: width and height in pixels.
    """
    normalized = np.asarray(normalized, dtype=np.float64)
    visibility = np.asarray(visibility, dtype=np.float64)
    world_m = np.asarray(world_m, dtype=np.float64)
    pixels = normalized * np.asarray(image_size, dtype=np.float64)
    joints_m = joints_from_landmarks(world_m)
    visible, outside = seen_share(normalized, visibility)
    box = _box(pixels, normalized, visibility, image_size)
    size_px = box_size(box)
    lengths_m, length_sigma_m = bone_lengths(joints_m)
    return JointObservation(
        joints_m=joints_m.astype(np.float32),
        sigma_200mm=joint_sigma(visible, outside).astype(np.float32),
        keypoints_px=keypoints_from_landmarks(pixels, world_m, joints_m).astype(np.float32),
        box_px=box.astype(np.float32),
        score=float(np.clip(visibility[[*SHOULDERS, *HIPS]], 0.0, 1.0).mean()),
        keypoint_sigma_px=keypoint_sigma(visible, outside, size_px).astype(np.float32),
        lengths_m=lengths_m,
        length_sigma_m=length_sigma_m,
    )


def _box(pixels, normalized, visibility, image_size) -> np.ndarray:
    """Box (4,) around the visible landmarks inside the image; around all where there are few."""
    seen = (visibility >= _VISIBLE) & (normalized >= 0).all(1) & (normalized <= 1).all(1)
    if seen.sum() < 3:
        seen = np.ones(len(pixels), dtype=bool)
    limit = np.asarray(image_size, dtype=np.float64)
    low = np.clip(pixels[seen].min(0), 0, limit)
    high = np.clip(pixels[seen].max(0), 0, limit)
    return np.concatenate([low, high])


def box_size(box_px) -> float:
    """Return the longer side of a box (4,), pixels, at least 1."""
    return float(max(box_px[2] - box_px[0], box_px[3] - box_px[1], 1.0))


def rotation_to_ray(ray: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) that takes the optical axis to ``ray`` (3,), z > 0."""
    x, y, z = _unit(np.asarray(ray, dtype=np.float64), (0.0, 0.0, 1.0))
    return np.array([
        [1 - x * x / (1 + z), -x * y / (1 + z), x],
        [-x * y / (1 + z), 1 - y * y / (1 + z), y],
        [-x, -y, z]])
