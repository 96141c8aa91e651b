"""Forward kinematics against the plain recursion, and properties of the skeleton."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import (
    BODY_24,
    JOINTS_29,
    MIRROR_29,
    OPEN_SKELETON,
    open_skeleton,
    PARENTS_29,
    Skeleton,
)
from niki_ros.common.errors import InputError, ModelError
import numpy as np
import pytest
from scenes import random_pose


def test_agrees_with_the_plain_recursion():
    offsets = open_skeleton().offsets(np.random.default_rng(1).normal(size=(7, 10)))
    rotmat = random_pose(np.random.default_rng(0), 7, 1.0)
    joints, turned = forward_kinematics(rotmat, offsets)
    for n in range(7):
        place, world = [np.zeros(3)], [rotmat[n, 0]]
        for joint in range(1, 29):
            parent = PARENTS_29[joint]
            place.append(place[parent] + world[parent] @ offsets[n, joint])
            world.append(world[parent] @ rotmat[n, joint] if joint < 24 else None)
        np.testing.assert_allclose(joints[n], place, atol=1e-12)
        np.testing.assert_allclose(turned[n], world[:24], atol=1e-12)


def test_rest_pose_is_a_t_pose_of_a_grown_person():
    rest = open_skeleton().rest_joints_m
    assert rest[JOINTS_29.index('left_wrist')][0] > 0.5, 'x is the left side'
    assert 1.6 < np.ptp(rest[:, 1]) < 1.8
    np.testing.assert_allclose(rest[list(MIRROR_29)] * [-1, 1, 1], rest, atol=1e-6)
    assert len(BODY_24) == 24 and all(p < j for j, p in enumerate(PARENTS_29[:24]))


def test_the_first_shape_value_is_exact_size():
    skeleton = open_skeleton()
    ratio = skeleton.rest(np.eye(10)[0] * 2.0)[1:] / skeleton.rest_joints_m[1:]
    finite = ratio[np.abs(skeleton.rest_joints_m[1:]) > 0.02]
    np.testing.assert_allclose(finite, finite.mean(), rtol=1e-4)


def test_invalid_skeletons_are_refused():
    with pytest.raises(ModelError, match='parents'):
        Skeleton.from_dict({'name': 'x'})
    with pytest.raises(ModelError, match=r'\(1, 3\)'):
        Skeleton.from_dict({**open_skeleton().to_dict(), 'rest_joints_m': [[0, 0, 0]]})
    with pytest.raises(InputError, match='betas'):
        open_skeleton().rest(np.zeros(3))
    assert Skeleton.from_dict(open_skeleton().to_dict()).name == OPEN_SKELETON
