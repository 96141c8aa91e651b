"""A person who is suddenly seen from the other side."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.people.front_back import (
    BELIEVE_AFTER_S,
    FrontBackGuard,
    mirrored,
    START_S,
    swapped,
    trunk_left,
)
import numpy as np
from scenes import FACING, observe_body

DT = 1 / 30


def standing(turn_rad, camera):
    """Return the observation of a person in T-pose, turned about the vertical."""
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING @ rotmat_from_rotvec(np.array([0, turn_rad, 0]))
    return observe_body(rotmat, np.array([0, 0, 3.0]), camera)


def watch(guard, seen):
    """Show a guard the same observation for as long as it takes readings as they come."""
    for _ in range(round(START_S / DT) + 1):
        assert guard.check(seen, DT) is seen


def test_a_wrong_first_reading_does_not_last(camera):
    """The first image of a track is as likely to be wrong as any other one."""
    guard, right = FrontBackGuard(), standing(0.2, camera)
    guard.check(mirrored(right), DT)
    watch(guard, right)
    assert guard.check(right, DT) is right


def test_mirrored_is_its_own_inverse(camera):
    seen = standing(0.7, camera)
    back = mirrored(mirrored(seen))
    np.testing.assert_allclose(back.joints_m, seen.joints_m, atol=1e-6)
    np.testing.assert_array_equal(back.keypoints_px, seen.keypoints_px)


def test_a_sudden_half_turn_is_mended_and_believed_when_it_lasts(camera):
    guard, front, wrong = FrontBackGuard(), standing(0.2, camera), mirrored(standing(0.2, camera))
    watch(guard, front)
    frames = round(BELIEVE_AFTER_S / DT)
    for _ in range(frames - 1):
        mended = guard.check(wrong, DT)
        np.testing.assert_allclose(mended.joints_m, front.joints_m, atol=1e-6)
        np.testing.assert_allclose(mended.keypoints_px, front.keypoints_px)
    assert guard.check(front, DT) is front, 'the right reading is taken at once'
    for _ in range(frames + 1):
        last = guard.check(wrong, DT)
    assert last is wrong, 'and the other one once it has lasted'


def test_a_person_who_turns_is_left_alone(camera):
    guard = FrontBackGuard()
    for turn in np.arange(0, 4 * np.pi, 8.0 * DT):
        seen = standing(turn, camera)
        assert guard.check(seen, DT) is seen


def test_the_direction_of_the_trunk(camera):
    np.testing.assert_allclose(trunk_left(standing(0, camera).joints_m), [1, 0, 0], atol=1e-6)


def test_names_alone_exchanged_are_told_from_a_mirrored_depth(camera):
    """Somebody turned and bent: the depth says which of the two has happened."""
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING @ rotmat_from_rotvec(np.array([0.6, 0.5, 0]))
    seen = observe_body(rotmat, np.array([0, 0, 3.0]), camera)
    for wrong in (swapped(seen), mirrored(seen)):
        guard = FrontBackGuard()
        watch(guard, seen)
        mended = guard.check(wrong, DT)
        np.testing.assert_allclose(mended.joints_m, seen.joints_m, atol=1e-6)
        np.testing.assert_allclose(mended.keypoints_px, seen.keypoints_px)
