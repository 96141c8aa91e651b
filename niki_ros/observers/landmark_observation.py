"""
Observations with expected errors, made from BlazePose's 33 landmarks.

Figures were measured on Pose2Sim's balancing trial: four calibrated cameras, 100 frames each,
joints triangulated from all views (good to 2-3 cm), network ``full`` in the runtime of its
authors, without the frames where front and back were mistaken (32 of 400).
``test/observers/test_landmark_network.py`` measures the error of the joints with today's graph.
"""

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT, JOINTS_29
from niki_ros.common.replace import replace
from niki_ros.observers.landmark_errors import corrected_sigma, LandmarkErrors
from niki_ros.observers.landmark_joints import (
    CONSTRUCTED,
    HIPS,
    JOINTS_FROM_LANDMARKS,
    joints_from_landmarks,
    SHOULDERS,
)
from niki_ros.observers.landmark_lengths import bone_lengths
import numpy as np

_SIGMA_200MM = {
    'pelvis': 0.1, 'hip': 0.15, 'knee': 0.29, 'ankle': 0.33, 'foot': 0.36, 'big_toe': 0.4,
    'shoulder': 0.25, 'elbow': 0.34, 'wrist': 0.45, 'hand': 0.48, 'middle_finger': 0.52,
    'spine1': 0.25, 'spine2': 0.35, 'spine3': 0.35, 'neck': 0.3, 'collar': 0.35,
    'head': 0.35, 'head_top': 0.4}
SIGMA_VISIBLE = np.array([
    _SIGMA_200MM[joint.replace('left_', '').replace('right_', '')] for joint in JOINTS_29])
"""
(29,) sigma of a joint that is seen, units of 200 mm.

Limbs, head top: the median error per coordinate, relative to the hips. Where the network has no
such joint, chosen: the error of its neighbours or more. The errors divided by their sigma have a
root mean square of 0.9 (hips) to 1.4 (left wrist).
"""
LANDMARK_WEIGHTS = np.abs(JOINTS_FROM_LANDMARKS) / np.abs(JOINTS_FROM_LANDMARKS).sum(
    1, keepdims=True)
"""(29, 33) weight of the visibility of each landmark for each joint."""

_TRUNK = np.array([*SHOULDERS, *HIPS])
_HIP_JOINTS = [JOINT['left_hip'], JOINT['right_hip']]
_OTHER_JOINTS = [joint for joint in range(1, 29) if joint not in _HIP_JOINTS]
_CONSTRUCTED_JOINTS = [JOINT[name] for name in (*CONSTRUCTED, 'head', 'head_top')]


@dataclass(frozen=True)
class LandmarkSigmaNumbers:
    """Numbers of the expected errors."""

    seen_visibility: float = 0.95  # a joint is seen from this visibility on,
    hidden_visibility: float = 0.5  # and hidden below this
    hips_ratio: float = 0.5  # weight of the hips' additional sigma for all other joints
    keypoint_ratio: float = 0.015  # error of an image position over the size of the person,
    unseen_keypoint_ratio: float = 0.045  # and its increase as the visibility falls from 1 to 0
    # error of a constructed joint's image position over that of others; measured 5 % at the neck,
    # 3.4 % at the head top
    constructed_ratio: float = 3.0
    outside_ratio: float = 0.05  # a joint is outside from here on, over the size of the image
    box_visibility: float = 0.5  # the box is around landmarks with this visibility or more


_NUMBERS = LandmarkSigmaNumbers()


def within_0_1(values: np.ndarray) -> np.ndarray:
    """Return the values (...), limited to 0 … 1; numpy's clip takes three times as long."""
    return np.minimum(np.maximum(values, 0.0), 1.0)


def seen_share(normalized: np.ndarray, visibility: np.ndarray) -> tuple:
    """
    Return visibility (29,) of the joints, and how far they are outside the image (29,), 0 … 1.

    :param normalized: (33, 2) positions over width and height. :param visibility: (33,) 0 … 1.
    """
    beyond = np.maximum(-normalized, normalized - 1.0).max(axis=1)
    outside = within_0_1(beyond / _NUMBERS.outside_ratio)
    return LANDMARK_WEIGHTS @ within_0_1(visibility), LANDMARK_WEIGHTS @ outside


