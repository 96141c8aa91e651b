"""People who are observed in turn where the machine is too slow for all of them."""

import math

from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.image_period import ImagePeriod
from niki_ros.observers.person_network import CropEstimate, Workload
from niki_ros.observers.search import PersonSearch
from niki_ros.observers.turns import Turns
import numpy as np
import pytest
from test_following import IMAGE, LEFT, observation, RIGHT, STEP_NS, World

PERIOD_S = 1 / 30
REST_S, NETWORK_S, PERSON_S = 0.006, 0.007, 0.005  # of an image, and of each person in it
FAR = (200, 100, 260, 300)


def followed(number, left=None):
    left = 100 * number if left is None else left
    return FollowedPerson(number, None, np.array([left, 0.0, left + 50, 100.0]), 0, 0)


class Machine:
    """Observes people in the images of a camera; ``speed`` 1: two people in every image."""

    def __init__(self, people, speed=1.0, **options):
        self.turns, self.people, self.speed = Turns(**options), people, speed
        self.now_s = self.busy_s = self.network_s = 0.0
        self.times_ns = {one.number: [] for one in people}

    def run(self, seconds):
        """Process the newest image each time; return the share of images that are skipped."""
        begin_s, count = self.now_s, 0
        while self.now_s < begin_s + seconds:
            number, start_s = math.floor(self.now_s / PERIOD_S + 1e-6), self.now_s
            stamp_ns = int((number + 1) * PERIOD_S * 1e9)
            self.turns.update(Workload(stamp_ns, len(self.people), PERIOD_S, self.busy_s,
                                       start_s - number * PERIOD_S), self.network_s)
            due = self.turns.due(self.people)
            for one in due:
                one.looked_ns = stamp_ns
                self.times_ns[one.number].append(stamp_ns)
            self.network_s, self.busy_s = self.cost_s(due)
            self.now_s = max(start_s + self.busy_s, (number + 1) * PERIOD_S)
            count += 1
        return 1 - count / ((self.now_s - begin_s) / PERIOD_S)

    def cost_s(self, due):
        return (len(due) * NETWORK_S / self.speed,
                (REST_S + len(due) * (NETWORK_S + PERSON_S)) / self.speed)

    def gaps_s(self):
        """Return the longest time between two observations of each person."""
        return [np.diff(times_ns).max() * 1e-9 for times_ns in self.times_ns.values()]


@pytest.mark.parametrize('count, speed, expected', [
    (1, 1, None), (2, 1, None), (3, 1, 2), (6, 1.3, 2), (2, 0.6, 1), (6, 3, None), (1, 0.4, None)])
def test_as_many_people_are_observed_in_an_image_as_the_time_allows(count, speed, expected):
    machine = Machine([followed(i + 1) for i in range(count)], speed)
    machine.run(3)
    skipped = machine.run(5)
    assert machine.turns.count == expected
    assert skipped < 0.01 or count == 1


def test_nobody_waits_long_and_all_wait_alike():
    machine = Machine([followed(i + 1) for i in range(6)], 0.5)
    machine.run(1.5)
    machine.times_ns = {one.number: [] for one in machine.people}
    machine.run(5)
    assert max(machine.gaps_s()) <= 0.2 + 1.01 * PERIOD_S
    counts = [len(times_ns) for times_ns in machine.times_ns.values()]
    assert max(counts) - min(counts) <= 1


def test_all_are_observed_again_when_there_is_time():
    machine = Machine([followed(i + 1) for i in range(4)])
    machine.run(3)
    assert machine.turns.count == 2
    machine.speed = 4
    machine.run(16)
    assert machine.turns.count is None


def test_those_who_stay_are_all_observed_when_others_have_left():
    machine = Machine([followed(i + 1) for i in range(6)])
    machine.run(5)
    assert machine.turns.count == 1
    del machine.people[2:]
    machine.run(2)
    assert machine.turns.count is None


def test_what_a_person_takes_is_measured():
    """A GPU takes as long for one as for six, nearly."""
    class Gpu(Machine):
        def cost_s(self, due):
            return 0.02 + 0.0005 * len(due), 0.0355 if len(due) == 6 else 0.027 + 0.0005 * len(due)

    machine = Gpu([followed(i + 1) for i in range(6)])
    machine.run(40)
    assert machine.turns.count >= 4


