"""Association over time: who keeps an id, and who gets one."""

from dataclasses import replace

from niki_ros.common.settings import TrackingConfig
from niki_ros.images.boxes import overlap
from niki_ros.people.tracker import Tracker
import numpy as np
import pytest
from scenes import observe_body, random_pose, T_POSE


def test_overlap_of_boxes():
    box = np.array([0, 0, 10, 10.0])
    assert overlap(box, box) == 1.0
    assert overlap(box, box + 20) == 0.0
    assert overlap(box, box + [5, 0, 5, 0]) == pytest.approx(1 / 3)


def test_a_person_gets_a_new_id_after_keep_s(camera):
    tracker = Tracker(TrackingConfig(keep_s=2.0))
    root = np.array([0, 0, 3.0])
    seen = observe_body(T_POSE, root, camera)
    first = tracker.update([seen], [root], 0)[0][0].id
    assert tracker.update([], [], int(1.9e9))[0][0].id == first
    assert tracker.update([seen], [root], int(2.5e9))[0][0].id == first + 1
    assert len(tracker.people) == 1


def test_a_crop_that_jumps_to_another_person_does_not_keep_the_id(camera):
    """The front end says it is the same person, four metres away a thirtieth of a second later."""
    tracker = Tracker(TrackingConfig())
    roots = [np.array([-2.0, 0, 6.0]), np.array([2.0, 0, 6.0])]
    seen = [replace(observe_body(T_POSE, root, camera), follower=7) for root in roots]
    first = tracker.update(seen[:1], roots[:1], 0)[0][0].id
    pairs = tracker.update(seen[1:], roots[1:], 33_333_333)
    assert [(person.id, index is None) for person, index in pairs] == [(first, True), (0, False)]


def test_a_followed_person_keeps_the_id_where_two_are_near(camera):
    """Both are within reach of both tracks; the crops distinguish them."""
    tracker = Tracker(TrackingConfig(confirm_frames=1))
    roots = [np.array([0, 0, 4.0]), np.array([0.3, 0, 4.0])]
    one, other = (observe_body(T_POSE, root, camera) for root in roots)
    seen = [replace(one, follower=1), replace(other, follower=2)]
    before = {person.id: seen[i].follower for person, i in tracker.update(seen, roots, 0)}
    swapped = [replace(other, follower=1), replace(one, follower=2)]
    pairs = tracker.update(swapped, roots[::-1], 33_333_333)
    assert {person.id: swapped[i].follower for person, i in pairs} == before


def test_people_recognised_in_each_others_place_exchange_their_ids(camera):
    """Two metres apart, the place outweighs the crop; the person of each place goes on there."""
    tracker = Tracker(TrackingConfig(confirm_frames=1))
    roots = [np.array([-1.0, 0, 5.0]), np.array([1.0, 0, 5.0])]
    one, other = (observe_body(T_POSE, root, camera) for root in roots)
    seen = [replace(one, follower=1), replace(other, follower=2)]
    before = {seen[i].follower: (person, person.id)
              for person, i in tracker.update(seen, roots, 0)}
    exchanged = [replace(one, follower=2), replace(other, follower=1)]
    for step in (1, 2):
        pairs = tracker.update(exchanged, roots, step * 33_333_333)
        for person, i in pairs:
            follower = exchanged[i].follower
            assert person.id == before[follower][1]
            assert person is before[3 - follower][0]


def test_a_second_person_gets_an_id_after_three_frames_and_a_false_detection_none(camera):
    tracker = Tracker(TrackingConfig(confirm_frames=3))
    roots = [np.array([0, 0, 3.0]), np.array([1.5, 0, 3.0])]
    seen = [observe_body(T_POSE, root, camera) for root in roots]
    ids = []
    for frame, people in enumerate([1, 2, 1, 2, 2, 2, 1]):
        pairs = tracker.update(seen[:people], roots[:people], frame * 33_333_333)
        ids.append(sorted(person.id for person, _ in pairs))
    assert ids == [[1], [0, 1], [1], [0, 1], [0, 1], [1, 2], [1, 2]]


def test_all_people_of_the_first_image_have_ids(camera):
    roots = [np.array([x, 0, 4.0]) for x in (-1.0, 0.0, 1.0)]
    pairs = Tracker(TrackingConfig()).update(
        [observe_body(T_POSE, root, camera) for root in roots], roots, 0)
    assert sorted(person.id for person, _ in pairs) == [1, 2, 3]


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


def test_a_flickering_shape_gets_no_id_unless_it_stays(camera):
    tracker = Tracker(TrackingConfig())
    root = np.array([0, 0, 3.0])
    person = observe_body(T_POSE, root, camera)
    false_detections, place = flickering(camera, 40)
    tracker.update([person], [root], -33_333_333)
    known = []
    for frame, false_detection in enumerate(false_detections):
        pairs = tracker.update([person, false_detection], [root, place], frame * 33_333_333)
        known.append(max(person.id for person, _ in pairs))
    assert known[:28] == [1] * 28, 'three frames in a row once made a person of it'
    assert known[-1] == 2, 'what is there for a second has to be looked at'


def test_a_running_person_gets_an_id_after_some_frames(camera):
    tracker = Tracker(TrackingConfig())
    person = observe_body(random_pose(np.random.default_rng(0))[0], np.array([0, 0, 4.0]), camera)
    poses = random_pose(np.random.default_rng(1), 1)
    tracker.update([person], [np.array([0, 0, 4.0])], -33_333_333)
    ids = []
    for frame in range(6):
        root = np.array([-1.5 + 4.0 * frame / 30, 0, 4.0])
        runner = observe_body(poses[0], root, camera)
        pairs = tracker.update(
            [person, runner], [np.array([0, 0, 4.0]), root], frame * 33_333_333)
        ids.append(max(person.id for person, _ in pairs))
    assert ids == [1, 1, 1, 2, 2, 2]


def test_a_false_detection_of_one_frame_takes_no_id(camera):
    """A person is seen twice for one frame; the next one fits the second sight better."""
    tracker = Tracker(TrackingConfig())
    roots = [np.array([0, 0, 3.0]), np.array([0.1, 0.1, 3.4])]
    seen = [observe_body(T_POSE, root, camera) for root in roots]
    tracker.update(seen[:1], roots[:1], 0)
    tracker.update(seen, roots, 33_333_333)
    pairs = tracker.update(seen[1:], roots[1:], 66_666_666)
    assert [(person.id, index) for person, index in pairs] == [(1, 0)]