def joint_sigma(visible: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """
    Return sigma (..., 29), units of 200 mm, of visibility (..., 29) and outside (..., 29).

    While nothing occludes a person, visibility says little: a limb that its own body hides has
    40-70 mm per coordinate, as one that is seen. With rectangles in front of legs, an arm or the
    lower half (every camera, ``niki-evaluate occlude``) it says nearly all: below 0.5 a knee has
    113-161 mm, an ankle 216-324, an elbow 145-207, a wrist 245-338, and always in the same
    direction, so that no filter of independent errors removes it. In those clips 4 % of the legs
    and 7-10 % of the arms below 0.5 were hidden by nothing but their own body. Sigma therefore
    rises from the measured value at a visibility of 0.95 to 1 at 0.5, and to 1 outside the image.
    Where the hips are not seen all joints, which are relative to them, are worse: shoulders
    71-202 mm instead of 33-82 mm.
    """
    unseen = within_0_1((_NUMBERS.seen_visibility - visible)
                        / (_NUMBERS.seen_visibility - _NUMBERS.hidden_visibility))
    sigma = SIGMA_VISIBLE + unseen * (1.0 - SIGMA_VISIBLE)
    sigma = sigma + outside * (1.0 - sigma)
    hips = (sigma[..., _HIP_JOINTS] - SIGMA_VISIBLE[_HIP_JOINTS]).mean(-1, keepdims=True)
    sigma[..., _OTHER_JOINTS] = np.hypot(sigma[..., _OTHER_JOINTS], _NUMBERS.hips_ratio * hips)
    return np.minimum(sigma, 1.0)


def keypoint_sigma(visible: np.ndarray, outside: np.ndarray, size_px: float) -> np.ndarray:
    """
    Return the expected error (29,) of image positions, pixels; inf where there is no position.

    Measured over the height of the person, median over both coordinates: 2.0-2.5 % at a visibility
    above 0.9, 2.8 % at 0.7-0.9, 3.8 % at 0.5-0.7 where the body hides itself; behind something
    else 12-52 % below 0.5, which is no position at all.

    :param visible: (29,) 0 … 1. :param outside: (29,) 0 … 1. :param size_px: of the person.
    """
    ratio = _NUMBERS.keypoint_ratio + _NUMBERS.unseen_keypoint_ratio * (1.0 - visible)
    ratio[_CONSTRUCTED_JOINTS] *= _NUMBERS.constructed_ratio
    is_unknown = (outside > 0.5) | (visible < _NUMBERS.hidden_visibility)
    return np.where(is_unknown, np.inf, ratio * size_px)


def keypoints_from_landmarks(pixels, world_m, joints_m) -> np.ndarray:
    """
    Return image positions (29, 2) of the joints, pixels.

    A constructed joint has the same offset from the weighted sum of its landmarks as in 3D, with
    one scale for the person (weak perspective).

    :param pixels: (33, 2) landmarks in the image. :param world_m: (33, 3) landmarks, camera axes.
    :param joints_m: (29, 3) joints made from ``world_m``.
    """
    flat, plane = pixels - pixels.mean(0), world_m[:, :2] - world_m[:, :2].mean(0)
    px_per_m = (flat * plane).sum() / max((plane * plane).sum(), 1e-9)
    placed = joints_m + (world_m[HIPS[0]] - joints_m[JOINT['left_hip']])
    off_m = (placed - JOINTS_FROM_LANDMARKS @ world_m)[:, :2]
    return JOINTS_FROM_LANDMARKS @ pixels + px_per_m * off_m


def observation_from_landmarks(normalized, world_m, visibility, image_size,
                               at_peak=1.0) -> JointObservation:
    """
    Return the observation of one person, without correction.

    :param normalized: (33, 2) positions over width and height. :param visibility: (33,) 0 … 1.
    :param world_m: (33, 3) relative to the middle of the hips, camera axes, metres.
    :param image_size: width and height, pixels. :param at_peak: as of :func:`observation_of`.
    """
    normalized = np.asarray(normalized, dtype=np.float64)
    visibility = np.asarray(visibility, dtype=np.float64)
    world_m = np.asarray(world_m, dtype=np.float64)
    pixels = normalized * np.asarray(image_size, dtype=np.float64)
    joints_m = joints_from_landmarks(world_m)
    visible, outside = seen_share(normalized, np.minimum(visibility, at_peak))
    box = visible_box(pixels, normalized, visibility, image_size)
    lengths_m, length_sigma_m = bone_lengths(joints_m)
    return JointObservation(
        joints_m=joints_m.astype(np.float32),
        sigma_200mm=joint_sigma(visible, outside).astype(np.float32),
        keypoints_px=keypoints_from_landmarks(pixels, world_m, joints_m).astype(np.float32),
        box_px=box.astype(np.float32),
        score=float(within_0_1(visibility.take(_TRUNK)).mean()),
        keypoint_sigma_px=keypoint_sigma(visible, outside, box_size(box)).astype(np.float32),
        lengths_m=lengths_m, length_sigma_m=length_sigma_m)


def observation_of(normalized, world_m, visible, size, camera_from_upright,
                   errors: Optional[LandmarkErrors] = None, at_peak=1.0) -> JointObservation:
    """
    Return the observation of one person.

    :param normalized: (33, 2) image positions over width and height.
    :param world_m: (33, 3) relative to the middle of the hips, axes of a camera that points at the
        person, metres.
    :param visible: (33,) visibility 0 … 1. :param size: width and height of the image, pixels.
    :param camera_from_upright: (3, 3) rotation from those axes to the camera's.
    :param at_peak: (33,) 0 … 1, whether the landmark is where its heat map has a peak; the joints
        made of it are seen no better than that.
    """
    one = observation_from_landmarks(normalized, world_m @ camera_from_upright.T, visible, size,
                                     at_peak)
    if errors is None:
        return one
    correction_m, correction_ratio = errors(normalized, world_m, visible)
    joints = one.joints_m + correction_m @ camera_from_upright.T
    pixels = one.keypoints_px + correction_ratio * box_size(one.box_px)
    return replace(one, uncorrected_m=one.joints_m, sigma_200mm=corrected_sigma(one.sigma_200mm),
                   joints_m=(joints - joints[0]).astype(np.float32),
                   keypoints_px=pixels.astype(np.float32))


def box_size(box_px) -> float:
    """Return the longer side of a box (4,), pixels, at least 1."""
    return float(max(box_px[2] - box_px[0], box_px[3] - box_px[1], 1.0))


def visible_box(pixels, normalized, visibility, image_size) -> np.ndarray:
    """
    Return the box (4,) of the visible points inside the image; of all where few are.

    :param pixels: (n, 2). :param normalized: (n, 2) the same over width and height.
    :param visibility: (n,) 0 … 1. :param image_size: width and height, pixels.
    """
    seen = ((visibility >= _NUMBERS.box_visibility)
            & (normalized >= 0).all(1) & (normalized <= 1).all(1))
    if seen.sum() < 3:
        seen = np.ones(len(pixels), dtype=bool)
    limit = np.asarray(image_size, dtype=np.float64)
    corners = np.array([pixels[seen].min(0), pixels[seen].max(0)])
    return np.minimum(np.maximum(corners, 0.0), limit).ravel()
