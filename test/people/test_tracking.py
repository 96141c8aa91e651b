"""Tracks, and a body's proportions over time."""

from dataclasses import replace

from niki_ros.body.shape import PAIRS
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.settings import TrackingConfig
from niki_ros.images.boxes import overlap
from niki_ros.people.association import Tracker
from niki_ros.people.body_shape import BodyShape
import numpy as np
import pytest
from scenes import FACING, observe_body, random_pose


def test_overlap_of_boxes():
    box = np.array([0, 0, 10, 10.0])
    assert overlap(box, box) == 1.0
    assert overlap(box, box + 20) == 0.0
    assert overlap(box, box + [5, 0, 5, 0]) == pytest.approx(1 / 3)


def test_a_person_who_left_for_good_is_another_one_when_somebody_comes(camera):
    tracker = Tracker(TrackingConfig(keep_s=2.0))
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    root = np.array([0, 0, 3.0])
    seen = observe_body(rotmat, root, camera)
    first = tracker.update([seen], [root], 0)[0][0].id
    assert tracker.update([], [], int(1.9e9))[0][0].id == first
    assert tracker.update([seen], [root], int(2.5e9))[0][0].id == first + 1
    assert len(tracker.tracks) == 1


def test_a_crop_that_leaps_to_somebody_else_does_not_take_the_id_along(camera):
    """The front end says it is the same person, four metres away a thirtieth of a second later."""
    tracker = Tracker(TrackingConfig())
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    roots = [np.array([-2.0, 0, 6.0]), np.array([2.0, 0, 6.0])]
    seen = [replace(observe_body(rotmat, root, camera), follower=7) for root in roots]
    first = tracker.update(seen[:1], roots[:1], 0)[0][0].id
    pairs = tracker.update(seen[1:], roots[1:], 33_333_333)
    assert [(track.id, one is None) for track, one in pairs] == [(first, True), (0, False)]


def test_a_followed_person_keeps_the_id_where_two_are_near(camera):
    """Both are within reach of both tracks; the crops tell who is who."""
    tracker = Tracker(TrackingConfig(confirm_frames=1))
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    roots = [np.array([0, 0, 4.0]), np.array([0.3, 0, 4.0])]
    one, other = (observe_body(rotmat, root, camera) for root in roots)
    seen = [replace(one, follower=1), replace(other, follower=2)]
    before = {track.id: one.follower for track, one in tracker.update(seen, roots, 0)}
    swapped = [replace(other, follower=1), replace(one, follower=2)]
    pairs = tracker.update(swapped, roots[::-1], 33_333_333)
    assert {track.id: one.follower for track, one in pairs} == before


def test_another_person_is_believed_after_three_frames_and_a_dream_is_nobody(camera):
    tracker = Tracker(TrackingConfig(confirm_frames=3))
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    roots = [np.array([0, 0, 3.0]), np.array([1.5, 0, 3.0])]
    seen = [observe_body(rotmat, root, camera) for root in roots]
    ids = []
    for frame, people in enumerate([1, 2, 1, 2, 2, 2, 1]):
        pairs = tracker.update(seen[:people], roots[:people], frame * 33_333_333)
        ids.append(sorted(track.id for track, _ in pairs))
    assert ids == [[1], [0, 1], [1], [0, 1], [0, 1], [1, 2], [1, 2]]


def flickering(camera, frames):
    """Return observations of a shape that is another one in every frame, as of furniture."""
    rng = np.random.default_rng(3)
    root = np.array([1.5, 0, 3.0])
    seen = []
    for pose in random_pose(rng, frames):
        one = observe_body(pose, root, camera)
        one.keypoints_px = one.keypoints_px + rng.normal(size=(29, 2)) * 30
        seen.append(one)
    return seen, root


def test_a_shape_that_flickers_is_nobody_unless_it_stays(camera):
    tracker = Tracker(TrackingConfig())
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    root = np.array([0, 0, 3.0])
    person = observe_body(rotmat, root, camera)
    dreams, place = flickering(camera, 40)
    known = []
    for frame, dream in enumerate(dreams):
        pairs = tracker.update([person, dream], [root, place], frame * 33_333_333)
        known.append(max(track.id for track, _ in pairs))
    assert known[:28] == [1] * 28, 'three frames in a row once made a person of it'
    assert known[-1] == 2, 'what is there for a second has to be looked at'


