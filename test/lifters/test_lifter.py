"""The lifter that ships, after images in which front and back were confused."""

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KeypointRays
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import open_skeleton
from niki_ros.body.trunk_frame import trunk_left
from niki_ros.common.settings import PipelineConfig
from niki_ros.lifters.lifter import load_lifter
from niki_ros.lifters.window import LiftWindow
from niki_ros.people.stages.correct_front_back import mirrored
import numpy as np
import pytest
from scenes import T_POSE

FRAME_NS = 33_333_333


@pytest.fixture(scope='module')
def lifter():
    lifter = load_lifter(PipelineConfig())
    yield lifter
    lifter.close()


def standing() -> JointObservation:
    """Return a person in T-pose, 3 m away and seen without error."""
    joints, _ = forward_kinematics(T_POSE, open_skeleton().offsets())
    points = joints[JOINT_OF_KEYPOINT]
    keypoints = KeypointRays(points + [0, 0, 3.0], np.ones(21), points - points[:2].mean(0))
    return JointObservation(joints.astype(np.float32), np.full(29, 0.2, np.float32),
                            np.zeros((29, 2)), np.zeros(4), 1.0, np.ones(29),
                            keypoint_rays=keypoints)


@pytest.mark.parametrize('wrong_count', [0, 5, 40])
def test_images_of_the_wrong_side_do_not_turn_the_next_one(lifter, wrong_count):
    right, window = standing(), LiftWindow()
    wrong = mirrored(right)
    for number in range(wrong_count):
        found, = lifter.lift([window], [wrong], number * FRAME_NS)
        assert trunk_left(found.joints_m) @ trunk_left(wrong.joints_m) > 0.5
    for number in range(wrong_count, wrong_count + 5):
        found, = lifter.lift([window], [right], number * FRAME_NS)
        assert trunk_left(found.joints_m) @ trunk_left(right.joints_m) > 0.5


def test_people_are_turned_one_by_one(lifter):
    right, windows = standing(), [LiftWindow(), LiftWindow()]
    wrong = mirrored(right)
    for number in range(40):
        lifter.lift(windows, [right, wrong], number * FRAME_NS)
    steady, turned = lifter.lift(windows, [right, right], 40 * FRAME_NS)
    for found in (steady, turned):
        assert trunk_left(found.joints_m) @ trunk_left(right.joints_m) > 0.5
    assert (windows[0].at_ages().seen[8] > 0).all()
    assert (windows[1].at_ages().seen[8] == 0).all()
