"""Occlusion of people by others in front of them."""

from dataclasses import replace

from niki_ros.body.skeleton import JOINT
from niki_ros.observers.occlusion import with_occluded_joints_hidden
import numpy as np
import pytest
from scenes import observe_body, T_POSE


@pytest.fixture
def standing(camera):
    return lambda x, z: observe_body(T_POSE, np.array([x, 0.0, z]), camera, sigma=0.1)


def test_joints_behind_a_nearer_person_are_hidden(standing):
    far, near = standing(0.0, 6.0), standing(0.3, 3.0)
    hidden, front = with_occluded_joints_hidden([far, near])
    assert hidden.sigma_200mm[JOINT['spine2']] == 1 and np.isinf(hidden.keypoint_sigma_px[9])
    np.testing.assert_array_equal(front.sigma_200mm, near.sigma_200mm)
    assert (far.sigma_200mm < 1).all(), 'the given observation is left as it is'


def test_distant_people_do_not_occlude(standing):
    for pair in ([standing(-2.0, 6.0), standing(1.6, 3.0)],
                 [standing(-0.2, 4.0), standing(0.2, 4.1)], [standing(0.0, 3.0)], []):
        for before, after in zip(pair, with_occluded_joints_hidden(pair)):
            np.testing.assert_array_equal(after.sigma_200mm, before.sigma_200mm)


def test_unseen_bones_do_not_occlude(standing):
    far, near = standing(0.0, 6.0), standing(0.9, 3.0)
    arm = JOINT['right_wrist'], JOINT['right_elbow'], JOINT['right_hand']
    with_arm, _ = with_occluded_joints_hidden([far, near])
    sigma = near.sigma_200mm.copy()
    sigma[[*arm, JOINT['right_middle_finger']]] = 1.0
    without_arm, _ = with_occluded_joints_hidden([far, replace(near, sigma_200mm=sigma)])
    assert (with_arm.sigma_200mm == 1).sum() > (without_arm.sigma_200mm == 1).sum()
