"""Who is looked at and reported, with networks and detectors that play a script."""

import threading

from niki_ros.body.observation import JointObservation
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.search import parts_of, PersonSearch
import numpy as np
import pytest

IMAGE = np.zeros((480, 640, 3), np.uint8)
STEP_NS = 33_000_000


def observation(box):
    """Return a person who fills a box: 29 joints spread over it."""
    box = np.asarray(box, float)
    grid = np.random.default_rng(7).uniform(0.05, 0.95, (29, 2))
    grid[0], grid[1] = (0.0, 0.0), (1.0, 1.0)
    return JointObservation(
        joints_m=np.zeros((29, 3), np.float32), sigma_200mm=np.full(29, 0.2), score=0.9,
        keypoints_px=box[:2] + grid * (box[2:] - box[:2]), box_px=box,
        keypoint_sigma_px=np.full(29, 2.0))


class World:
    """People as boxes; a network that sees who overlaps a place, a detector that sees them all."""

    passes, max_missed_searches, input_px = 3, 5, 640

    def __init__(self, *boxes):
        """``boxes`` may change while images go by."""
        self.people = [np.asarray(box, float) for box in boxes]
        self.hidden_from_detector = False
        self.batches, self.detections, self.present = [], 0, 1.0
        self.checked, self.disagrees = 0, 0.0
        self.lock = threading.Lock()

    def crop_of(self, box_px, camera):
        """Return the box."""
        return np.asarray(box_px, float)

    def estimate(self, image, camera, crops):
        """Return the person nearest to each crop."""
        if crops:
            self.batches.append(len(crops))
        return [self._estimate(crop) for crop in crops]

    def _estimate(self, crop):
        middle = (crop[:2] + crop[2:]) / 2
        near = min(self.people, default=None,
                   key=lambda box: np.linalg.norm((box[:2] + box[2:]) / 2 - middle))
        size = (crop[2:] - crop[:2]).max()
        if near is None or np.linalg.norm((near[:2] + near[2:]) / 2 - middle) > size:
            return CropEstimate(observation(crop), 0.1, crop)
        return CropEstimate(observation(near), self.present, near)

    def disagreement(self, image, camera, estimates):
        """Return what the test says of everybody."""
        self.checked += len(estimates)
        return np.full(len(estimates), self.disagrees)

    def detect(self, image_rgb):
        """Return everybody."""
        with self.lock:
            self.detections += 1
        boxes = [] if self.hidden_from_detector else self.people
        return np.array(boxes).reshape(-1, 4), np.full(len(boxes), 0.9)

    def set_workload(self, period_s, people):
        """Note it."""
        self.told = period_s, people

    def describe(self):
        """Name it."""
        return {'name': 'world'}

    def close(self):
        """Nothing to free."""


LEFT, RIGHT = (60, 100, 160, 400), (400, 100, 500, 400)


def watch(world, frames=1, start=0, observer=None, **options):
    """Return what was reported in every image, and the observer."""
    observer = observer or FollowingObserver(world, PersonSearch(world, 0.5, 0.3), **options)
    seen = [observer.observe(IMAGE, None, (start + i) * STEP_NS + 1) for i in range(frames)]
    return seen, observer


def test_the_first_image_gives_everybody():
    (seen,), _ = watch(World(LEFT, RIGHT))
    assert sorted(one.box_px[0] for one in seen) == [60, 400]


def test_everybody_is_looked_at_in_one_batch():
    world = World(LEFT, RIGHT)
    _, observer = watch(world, 3)
    del world.batches[:]
    watch(world, 1, 3, observer)
    assert world.batches == [2]
    assert len({one.follower for one in observer.observe(IMAGE, None, 10 * STEP_NS)}) == 2


def test_who_comes_later_is_found_within_a_second_and_the_others_are_never_left_out():
    world = World(LEFT)
    first, observer = watch(world, 5)
    world.people.append(np.asarray(RIGHT, float))
    later, _ = watch(world, 30, 5, observer)
    assert all(len(seen) >= 1 for seen in first + later)
    assert [len(seen) for seen in later].index(2) * STEP_NS < 1e9


BELOW_BORDER, AT_BORDER = (60, 200, 160, 400), (400, 0, 500, 300)


def test_who_is_cut_off_is_not_reported_until_other_crops_agree():
    world = World(BELOW_BORDER, AT_BORDER)
    world.disagrees = 0.8
    seen, observer = watch(world, 20)
    assert all([one.box_px[0] for one in people] == [60] for people in seen)
    assert '1 of 2' in observer.faults['person_cut_off']
    world.disagrees = 0.1
    seen, _ = watch(world, 40, 20, observer)
    assert len(seen[-1]) == 2 and not observer.faults


def test_who_is_seen_whole_is_not_looked_at_again():
    world = World(BELOW_BORDER)
    watch(world, 10)
    assert world.checked == 0
    world = World(AT_BORDER)
    seen, _ = watch(world, 31)
    assert all(len(people) == 1 for people in seen) and 4 <= world.checked <= 10


def test_who_walks_up_until_only_legs_are_seen_is_left_out_then():
    world = World(AT_BORDER)
    _, observer = watch(world, 20)
    world.disagrees = 0.9
    seen, _ = watch(world, 20, 20, observer)
    assert [len(people) for people in seen][8:] == [0] * 12


def test_a_person_whom_the_detector_misses_is_followed_on():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.hidden_from_detector = True
    seen, _ = watch(world, 90, 5, observer)
    assert all(len(one) == 1 for one in seen)


