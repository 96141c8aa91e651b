"""URDF and revolute angles against scipy, and against yourdfpy as an independent judge."""

import io

from niki_ros.body.rotations import angle_rad, rotmat_from_rotvec
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
from niki_ros.robot_model import revolute_joints, urdf
import numpy as np
import pytest
from scipy.spatial.transform import Rotation


def poses(count, spread_rad, seed=3):
    rng = np.random.default_rng(seed)
    return rotmat_from_rotvec(rng.normal(size=(count, 24, 3)) * spread_rad)


def rotmat_from_revolute(angles):
    """Return local rotations (24, 3, 3) in body axes by scipy from angles (23, 3) in radians."""
    rotmat, to_ros = np.tile(np.eye(3), (24, 1, 1)), revolute_joints.ROS_FROM_BODY
    for joint, order in enumerate(revolute_joints.AXIS_ORDER):
        in_sequence = angles[joint][revolute_joints.AXIS_INDICES[joint]]
        turned = Rotation.from_euler(order.upper(), in_sequence).as_matrix()
        rotmat[joint + 1] = to_ros.T @ turned @ to_ros
    return rotmat


@pytest.mark.parametrize('spread_rad', [0.0, 0.1, 1.0, 3.0])
def test_angles_give_the_rotation_back(spread_rad):
    for rotmat in poses(50, spread_rad):
        back = rotmat_from_revolute(revolute_joints.revolute_from_rotmat(rotmat))
        assert angle_rad(back[1:], rotmat[1:]).max() < 1e-6


def test_agrees_with_scipy():
    """The triple is that of scipy's intrinsic sequence where the middle angle is small."""
    rotmat = poses(1, 0.4)[0]
    ours = revolute_joints.revolute_from_rotmat(rotmat)
    turned = Rotation.from_matrix(revolute_joints.ros_rotmats(rotmat)[1:])
    for joint, order in enumerate(revolute_joints.AXIS_ORDER):
        theirs = turned[joint].as_euler(order.upper())
        assert np.allclose(ours[joint]['xyz'.index(order[0])], theirs[0], atol=1e-9)
        assert np.allclose(ours[joint]['xyz'.index(order[2])], theirs[2], atol=1e-9)


def test_continuous_through_the_singularity():
    """The middle joint swings from 0 to 150° and back: no angle jumps."""
    previous, largest = None, 0.0
    for middle in np.radians(np.concatenate([np.arange(0, 150.5, 1.0), np.arange(150, -1, -1.0)])):
        angles = np.full((23, 3), 0.1)
        for joint, order in enumerate(revolute_joints.AXIS_ORDER):
            angles[joint]['xyz'.index(order[1])] = middle
        rotmat = rotmat_from_revolute(angles)
        found = revolute_joints.revolute_from_rotmat(rotmat, previous)
        assert angle_rad(rotmat_from_revolute(found)[1:], rotmat[1:]).max() < 2e-6
        if previous is not None:
            largest = max(largest, np.abs(found - previous).max())
        previous = found
    assert largest < np.radians(2.0)


@pytest.mark.parametrize('middle', [90.0, -90.0])
def test_at_the_singularity(middle):
    angles = np.full((23, 3), 0.3)
    for joint, order in enumerate(revolute_joints.AXIS_ORDER):
        angles[joint]['xyz'.index(order[1])] = np.radians(middle)
    rotmat = rotmat_from_revolute(angles)
    found = revolute_joints.revolute_from_rotmat(rotmat)
    assert angle_rad(rotmat_from_revolute(found)[1:], rotmat[1:]).max() < 1e-5
    kept = revolute_joints.revolute_from_rotmat(rotmat, angles)
    assert np.allclose(kept, angles, atol=1e-6)
    rates = revolute_joints.revolute_rates(kept, np.full((24, 3), 2.0))
    assert np.isfinite(rates).all() and np.abs(rates).max() < 100


def test_endless_turning_stays_within_limits():
    previous = None
    for angle in np.arange(0, 20 * np.pi, 0.2):
        previous = revolute_joints.revolute_from_rotmat(
            rotmat_from_revolute(np.full((23, 3), [0.0, angle, 0.0])), previous)
        assert np.abs(previous).max() <= 2 * np.pi


def test_rates_are_the_derivative():
    rotmat, dt = poses(1, 0.5)[0], 1e-6
    omega = np.random.default_rng(5).normal(size=(24, 3))
    later = rotmat @ rotmat_from_rotvec(omega * dt)
    angles = revolute_joints.revolute_from_rotmat(rotmat)
    difference = (revolute_joints.revolute_from_rotmat(later, angles) - angles) / dt
    assert np.allclose(revolute_joints.revolute_rates(angles, omega), difference, atol=1e-4)


@pytest.mark.parametrize('prefix', ['', 'left_camera/', '<"&\'/'])
def test_yourdfpy_agrees(prefix):
    yourdfpy = pytest.importorskip('yourdfpy')
    offsets = open_skeleton().offsets(np.linspace(-1, 1, 10))
    rotmat = poses(1, 1.0)[0]
    text = urdf.urdf_from_offsets(offsets, prefix, 7)
    robot = yourdfpy.URDF.load(io.BytesIO(text.encode()), load_meshes=False)
    angles = revolute_joints.revolute_from_rotmat(rotmat).ravel()
    robot.update_cfg(dict(zip(urdf.REVOLUTE_NAMES, angles)))
    names = urdf.link_names(prefix, 7)
    positions, rotations = urdf.link_poses(rotmat, offsets)
    assert names[0] == f'{prefix}body_7' and len(names) == 1 + len(JOINTS_29)
    for index, name in enumerate(names[1:]):
        pose = robot.get_transform(name, names[0])
        assert np.allclose(pose[:3, 3], positions[index], atol=1e-5)
        assert angle_rad(pose[:3, :3], rotations[index]) < 1e-5
