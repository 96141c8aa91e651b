"""The closed-form solver."""

from niki_ros import load_solver
from niki_ros.body.kinematics import CHILDREN, forward_kinematics
from niki_ros.body.rotations import quat_xyzw_from_rotmat, unit
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError, ModelError
import numpy as np
import pytest
from scenes import random_pose


@pytest.fixture
def people():
    """Return the joints (20, 29, 3) and rotations of twenty people of different size."""
    rng = np.random.default_rng(0)
    rotmat = random_pose(rng, 20)
    # bodies whose three-child joints keep their shape: the tree is rigid there
    betas = np.zeros((20, 10))
    betas[:, 0] = rng.normal(size=20) * 1.5
    joints, _ = forward_kinematics(rotmat, open_skeleton().offsets(betas))
    return joints, rotmat, betas


def test_clean_joints_are_reproduced(people):
    joints, _, betas = people
    solution = load_solver('analytic').solve(joints, np.zeros((20, 29)))
    assert np.abs(solution.joints_m - joints).max() < 1e-3
    np.testing.assert_allclose(solution.betas[:, 0], betas[:, 0], atol=0.01)


def test_rotations_with_twist_are_exact(people):
    joints, rotmat, betas = people
    offsets = open_skeleton().offsets()
    cos_sin = np.zeros((20, 23, 2))
    for joint in range(1, 24):
        bone = unit(offsets[CHILDREN[joint][0]])
        quat_xyzw = quat_xyzw_from_rotmat(rotmat[:, joint])
        angle = 2 * np.arctan2(quat_xyzw[:, :3] @ bone, quat_xyzw[:, 3])
        cos_sin[:, joint - 1] = np.stack([np.cos(angle), np.sin(angle)], -1)
    solution = load_solver('analytic').solve(joints, np.zeros((20, 29)), cos_sin, betas)
    np.testing.assert_allclose(solution.rotmat, rotmat, atol=1e-4)


def test_same_input_same_bits(people):
    solver = load_solver('analytic')
    one, two = (solver.solve(people[0], np.full((20, 29), 0.1)) for _ in range(2))
    assert one.rotmat.tobytes() == two.rotmat.tobytes()


def test_coinciding_joints_give_rotations():
    solution = load_solver('analytic').solve(np.zeros((1, 29, 3)), np.ones((1, 29)))
    np.testing.assert_allclose(
        solution.rotmat @ np.swapaxes(solution.rotmat, -1, -2),
        np.broadcast_to(np.eye(3), (1, 24, 3, 3)), atol=1e-6)
    assert solution.confidence.max() == 0


@pytest.mark.parametrize('joints, sigma, fact', [
    (np.zeros((0, 29, 3)), np.zeros((0, 29)), r'\(0, 29, 3\)'),
    (np.zeros((1, 24, 3)), np.zeros((1, 24)), r'\(1, 24, 3\)'),
    (np.zeros((29, 3)), np.zeros(29), r'\(29, 3\)'),
    (np.full((1, 29, 3), np.nan), np.zeros((1, 29)), 'nan'),
    (np.full((1, 29, 3), np.inf), np.zeros((1, 29)), 'inf'),
    (np.zeros((1, 29, 3)), np.full((1, 29), -0.5), '-0.5'),
    (np.zeros((1, 29, 3)), np.full((1, 29), 7.0), '7'),
    ('people', np.zeros((1, 29)), 'joints_m'),
])
def test_invalid_input_is_refused(joints, sigma, fact):
    with pytest.raises(InputError, match=fact):
        load_solver('analytic').solve(joints, sigma)


def test_track_has_no_leading_axis(people):
    solution = load_solver('analytic').start_track().step(people[0][0], np.zeros(29), 0)
    assert solution.rotmat.shape == (24, 3, 3) and solution.confidence.shape == (24,)


def test_unknown_solver_is_refused():
    with pytest.raises(ModelError, match='nikki'):
        load_solver('nikki')
