"""Hidden joints by the last pose."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.body.trunk_frame import trunk_left
from niki_ros.people.stages.extrapolate_hidden_joints import (
    extrapolate_hidden_joints,
    ExtrapolationNumbers,
)
import numpy as np
from scenes import observe_body
from standing import LEGS, ROOT, standing, without


def test_hidden_joints_turn_with_the_trunk(camera):
    """The last pose follows the trunk of this image; seen joints stay where they are seen."""
    turn = rotmat_from_rotvec(np.array([0, 0.5, 0]))
    now = standing()
    now[0] = now[0] @ turn
    truth = observe_body(now, ROOT, camera)
    seen = without(observe_body(now, ROOT, camera), LEGS, [0.3, 0.3, 0.3])
    skeleton = open_skeleton()
    placed = extrapolate_hidden_joints(seen, standing(), skeleton.offsets(),
                                       skeleton.rest(), np.ones(29))
    np.testing.assert_allclose(placed.joints_m, truth.joints_m, atol=2e-3)
    assert trunk_left(placed.joints_m) @ trunk_left(truth.joints_m) > 0.999


def test_the_weight_of_the_last_pose_fades():
    """Full for a second, none after two, and none where the joint was never seen."""
    weights = ExtrapolationNumbers().weights(np.array([0.0, 1.0, 1.25, 1.5, 1.75, 2.0, np.inf]))
    np.testing.assert_allclose(weights, [1, 1, 0.75, 0.5, 0.25, 0, 0])
