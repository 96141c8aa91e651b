"""Checks of people at the upper border in larger crops, with scripted networks."""

from types import SimpleNamespace

from niki_ros.observers.person_network import LARGER_CROPS
from niki_ros.observers.truncation import TruncationCheck
import numpy as np
from test_following import watch, World

BELOW_BORDER, AT_BORDER = (60, 200, 160, 400), (400, 0, 500, 300)


def test_truncated_person_is_reported_once_larger_crops_agree():
    world = World(BELOW_BORDER, AT_BORDER)
    world.disagrees = 0.8
    seen, observer = watch(world, 20)
    assert all([one.box_px[0] for one in people] == [60] for people in seen)
    assert '1 of 2' in observer.faults['person_cut_off']
    world.disagrees = 0.1
    seen, _ = watch(world, 40, 20, observer)
    assert len(seen[-1]) == 2 and not observer.faults


def test_whole_people_are_rarely_checked_in_larger_crops():
    world = World(BELOW_BORDER)
    watch(world, 10)
    assert not world.checked
    world = World(AT_BORDER)
    seen, _ = watch(world, 31)
    assert all(len(people) == 1 for people in seen) and 4 <= len(world.checked) <= 10
    assert world.checked[:4] == [LARGER_CROPS, (0,), (1,), (0,)], 'later one in an image'


def test_one_person_is_checked_in_larger_crops_in_an_image():
    world = World(AT_BORDER, (60, 0, 160, 300))
    _, observer = watch(world, 1)
    assert world.checked == [LARGER_CROPS] * 2
    checks = []
    for i in range(1, 20):
        del world.checked[:]
        watch(world, 1, i, observer)
        checks.append(len(world.checked))
    assert max(checks) == 1 and sum(checks) >= 6


def test_a_new_person_is_checked_when_the_crop_fits():
    world = World(BELOW_BORDER)
    _, observer = watch(world, 5)
    world.people.append(np.asarray(AT_BORDER, float))
    began = None
    for i in range(5, 30):
        watch(world, 1, i, observer)
        began = i if began is None and world.batches[-1] == 2 else began
        if world.checked:
            break
    assert began is not None and i == began + World.passes - 1


def test_a_truncated_person_is_not_begun_anew_at_once():
    world = World(BELOW_BORDER, AT_BORDER)
    world.disagrees = 0.8
    _, observer = watch(world, 9)  # a search of the whole image is among them
    world.disagrees = 0.1
    seen, _ = watch(world, 8, 9, observer)
    assert {one.follower for one in seen[-1]} == {1, 2}


def test_the_newest_disagreement_of_each_larger_crop_counts():
    check, step_ns = TruncationCheck(), 125_000_000
    check.update(LARGER_CROPS, np.array([0.05, 0.05]), 0)
    check.update(LARGER_CROPS[:1], np.array([0.3]), step_ns)
    assert not check.is_truncated
    check.update(LARGER_CROPS[1:], np.array([0.3]), 2 * step_ns)
    assert check.is_truncated


def test_a_person_who_was_away_from_the_border_is_not_begun_anew_at_once():
    check, s = TruncationCheck(), 1_000_000_000
    at_border, away = (SimpleNamespace(observation=SimpleNamespace(box_px=np.array(box)))
                       for box in ([0.0, 0.0, 100.0, 200.0], [0.0, 150.0, 100.0, 350.0]))
    check.update(LARGER_CROPS, np.array([0.5, 0.5]), 0)
    assert check.is_begun_anew(s)
    assert not check.is_due(away, s) and not check.is_begun_anew(s)
    assert check.is_due(at_border, 3 * s)
    check.update(LARGER_CROPS, np.array([0.5, 0.5]), 3 * s)
    assert check.is_truncated and not check.is_begun_anew(3 * s)


def test_person_who_becomes_truncated_is_left_out():
    world = World(AT_BORDER)
    _, observer = watch(world, 20)
    world.disagrees = 0.9
    seen, _ = watch(world, 20, 20, observer)
    assert [len(people) for people in seen][8:] == [0] * 12