def test_somebody_who_runs_past_is_believed_after_some_frames(camera):
    tracker = Tracker(TrackingConfig())
    person = observe_body(random_pose(np.random.default_rng(0))[0], np.array([0, 0, 4.0]), camera)
    poses = random_pose(np.random.default_rng(1), 1)
    ids = []
    for frame in range(6):
        root = np.array([-1.5 + 4.0 * frame / 30, 0, 4.0])
        runner = observe_body(poses[0], root, camera)
        pairs = tracker.update(
            [person, runner], [np.array([0, 0, 4.0]), root], frame * 33_333_333)
        ids.append(max(track.id for track, _ in pairs))
    assert ids == [1, 1, 1, 2, 2, 2]


def test_body_shape_settles_on_the_true_one_and_moves_in_steps(camera):
    rng = np.random.default_rng(0)
    true = np.zeros(10)
    true[:3] = [1.2, -0.8, 0.5]
    shape, skeleton = BodyShape(open_skeleton()), open_skeleton()
    lengths = []
    for pose in random_pose(rng, 120):
        seen = observe_body(pose, np.array([0, 0, 3.0]), camera, true, sigma=0.1)
        seen.joints_m = seen.joints_m + rng.normal(size=(29, 3)).astype(np.float32) * 0.02
        lengths.append(skeleton.bone_lengths(shape.update(seen, 1 / 30)))
    error = np.abs(lengths[-1] - skeleton.bone_lengths(true))
    mean = np.abs(skeleton.bone_lengths() - skeleton.bone_lengths(true))
    # not all the way: a front end's own scale is not known better than people's sizes
    assert shape.settled and error.max() < 0.025 and error.sum() < 0.6 * mean.sum()
    steps = np.abs(np.diff(lengths, axis=0)).max(axis=1)
    assert 1 <= (steps > 0).sum() <= 6, 'few steps: a URDF is published with each'


def test_a_cut_off_view_counts_until_a_whole_one_and_not_after(camera):
    skeleton = open_skeleton()
    shape, size = BodyShape(skeleton), skeleton.bone_lengths
    pose = random_pose(np.random.default_rng(0))[0]
    tall, small = np.eye(10)[0] * 1.5, np.eye(10)[0] * -1.5
    cut_off = observe_body(pose, np.array([0, 0, 3.0]), camera, tall)
    cut_off.sigma_200mm[[7, 8]] = 1.0
    for _ in range(50):
        size_of_half = size(shape.update(cut_off, 1 / 30)).sum()
    assert size(None).sum() < size_of_half < size(tall).sum()
    whole = observe_body(pose, np.array([0, 0, 3.0]), camera, small)
    for _ in range(100):
        shape.update(whole, 1 / 30)
    assert size(shape.betas).sum() < size(None).sum()
    known = shape.betas.copy()
    for _ in range(100):
        assert (shape.update(cut_off, 1 / 30) == known).all()


def test_lengths_of_a_front_end_count_for_less_than_joints_taken_at_their_word(camera):
    skeleton = open_skeleton()
    pose, tall = random_pose(np.random.default_rng(0))[0], np.eye(10)[0] * 2
    seen = observe_body(pose, np.array([0, 0, 3.0]), camera, tall, sigma=0.02)
    measured = replace(seen, lengths_m=np.linalg.norm(np.diff(
        seen.joints_m[PAIRS], axis=1)[:, 0], axis=1), length_sigma_m=np.full(34, 0.01))
    sizes = []
    for one in (seen, measured):
        shape = BodyShape(skeleton)
        for _ in range(100):
            shape.update(one, 1 / 30)
        sizes.append(skeleton.bone_lengths(shape.betas).sum())
    mean, true = skeleton.bone_lengths(None).sum(), skeleton.bone_lengths(tall).sum()
    assert mean < sizes[1] < sizes[0] and abs(sizes[0] / true - 1) < 0.01


def test_a_dream_of_one_frame_takes_no_id_away(camera):
    """A person is seen twice for one frame; the next one fits the second sight better."""
    tracker = Tracker(TrackingConfig())
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    rotmat[0] = FACING
    roots = [np.array([0, 0, 3.0]), np.array([0.1, 0.1, 3.4])]
    seen = [observe_body(rotmat, root, camera) for root in roots]
    tracker.update(seen[:1], roots[:1], 0)
    tracker.update(seen, roots, 33_333_333)
    pairs = tracker.update(seen[1:], roots[1:], 66_666_666)
    assert [(track.id, one is seen[1]) for track, one in pairs] == [(1, True)]
