"""What the runtime does around the network: shape, trunk frame, filter, refinement."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.shape import betas_from_joints, resized_betas
from niki_ros.body.skeleton import open_skeleton
from niki_ros.body.trunk_frame import trunk_frame
from niki_ros.solvers.joint_filter import JointFilter
from niki_ros.solvers.refine import refine_rotations
import numpy as np

SKELETON = open_skeleton()


def posed(count=20, seed=0):
    rng = np.random.default_rng(seed)
    rotmat = rotmat_from_rotvec(rng.normal(size=(count, 24, 3)) * 0.4)
    return rotmat, forward_kinematics(rotmat, SKELETON.offsets())[0]


def test_shape_of_a_scaled_body_is_exact_and_wrong_limbs_do_not_count():
    joints = posed()[1] * np.linspace(0.85, 1.15, 20)[:, None, None]
    truth = SKELETON.bone_lengths() * np.linspace(0.85, 1.15, 20)[:, None]

    def error(noisy):
        betas = betas_from_joints(noisy, np.zeros((20, 29)), SKELETON)
        return np.abs(SKELETON.bone_lengths(betas) - truth).max()

    assert error(joints) < 2e-4
    silent = joints.copy()
    silent[:, [18, 20, 22, 25]] += np.random.default_rng(1).normal(size=(20, 4, 3)) * 0.2
    assert error(silent) < 5e-3


def test_resized_grows_every_bone_alike():
    betas = np.random.default_rng(0).normal(size=(3, 10))
    bigger = resized_betas(betas, np.full(3, 0.1), SKELETON)
    assert np.allclose(SKELETON.rest(bigger), np.exp(0.1) * SKELETON.rest(betas), atol=1e-6)


def test_trunk_frame_turns_with_the_body():
    _, joints = posed()
    turn = rotmat_from_rotvec(np.asarray([0.3, -2.0, 0.5]))
    sigma = np.zeros((20, 29))
    one = trunk_frame(joints, sigma, SKELETON.rest_joints_m)
    two = trunk_frame(joints @ turn.T + 0.2, sigma, SKELETON.rest_joints_m)
    assert np.allclose(one.to_trunk(joints), two.to_trunk(joints @ turn.T + 0.2), atol=1e-9)


def test_refine_meets_trusted_joints_and_leaves_hidden_ones():
    rotmat, joints = posed()
    start = rotmat @ rotmat_from_rotvec(np.random.default_rng(2).normal(size=(20, 24, 3)) * 0.02)
    offsets = np.broadcast_to(SKELETON.offsets(), (20, 29, 3))
    first, _ = forward_kinematics(start, offsets)
    sigma = np.zeros((20, 29))
    _, found = refine_rotations(start, offsets, joints, sigma)
    assert np.linalg.norm(found - joints, axis=-1).mean() < 1e-3
    unchanged, _ = refine_rotations(start, offsets, joints + 1.0, np.ones((20, 29)))
    assert np.allclose(unchanged, start)
    lengths = np.linalg.norm(found[:, 4] - found[:, 1], axis=-1)
    assert np.allclose(lengths, SKELETON.bone_lengths()[4])
    assert np.linalg.norm(first - joints, axis=-1).mean() > 5e-3


def test_filter_passes_exact_joints_and_carries_hidden_ones_on():
    still = np.broadcast_to(SKELETON.rest_joints_m, (1, 29, 3))
    rng = np.random.default_rng(0)
    state = JointFilter()
    for t in range(30):
        seen, sigma = state.step(still + [0.01 * t, 0, 0], np.zeros((1, 29)), 1 / 30)
    assert np.abs(seen - still - [0.29, 0, 0]).max() < 2e-3 and sigma.max() < 0.02
    doubt = []
    for _ in range(30):
        seen, sigma = state.step(rng.normal(size=(1, 29, 3)), np.ones((1, 29)), 1 / 30)
        doubt.append(sigma.min())
    assert doubt[0] < 0.2 < doubt[-1]
    noisy = JointFilter()
    errors = []
    for _ in range(60):
        seen, _ = noisy.step(still + 0.04 * rng.normal(size=(1, 29, 3)),
                             np.full((1, 29), 0.2), 1 / 30)
        errors.append(np.abs(seen - still).mean())
    assert np.mean(errors[20:]) < 0.75 * errors[0]