def test_what_no_detector_confirms_and_the_network_doubts_is_dropped():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.hidden_from_detector, world.present = True, 0.7
    seen, _ = watch(world, 120, 5, observer)
    assert len(seen[3]) == 1 and seen[-1] == []


def test_who_has_left_is_gone_and_a_search_follows_at_once():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.people.clear()
    seen, _ = watch(world, 15, 5, observer)
    assert seen[0] == [] and seen[-1] == []
    world.people.append(np.asarray(RIGHT, float))
    (back,), _ = watch(world, 1, 30, observer)
    assert len(back) == 1


def test_two_who_look_at_the_same_person_become_one():
    world = World(LEFT, RIGHT)
    _, observer = watch(world, 5)
    for i, x in enumerate((350, 300, 250, 200, 150, 100)):
        world.people[1] = np.array([x, 100.0, x + 100, 400])
        (seen,), _ = watch(world, 1, 5 + i, observer)
    kept = {one.follower for one in seen}
    # the one who has come stands behind the other one now: both crops show the same person
    world.people.pop()
    (seen,), _ = watch(world, 1, 11, observer)
    assert len(seen) == 1 and seen[0].follower == min(kept)


def test_never_more_than_max_people():
    world = World(*((50 * i, 100, 50 * i + 40, 300) for i in range(10)))
    seen, _ = watch(world, 10, max_people=4)
    assert max(map(len, seen)) == 4


def test_a_detector_that_sees_people_everywhere_piles_nothing_up():
    """A hundred wrong boxes in every search: what an earlier one has left over is dropped."""
    class Noisy(World):
        """Adds a hundred boxes of nothing."""

        def detect(self, image_rgb):
            """Return them behind the real people."""
            boxes, scores = super().detect(image_rgb)
            x, y = np.meshgrid(np.arange(10) * 20 + 250.0, np.arange(10) * 40.0)
            wrong = np.stack([x, y, x + 8, y + 12], -1).reshape(-1, 4)
            return np.concatenate([boxes, wrong]), np.r_[scores, np.full(100, 0.6)]
    world = Noisy(LEFT)
    _, observer = watch(world, 120)
    del world.batches[:]
    world.hidden_from_detector = True
    observer.search.detector.detect = lambda image: (np.zeros((0, 4)), np.zeros(0))
    watch(world, 60, 120, observer)
    assert sum(size > 1 for size in world.batches) <= 100 / 2


def test_given_boxes_are_people_too():
    world = World(LEFT)
    world.hidden_from_detector = True
    observer = FollowingObserver(world, None)
    assert observer.observe(IMAGE, None, 1) == []
    assert len(observer.observe(IMAGE, None, STEP_NS, [LEFT])) == 1
    assert len(observer.observe(IMAGE, None, 2 * STEP_NS)) == 1
    assert observer.observe(IMAGE, None, 3 * STEP_NS, [(900, 0, 950, 80)]), 'outside: ignored'


def test_the_same_images_give_the_same_answers_however_slow_the_detector_is():
    class Slow(World):
        """Takes longer than the images."""

        def detect(self, image_rgb):
            """Wait, and answer."""
            threading.Event().wait(0.05)
            return super().detect(image_rgb)
    answers = []
    for kind in (World, Slow):
        world = kind(LEFT)
        _, observer = watch(world, 5)
        world.people.append(np.asarray(RIGHT, float))
        later, _ = watch(world, 30, 5, observer)
        answers.append([len(seen) for seen in later])
        observer.close()
    assert answers[0] == answers[1]


def test_without_waiting_a_search_never_holds_an_image_up():
    go = threading.Event()

    class Stuck(World):
        """Does not answer before it may."""

        def detect(self, image_rgb):
            """Wait for the test, after the first search."""
            if self.detections:
                go.wait(5)
            return super().detect(image_rgb)
    world = Stuck(LEFT)
    observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3, wait=False))
    seen, _ = watch(world, 40, observer=observer)
    assert all(len(one) == 1 for one in seen) and world.detections == 1
    go.set()
    observer.close()


def test_a_detector_that_fails_is_a_fault_and_following_goes_on():
    class Failing(World):
        """Fails from the second search on."""

        def detect(self, image_rgb):
            """Raise."""
            if self.detections:
                raise RuntimeError('no more memory')
            return super().detect(image_rgb)
    world = Failing(LEFT)
    seen, observer = watch(world, 30)
    assert all(len(one) == 1 for one in seen)
    assert 'no more memory' in observer.faults['detector_failed']


def test_boxes_that_are_none_are_left_out():
    world = World(LEFT)
    world.people.append(np.array([50.0, 50, 20, 80]))
    world.people.append(np.array([np.nan, 50, 20, 80]))
    found = PersonSearch(world, 0.5, 0.3).now(IMAGE, 1)
    assert found.boxes_px.tolist() == [list(LEFT)]


def test_images_that_go_back_begin_anew():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.people.clear()
    assert observer.observe(IMAGE, None, 0) == []


def test_the_network_is_told_the_cameras_period():
    world = World(LEFT)
    watch(world, 20)
    assert world.told[0] == pytest.approx(0.033, rel=1e-3)


@pytest.mark.parametrize('size', [(1280, 720), (720, 1280), (1920, 1080), (640, 480), (64, 48)])
def test_parts_cover_the_image_and_are_worth_it(size):
    parts = parts_of(*size, 416)
    assert bool(parts) == (max(size) // 2 >= 0.9 * 416)
    covered = np.zeros(size[::-1], bool)
    for x0, y0, x1, y1 in parts:
        assert 0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]
        assert max(x1 - x0, y1 - y0) < max(size)
        covered[y0:y1, x0:x1] = True
    assert not parts or covered.all()
