"""Joints and observations from 33 landmarks of a known body."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT, JOINTS_29, MIRROR_29, open_skeleton
from niki_ros.observers.landmark_joints import (
    JOINTS_FROM_LANDMARKS,
    joints_from_landmarks,
    rotation_to_ray,
)
from niki_ros.observers.landmark_observation import (
    joint_sigma,
    keypoint_sigma,
    observation_from_landmarks,
    SIGMA_VISIBLE,
)
import numpy as np
import pytest

FACING = np.diag([1.0, -1.0, -1.0])
PAIRS = {'shoulder': 11, 'elbow': 13, 'wrist': 15, 'hip': 23, 'knee': 25, 'ankle': 27,
         'big_toe': 31}
MIRROR_33 = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9] + [i + (1 if i % 2 else -1) for i in range(11, 33)]


def standing_landmarks() -> np.ndarray:
    """Landmarks (33, 3) around the hips of the open skeleton in T-pose, facing the camera."""
    rest = open_skeleton().rest_joints_m
    points = np.zeros((33, 3))
    for kind, index in PAIRS.items():
        points[index] = rest[JOINT[f'left_{kind}']]
        points[index + 1] = rest[JOINT[f'right_{kind}']]
    for knuckle in (17, 19):
        points[knuckle], points[knuckle + 1] = (
            rest[JOINT['left_hand']], rest[JOINT['right_hand']])
    ears = rest[JOINT['head_top']] - (0.0, 0.126, 0.03)
    points[7], points[8] = ears + (0.075, 0, 0), ears - (0.075, 0, 0)
    points[0] = ears + (0, 0, 0.12)
    points[2], points[5] = ears + (0.03, 0, 0.09), ears + (-0.03, 0, 0.09)
    points -= points[[23, 24]].mean(0)
    return points @ FACING.T


def test_joints_of_the_open_skeleton():
    joints = joints_from_landmarks(standing_landmarks())
    expected = open_skeleton().rest_joints_m @ FACING.T
    error = np.linalg.norm(joints - expected, axis=1)
    seen = [JOINT[f'{side}_{kind}'] for kind in PAIRS for side in ('left', 'right')]
    assert error[seen].max() < 0.001
    assert error.max() < 0.02, JOINTS_29[int(error.argmax())]


@pytest.mark.parametrize('scale', [0.6, 1.0, 1.3])
def test_joints_are_equivariant_to_rotation_and_scale(scale):
    points = standing_landmarks()
    turn = rotmat_from_rotvec(np.array([0.4, -1.1, 0.7]))
    joints = joints_from_landmarks(points)
    np.testing.assert_allclose(
        joints_from_landmarks(scale * points @ turn.T), scale * joints @ turn.T, atol=1e-9)


def test_mirrored_landmarks_give_mirrored_joints():
    rng = np.random.default_rng(3)
    points = standing_landmarks() + rng.normal(scale=0.05, size=(33, 3))
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = joints_from_landmarks(points[MIRROR_33] * flip)
    np.testing.assert_allclose(
        mirrored, joints_from_landmarks(points)[list(MIRROR_29)] * flip, atol=1e-9)


def test_degenerate_landmarks_give_finite_joints():
    assert np.isfinite(joints_from_landmarks(np.zeros((33, 3)))).all()
    line = np.zeros((33, 3))
    line[:, 1] = np.linspace(-1, 1, 33)
    assert np.isfinite(joints_from_landmarks(line)).all()


def test_weights_of_every_joint_sum_to_one():
    np.testing.assert_allclose(JOINTS_FROM_LANDMARKS.sum(1), 1.0, atol=1e-12)


def test_sigma_grows_as_visibility_falls_and_is_one_outside_the_image():
    values = [joint_sigma(np.full(29, v), np.zeros(29)) for v in (1.0, 0.5, 0.0)]
    np.testing.assert_allclose(values[0], SIGMA_VISIBLE)
    assert (values[0] < values[1]).all() and (values[1] <= values[2]).all()
    assert values[2].max() <= 1.0
    np.testing.assert_allclose(joint_sigma(np.ones(29), np.ones(29)), 1.0)


def test_unseen_hips_raise_sigma_of_all_joints():
    visible = np.ones(29)
    visible[[JOINT['left_hip'], JOINT['right_hip']]] = 0.0
    sigma = joint_sigma(visible, np.zeros(29))
    assert (sigma[1:] > SIGMA_VISIBLE[1:]).all()


def test_sigma_of_keypoints():
    inside = keypoint_sigma(np.ones(29), np.zeros(29), 500.0)
    assert inside[JOINT['left_knee']] == pytest.approx(7.5)
    assert np.isinf(keypoint_sigma(np.ones(29), np.ones(29), 500.0)).all()


def test_a_person_cut_off_at_the_waist_has_legs_of_sigma_one():
    points = standing_landmarks()
    normalized = 0.5 + 0.4 * points[:, :2]
    normalized[23:, 1] += 1.0
    seen = observation_from_landmarks(normalized, points, np.ones(33), (640, 480))
    legs = [JOINT[f'{side}_{kind}'] for side in ('left', 'right') for kind in ('knee', 'ankle')]
    assert (seen.sigma_200mm[legs] > 0.99).all() and np.isinf(seen.keypoint_sigma_px[legs]).all()
    assert seen.sigma_200mm[JOINT['left_elbow']] < 0.6
    assert seen.box_px[3] <= 480
    assert seen.joints_m.dtype == seen.sigma_200mm.dtype == np.float32


def test_keypoints_and_box_are_pixels():
    points = standing_landmarks()
    normalized = 0.5 + 0.2 * points[:, :2]
    seen = observation_from_landmarks(normalized, points, np.ones(33), (1000, 500))
    np.testing.assert_allclose(
        seen.keypoints_px[JOINT['left_knee']], normalized[25] * (1000, 500), rtol=1e-5)
    assert seen.box_px[0] == pytest.approx(normalized[:, 0].min() * 1000, rel=1e-5)
    assert seen.score == 1.0


def test_constructed_keypoints_are_projections():
    points = standing_landmarks() @ rotmat_from_rotvec(np.array([0.3, 0.8, -0.4])).T
    seen = observation_from_landmarks(0.5 + 0.2 * points[:, :2], points, np.ones(33), (500, 500))
    np.testing.assert_allclose(
        seen.keypoints_px - seen.keypoints_px[0], 100 * seen.joints_m[:, :2], atol=0.01)


@pytest.mark.parametrize('ray', [(0, 0, 1), (0.5, -0.3, 1), (-2, 0, 1)])
def test_rotation_to_ray(ray):
    rotation = rotation_to_ray(np.array(ray, dtype=float))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation[:, 2], np.array(ray) / np.linalg.norm(ray))
