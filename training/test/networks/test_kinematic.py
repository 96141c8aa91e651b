"""The kinematic layer: any tree, in the plane and in space, differentiable, the core's numbers."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton, PARENTS_29
from niki_ros.common.errors import InputError
from niki_training.networks.kinematic import (
    axis_angle_rotmat,
    joint_limit_loss,
    KinematicLayer,
    planar_rotmat,
    rotmat_from_rot6d,
)
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
import torch

TREE = (-1, 0, 1, 0, 3)
PLANAR = [(0, 1.0), (1, 1.0), (3, -1.0)]
SPATIAL = [(1, (1.0, 0, 0)), (0, (0, 0, 1.0)), (1, (0, 1.0, 0)), (3, (1.0, 1.0, 0))]


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def planar_layer(**options):
    return KinematicLayer(TREE, offsets=normal(5, 2), hinges=PLANAR, **options)


def spatial_layer():
    return KinematicLayer(TREE, offsets=normal(5, 3), hinges=SPATIAL)


@pytest.mark.parametrize('layer, rotmat_from, sizes', [
    (planar_layer(), planar_rotmat, [(2, 2), (2,), (2, 3), (2, 5)]),
    (spatial_layer(), rotmat_from_rot6d, [(2, 3), (2, 6), (2, 4), (2,)])])
def test_gradients_of_root_turn_angles_and_scale(layer, rotmat_from, sizes):
    inputs = [normal(*size, seed=k).requires_grad_() for k, size in enumerate(sizes)]
    assert torch.autograd.gradcheck(
        lambda root, turn, *more: layer.pose(root, rotmat_from(turn), *more), inputs)


def test_gradients_of_matrices_and_limits():
    layer = KinematicLayer(TREE)
    matrices = torch.tensor(Rotation.random(5, random_state=0).as_matrix()[None])
    assert torch.autograd.gradcheck(layer, (matrices.requires_grad_(), normal(1, 5, 3)))
    angles = normal(4, 3, seed=5).requires_grad_()
    bound = planar_layer(limits=torch.tensor([[-0.5, 0.5]] * 3, dtype=torch.float64))
    assert torch.autograd.gradcheck(bound.limit_loss, (angles,))


def test_angles_about_axes_are_the_cores_joints():
    skeleton, rng = open_skeleton(), np.random.default_rng(0)
    hinges = [(joint, axis) for joint in range(1, 24) for axis in np.eye(3)]
    angles = rng.normal(size=(6, 69))
    root, first = rng.normal(size=(6, 1, 3)), rotmat_from_rotvec(rng.normal(size=(6, 3)))
    local = np.empty((6, 24, 3, 3))
    local[:, 0] = first
    # scipy's capital letters: intrinsic, the first axis outermost, as the layer's hinges
    local[:, 1:] = Rotation.from_euler('XYZ', angles.reshape(-1, 3)).as_matrix().reshape(
        6, 23, 3, 3)
    offsets = skeleton.offsets() * 1.1
    truth, _ = forward_kinematics(local, offsets)
    given = KinematicLayer(PARENTS_29, 24)(torch.tensor(local), torch.tensor(offsets))
    assert np.abs(given.numpy() - truth).max() < 1e-6
    for dtype, limit_m in ((torch.float64, 1e-6), (torch.float32, 4e-6)):
        layer = KinematicLayer(
            PARENTS_29, 24, torch.tensor(skeleton.offsets(), dtype=dtype), hinges)
        found = layer.pose(*(torch.tensor(x, dtype=dtype) for x in (
            root[:, 0], first, angles, np.full(6, 1.1))))
        assert found.dtype == dtype
        assert np.abs(found.numpy() - (truth + root)).max() < limit_m


def test_bone_lengths_hold_and_scale():
    for layer, d in ((planar_layer(), 2), (spatial_layer(), 3)):
        angles = normal(3, len(layer.axes), seed=4)
        turn = planar_rotmat(normal(3)) if d == 2 else rotmat_from_rot6d(normal(3, 6))
        scale = torch.rand(3, 5, dtype=torch.float64) + 0.5
        joints = layer.pose(normal(3, d), turn, angles, scale)
        bones = (joints[:, 1:] - joints[:, list(TREE[1:])]).norm(dim=-1)
        assert torch.allclose(bones, layer.offsets[1:].norm(dim=-1) * scale[:, 1:])


def test_a_two_bone_arm_by_hand():
    layer = KinematicLayer((-1, 0, 1), offsets=torch.tensor([[0.0, 0], [2, 0], [1, 0]]),
                           hinges=[(1, 1.0)])
    quarter = torch.tensor(torch.pi / 2)
    joints = layer.pose(torch.tensor([5.0, 5.0]), planar_rotmat(quarter), quarter[None])
    assert torch.allclose(joints, torch.tensor([[5.0, 5], [5, 7], [4, 7]]), atol=1e-6)


def test_limits_are_a_squared_hinge():
    angle = torch.tensor([[-1.0, 0.0, 2.0]])
    assert joint_limit_loss(angle, -0.5, 0.5).item() == pytest.approx((0.25 + 2.25) / 3)
    assert joint_limit_loss(angle, -1.0, 2.0).item() == 0


def test_what_cannot_be_a_tree_is_refused():
    with pytest.raises(InputError, match='joint 1 has the parent 2'):
        KinematicLayer((-1, 2, 0))
    with pytest.raises(InputError, match='offsets'):
        KinematicLayer((-1, 0), hinges=[(0, 1.0)])
    with pytest.raises(InputError, match='hinge 0'):
        KinematicLayer((-1, 0), 1, torch.zeros(2, 3), [(1, (1.0, 0, 0))])


def test_axis_angle_is_scipys():
    axis = np.array([0.6, 0.0, 0.8])
    found = axis_angle_rotmat(torch.tensor(axis), torch.tensor(0.7, dtype=torch.float64))
    assert np.allclose(found.numpy(), Rotation.from_rotvec(0.7 * axis).as_matrix())
