"""Rotations against scipy, and at singular angles."""

from niki_ros.body import rotations as rot
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

SPECIAL = np.array([[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0], [0, 0, -np.pi], [1e-9, 0, 0],
                    [np.pi - 1e-9, 0, 0], [1e-4, 1e-4, 0], [np.pi / np.sqrt(2)] * 2 + [0]])


@pytest.fixture
def rotvec():
    """Return ordinary and special rotation vectors (n, 3)."""
    return np.concatenate([SPECIAL, np.random.default_rng(0).normal(size=(500, 3)) * 1.5])


def test_rotvec_agrees_with_scipy(rotvec):
    np.testing.assert_allclose(
        rot.rotmat_from_rotvec(rotvec), Rotation.from_rotvec(rotvec).as_matrix(), atol=1e-12)


def test_round_trips(rotvec):
    rotmat = rot.rotmat_from_rotvec(rotvec)
    back = rot.rotvec_from_rotmat(rotmat)
    np.testing.assert_allclose(rot.rotmat_from_rotvec(back), rotmat, atol=1e-9)
    assert np.linalg.norm(back, axis=1).max() <= np.pi + 1e-9
    again = rot.rotmat_from_rot6d(rot.rot6d_from_rotmat(rotmat))
    np.testing.assert_allclose(again, rotmat, atol=1e-12)
    quat = Rotation.from_quat(rot.quat_xyzw_from_rotmat(rotmat)).as_matrix()
    np.testing.assert_allclose(quat, rotmat, atol=1e-9)


@pytest.mark.parametrize('target', ['random', 'same', 'opposite'])
def test_swing_turns_rest_onto_observed(target):
    rest = np.random.default_rng(1).normal(size=(200, 3))
    observed = {'random': np.roll(rest, 1, 0), 'same': rest * 3, 'opposite': -rest}[target]
    swing = rot.swing_rotmat(rest, observed)
    turned = np.einsum('nij,nj->ni', swing, rot.unit(rest))
    np.testing.assert_allclose(turned, rot.unit(observed), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(swing), 1.0)


def test_swing_of_a_zero_bone_is_the_identity():
    np.testing.assert_array_equal(rot.swing_rotmat(np.zeros(3), np.ones(3)), np.eye(3))


def test_fit_of_point_sets_never_mirrors():
    rng = np.random.default_rng(3)
    rest = rng.normal(size=(50, 4, 3))
    true = rot.rotmat_from_rotvec(rng.normal(size=(50, 3)))
    turned = np.einsum('nij,nkj->nki', true, rest)
    found = rot.rotmat_from_point_sets(rest, turned, np.ones((50, 4)))
    np.testing.assert_allclose(found, true, atol=1e-9)
    mirrored = rot.rotmat_from_point_sets(rest, rest * [-1, 1, 1], np.ones((50, 4)))
    np.testing.assert_allclose(np.linalg.det(mirrored), 1.0)


def test_angle():
    assert rot.angle_rad(rot.rotmat_from_rotvec(np.array([0, 2.0, 0]))) == pytest.approx(2.0)