@pytest.mark.parametrize('waited_s, skipped', [(0.012, 0), (0.02, 1), (0.03, 1)])
def test_nobody_is_observed_in_an_image_that_begins_late(waited_s, skipped):
    turns, people, seen = Turns(), [followed(1)], []
    for i in range(20):
        # the eighth image and the next one have waited
        turns.update(Workload(int(i * PERIOD_S * 1e9), 1, PERIOD_S, 0.01,
                              waited_s if i in (8, 9) else 0.0), 0.01)
        seen.append(len(turns.due(people)))
        assert not turns.is_too_slow
    assert seen.count(0) == skipped and seen[8] == 1 - skipped


def test_a_machine_that_is_always_late_is_too_slow():
    machine = Machine([followed(1)], 0.4)
    assert machine.run(5) < 0.05, 'share of skipped images'
    assert machine.turns.is_too_slow and max(machine.gaps_s()) < 4 * PERIOD_S


def test_who_waits_while_time_is_caught_up_is_named_and_not_lost():
    world = World(LEFT, RIGHT)
    observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3), turns=Turns())
    counts = []
    for i in range(30):
        observer.period_s, observer.waited_s = STEP_NS * 1e-9, 0.03 if i == 10 else 0.0
        seen = observer.observe(IMAGE, None, i * STEP_NS + 1)
        counts.append((len(seen), len(observer.waiting)))
        assert 'people_in_turn' not in observer.faults
    observer.close()
    assert counts[10] == (0, 2) and set(counts) == {(0, 2), (2, 0)} and counts.count((0, 2)) == 1


def test_allowed_load_is_a_setting():
    machine = Machine([followed(1), followed(2)], max_load=0.5)
    machine.run(3)
    assert machine.turns.count == 1


def test_people_next_to_each_other_are_observed_in_the_same_image():
    people = [followed(1, 0), followed(2, 30), followed(3, 300), followed(4, 600)]
    machine = Machine(people, 0.7)
    machine.run(8)
    assert machine.turns.count == 1
    assert machine.times_ns[1][-20:] == machine.times_ns[2][-20:]
    assert not set(machine.times_ns[3][-20:]) & set(machine.times_ns[4][-20:])


def test_new_people_are_observed_in_every_image():
    turns = Turns()
    turns.count = 1
    people = [followed(i + 1) for i in range(4)]
    people[2].unconfirmed_images = 2
    assert {one.number for one in turns.due(people)} == {1, 3}


def single_turns():
    """Return turns with one person in each image; the load is never known."""
    turns = Turns()
    turns.count = 1
    return turns


def in_turn(world, frames, start=0, observer=None):
    """Return what was reported and who waited in every image, one person in each."""
    if observer is None:
        observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3), turns=single_turns())
        observer.observe(IMAGE, None, 1)
    seen, waiting = [], []
    for i in range(frames):
        seen.append(observer.observe(IMAGE, None, (start + i + 1) * STEP_NS))
        waiting.append(observer.waiting)
    return seen, waiting, observer


def test_those_who_wait_are_named_and_the_others_reported():
    world = World(LEFT, FAR, RIGHT)
    seen, waiting, observer = in_turn(world, 9)
    assert [len(one) for one in seen] == [1] * 9
    for one, others in zip(seen, waiting):
        assert len(others) == 2 and one[0].follower not in others
    assert len({one[0].follower for one in seen[-3:]}) == 3
    assert '3 people' in observer.faults['people_in_turn']
    assert observer.describe()['observer_people_per_image'] == '1, in turn'


def test_person_who_leaves_is_ended_only_after_having_been_looked_for():
    world = World(LEFT, FAR, RIGHT)
    _, _, observer = in_turn(world, 6)
    del world.people[2]
    world.hidden_from_detector = True
    seen, waiting, _ = in_turn(world, 30, 6, observer)
    assert len(seen[-1]) == 1 and len(waiting[-1]) == 1


