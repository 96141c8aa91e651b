"""Keypoints for the lifter, made from BlazePose's 33 landmarks."""

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINT_IS_JOINT, KeypointRays, KEYPOINTS
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import length
from niki_ros.body.skeleton import JOINT
from niki_ros.scene.camera import Camera
import numpy as np

_LANDMARKS = ((23,), (24,), (25,), (26,), (27,), (28,), (11,), (12,), (13,), (14,), (15,), (16,),
              (0,), (7,), (8,), (29,), (30,), (31,), (32,), (17, 19), (18, 20))
_HIPS = [JOINT['left_hip'], JOINT['right_hip']]
_OPTICAL_AXIS = np.array([0.0, 0.0, 1.0])


def _keypoints_from_landmarks() -> np.ndarray:
    """Return the weights (21, 33) that make each keypoint a mean of landmarks."""
    weights = np.zeros((len(KEYPOINTS), 33))
    for row, landmarks in zip(weights, _LANDMARKS):
        row[list(landmarks)] = 1 / len(landmarks)
    return weights


KEYPOINTS_FROM_LANDMARKS = _keypoints_from_landmarks()


def keypoint_rays(landmark_rays, visible, landmarks_m, observation: JointObservation,
                  camera: Camera) -> KeypointRays:
    """
    Return the keypoints of one person: the observed joints, and landmarks that are no joints.

    :param landmark_rays: (33, 3) directions, camera's optical axes.
    :param visible: (33,) visibility, 0 … 1.
    :param landmarks_m: (33, 3) relative to the middle of the hips, camera's optical axes, metres.
    :param observation: made from these landmarks, with the learned correction where there is one.
    """
    unit = landmark_rays / length(landmark_rays)[:, None]
    rays = KEYPOINTS_FROM_LANDMARKS @ unit
    joint_rays = camera.rays(observation.keypoints_px.take(JOINT_OF_KEYPOINT, 0))
    joints_m, own_m = (_from_hips(joints) for joints in (
        observation.joints_m, observation.own_joints_m))
    # a landmark is off by as much as the joint next to it
    guess_m = KEYPOINTS_FROM_LANDMARKS @ landmarks_m + joints_m - own_m
    known = KEYPOINT_IS_JOINT & np.isfinite(joint_rays).all(1)
    rays = np.where(known[:, None], joint_rays, rays)
    seen = KEYPOINTS_FROM_LANDMARKS @ visible
    # the calibration of the lens gives no direction there
    outside_lens = ~np.isfinite(rays).all(1)
    if outside_lens.any():
        rays[outside_lens], seen[outside_lens] = _OPTICAL_AXIS, 0.0
    return KeypointRays(rays, seen, np.where(KEYPOINT_IS_JOINT[:, None], joints_m, guess_m))


def _from_hips(joints_m) -> np.ndarray:
    """Return the joints (21, 3) of the keypoints relative to the middle of the hips."""
    left, right = joints_m[_HIPS[0]], joints_m[_HIPS[1]]
    return joints_m.take(JOINT_OF_KEYPOINT, 0) - (left + right) / 2
