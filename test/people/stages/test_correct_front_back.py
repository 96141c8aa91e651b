"""Observations that suddenly show a person from the other side."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.people.stages.correct_front_back import (
    CorrectFrontBack,
    exchanged,
    FrontBackNumbers,
    mirrored,
    trunk_left,
)
import numpy as np
from scenes import FACING, observe_body, T_POSE

DT = 1 / 30


def standing(turn_rad, camera):
    rotmat = T_POSE.copy()
    rotmat[0] = FACING @ rotmat_from_rotvec(np.array([0, turn_rad, 0]))
    return observe_body(rotmat, np.array([0, 0, 3.0]), camera)


def watch(stage, seen):
    """Pass the same observation for as long as no interpretation is corrected."""
    for _ in range(round(FrontBackNumbers().start_s / DT) + 1):
        assert stage.correct(seen, DT) is seen


def test_a_wrong_first_interpretation_does_not_last(camera):
    """The first image of a track is as likely to be wrong as any other one."""
    stage, right = CorrectFrontBack(), standing(0.2, camera)
    stage.correct(mirrored(right), DT)
    watch(stage, right)
    assert stage.correct(right, DT) is right


def test_mirrored_is_its_own_inverse(camera):
    seen = standing(0.7, camera)
    back = mirrored(mirrored(seen))
    np.testing.assert_allclose(back.joints_m, seen.joints_m, atol=1e-6)
    np.testing.assert_array_equal(back.keypoints_px, seen.keypoints_px)


def test_a_sudden_half_turn_is_corrected_and_accepted_when_it_lasts(camera):
    stage, front = CorrectFrontBack(), standing(0.2, camera)
    wrong = mirrored(front)
    watch(stage, front)
    frames = round(FrontBackNumbers().accept_after_s / DT)
    for _ in range(frames - 1):
        corrected = stage.correct(wrong, DT)
        np.testing.assert_allclose(corrected.joints_m, front.joints_m, atol=1e-6)
        np.testing.assert_allclose(corrected.keypoints_px, front.keypoints_px)
    assert stage.correct(front, DT) is front, 'the right interpretation is taken at once'
    for _ in range(frames + 1):
        last = stage.correct(wrong, DT)
    assert last is wrong, 'and the other one once it has lasted'


def test_a_person_who_turns_is_left_alone(camera):
    stage = CorrectFrontBack()
    for turn in np.arange(0, 4 * np.pi, 8.0 * DT):
        seen = standing(turn, camera)
        assert stage.correct(seen, DT) is seen


def test_the_direction_of_the_trunk(camera):
    np.testing.assert_allclose(trunk_left(standing(0, camera).joints_m), [1, 0, 0], atol=1e-6)


def test_names_alone_exchanged_are_told_from_a_mirrored_depth(camera):
    """The depth of a person who is turned and bent distinguishes the two mistakes."""
    rotmat = T_POSE.copy()
    rotmat[0] = FACING @ rotmat_from_rotvec(np.array([0.6, 0.5, 0]))
    seen = observe_body(rotmat, np.array([0, 0, 3.0]), camera)
    for wrong in (exchanged(seen), mirrored(seen)):
        stage = CorrectFrontBack()
        watch(stage, seen)
        corrected = stage.correct(wrong, DT)
        np.testing.assert_allclose(corrected.joints_m, seen.joints_m, atol=1e-6)
        np.testing.assert_allclose(corrected.keypoints_px, seen.keypoints_px)