class Blinking(World):
    """The person at the left is missed in one crop."""

    missed = 0

    def _estimate(self, crop):
        estimate = super()._estimate(crop)
        if self.missed == 0 and estimate.observation.box_px[0] == LEFT[0]:
            self.missed += 1
            return CropEstimate(estimate.observation, 0.1, crop)
        return estimate


def test_one_missed_look_does_not_end_a_person():
    world = World(LEFT, FAR, (300, 100, 360, 300), RIGHT, (540, 100, 600, 300))
    _, _, observer = in_turn(world, 10)
    world.__class__, world.hidden_from_detector = Blinking, True
    seen, waiting, _ = in_turn(world, 20, 10, observer)
    assert world.missed == 1 and len(seen[-1]) + len(waiting[-1]) == 5


@pytest.mark.parametrize('speed_px', [8, 15])
@pytest.mark.parametrize('by_boxes', [True, False])
def test_a_person_who_runs_while_waiting_stays_one_person(speed_px, by_boxes):
    others = [(380 + 40 * i, 20, 395 + 40 * i, 80) for i in range(5)]
    world = World((10, 150, 90, 450), *others)
    observer = FollowingObserver(
        world, None if by_boxes else PersonSearch(world, 0.5, 0.3), turns=single_turns())
    numbers, counts = set(), []
    for i in range(18 if speed_px > 8 else 33):
        world.people[0] = np.array([10, 150, 90, 450]) + np.array([1, 0, 1, 0]) * i * speed_px
        seen = observer.observe(IMAGE, None, (i + 1) * STEP_NS, world.people if by_boxes else None)
        numbers |= {one.follower for one in seen if one.box_px[3] > 300}
        counts.append(len(seen) + len(observer.waiting))
    observer.close()
    assert len(numbers) == 1 and max(counts) == 6


def test_somebody_new_is_found_while_others_wait():
    world = World(LEFT, FAR, RIGHT)
    _, _, observer = in_turn(world, 10)
    world.people.append(np.array((300, 100, 360, 300), float))
    seen, waiting, _ = in_turn(world, 30, 10, observer)
    assert len(seen[-1]) + len(waiting[-1]) == 4


def test_period_is_that_of_the_camera_where_images_are_skipped():
    period, found = ImagePeriod(), None
    for i in (*range(30), *range(31, 60, 2), *range(60, 70)):
        found = period.update(i * STEP_NS)
    assert found == pytest.approx(0.033)
    assert ImagePeriod().update(5) is None
    for stamp_ns in [7] * 30 + list(range(30, 0, -1)):
        found = period.update(stamp_ns)
    assert found is None, 'stamps that stand still or go back are no period'


def test_reset_forgets_who_waits():
    _, _, observer = in_turn(World(LEFT, RIGHT), 4)
    assert observer.waiting
    observer.reset()
    assert not observer.waiting
    assert len(observer.observe(IMAGE, None, 100 * STEP_NS)) == 2


class Behind(World):
    """The person at the right cannot be told from the one at the left in the crop."""

    def _estimate(self, crop):
        if crop[0] > 300:
            return CropEstimate(observation(LEFT), 1.0, np.asarray(LEFT, float))
        return super()._estimate(crop)


def test_two_crops_that_show_one_person_are_noticed_while_one_waits():
    world = World(LEFT, RIGHT)
    _, _, observer = in_turn(world, 20)
    world.__class__ = Behind
    seen, waiting, _ = in_turn(world, 60, 20, observer)
    assert all(len(one) + len(others) <= 1 for one, others in zip(seen[-10:], waiting[-10:]))


@pytest.mark.parametrize('wait, changes, expected', [
    (False, {}, True), (True, {}, False), (False, {'in_turn': False}, False),
    (False, {'model': 'auto'}, False)])
def test_people_are_observed_in_turn_only_in_live_images(monkeypatch, wait, changes, expected):
    from niki_ros import observers
    monkeypatch.setitem(observers.NETWORKS, 'landmarks', lambda settings, options: World())
    config = PipelineConfig()
    for name, value in changes.items():
        setattr(config.observer, name, value)
    observer = load_observer(config, World(), wait)
    assert ('observer_people_per_image' in observer.describe()) == expected
    observer.close()
