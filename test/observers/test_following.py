"""Following of people, with scripted networks and detectors."""

import os
import sys
import threading

from niki_ros.body.observation import JointObservation
from niki_ros.common.errors import BackendError
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.person_network import CropEstimate, LARGER_CROPS
from niki_ros.observers.search import parts_of, PersonSearch, SearchNumbers
import numpy as np
import pytest

IMAGE = np.zeros((480, 640, 3), np.uint8)
STEP_NS = 33_000_000


def observation(box):
    box = np.asarray(box, float)
    grid = np.random.default_rng(7).uniform(0.05, 0.95, (29, 2))
    grid[0], grid[1] = (0.0, 0.0), (1.0, 1.0)
    return JointObservation(
        joints_m=np.zeros((29, 3), np.float32), sigma_200mm=np.full(29, 0.2), score=0.9,
        keypoints_px=box[:2] + grid * (box[2:] - box[:2]), box_px=box,
        keypoint_sigma_px=np.full(29, 2.0))


class World:
    """People as boxes, with a network that sees the nearest one and a detector that sees all."""

    passes, max_missed_searches, input_px = 3, 5, 640

    def __init__(self, *boxes):
        self.people = [np.asarray(box, float) for box in boxes]
        self.hidden_from_detector = False
        self.batches, self.detections, self.present, self.score = [], 0, 1.0, 0.9
        self.checked, self.disagrees = [], 0.0
        self.lock = threading.Lock()

    def crop_of(self, box_px, camera):
        return np.asarray(box_px, float)

    def estimate(self, image, camera, crops):
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

    def disagreement(self, image, camera, estimates, larger_crops=LARGER_CROPS):
        self.checked += [tuple(larger_crops)] * len(estimates)
        return np.full((len(estimates), len(larger_crops)), self.disagrees / len(LARGER_CROPS))

    def detect(self, image_rgb):
        with self.lock:
            self.detections += 1
        boxes = [] if self.hidden_from_detector else self.people
        return np.array(boxes).reshape(-1, 4), np.full(len(boxes), self.score)

    def set_workload(self, workload):
        self.workload = workload

    def describe(self):
        return {'name': 'world'}

    def close(self):
        pass


LEFT, RIGHT = (60, 100, 160, 400), (400, 100, 500, 400)


def watch(world, frames=1, start=0, observer=None, **options):
    """Return what was reported in every image, and the observer."""
    observer = observer or FollowingObserver(world, PersonSearch(world, 0.5, 0.3), **options)
    seen = [observer.observe(IMAGE, None, (start + i) * STEP_NS + 1) for i in range(frames)]
    return seen, observer


def test_all_people_are_reported_in_the_first_image():
    (seen,), _ = watch(World(LEFT, RIGHT))
    assert sorted(one.box_px[0] for one in seen) == [60, 400]


def test_all_people_are_estimated_in_one_batch():
    world = World(LEFT, RIGHT)
    _, observer = watch(world, 3)
    del world.batches[:]
    watch(world, 1, 3, observer)
    assert world.batches == [2]
    assert len({one.follower for one in observer.observe(IMAGE, None, 10 * STEP_NS)}) == 2


def test_later_person_is_found_within_a_second():
    world = World(LEFT)
    first, observer = watch(world, 5)
    world.people.append(np.asarray(RIGHT, float))
    later, _ = watch(world, 30, 5, observer)
    assert all(len(seen) >= 1 for seen in first + later)
    assert [len(seen) for seen in later].index(2) * STEP_NS < 1e9


def test_person_missed_by_the_detector_is_followed():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.hidden_from_detector = True
    seen, _ = watch(world, 90, 5, observer)
    assert all(len(one) == 1 for one in seen)


def test_unconfirmed_person_of_low_presence_is_dropped():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.hidden_from_detector, world.present = True, 0.7
    seen, _ = watch(world, 120, 5, observer)
    assert len(seen[3]) == 1 and seen[-1] == []


def test_person_who_left_is_not_reported_and_a_search_starts():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.people.clear()
    seen, _ = watch(world, 15, 5, observer)
    assert seen[0] == [] and seen[-1] == []
    world.people.append(np.asarray(RIGHT, float))
    (back,), _ = watch(world, 1, 30, observer)
    assert len(back) == 1


def test_a_person_outside_of_the_image_is_not_reported():
    """What is left of the box, inside the image, has no area."""
    world = World(LEFT)
    seen, observer = watch(world, 5)
    assert len(seen[-1]) == 1
    world.hidden_from_detector = True
    world.people[0] = np.array([0.0, 100, 0, 400])
    seen, _ = watch(world, 3, 5, observer)
    assert seen == [[], [], []]


def test_two_crops_of_one_person_become_one():
    world = World(LEFT, RIGHT)
    _, observer = watch(world, 5)
    for i, x in enumerate((350, 300, 250, 200, 150, 100)):
        world.people[1] = np.array([x, 100.0, x + 100, 400])
        (seen,), _ = watch(world, 1, 5 + i, observer)
    kept = {one.follower for one in seen}
    # the second person is behind the first one now, and both crops show the first one
    world.people.pop()
    (seen,), _ = watch(world, 1, 11, observer)
    assert len(seen) == 1 and seen[0].follower == min(kept)


def test_at_most_max_people():
    world = World(*((50 * i, 100, 50 * i + 40, 300) for i in range(10)))
    seen, _ = watch(world, 10, max_people=4)
    assert max(map(len, seen)) == 4


def test_boxes_of_earlier_searches_do_not_accumulate():
    class Noisy(World):
        def detect(self, image_rgb):
            boxes, scores = super().detect(image_rgb)
            x, y = np.meshgrid(np.arange(10) * 20 + 250.0, np.arange(10) * 40.0)
            wrong = np.stack([x, y, x + 8, y + 12], -1).reshape(-1, 4)
            return np.concatenate([boxes, wrong]), np.r_[scores, np.full(100, 0.6)]
    world = Noisy(LEFT)
    _, observer = watch(world, 120)
    del world.batches[:]
    world.hidden_from_detector = True
    observer.search.detector.detect = lambda image: (np.zeros((0, 4)), np.zeros(0))
    watch(world, 150, 120, observer)
    assert sum(size > 1 for size in world.batches) <= 100, 'those of one search, one in an image'


def test_given_boxes_are_followed():
    world = World(LEFT)
    world.hidden_from_detector = True
    observer = FollowingObserver(world, None)
    assert observer.observe(IMAGE, None, 1) == []
    assert len(observer.observe(IMAGE, None, STEP_NS, [LEFT])) == 1
    assert len(observer.observe(IMAGE, None, 2 * STEP_NS)) == 1
    assert observer.observe(IMAGE, None, 3 * STEP_NS, [(900, 0, 950, 80)]), 'outside: ignored'


def test_results_do_not_depend_on_the_speed_of_the_detector():
    class Slow(World):
        def detect(self, image_rgb):
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


@pytest.mark.parametrize('known', [0, 1])
def test_images_do_not_wait_for_a_late_search(known):
    go = threading.Event()

    class Stuck(World):
        def detect(self, image_rgb):
            if self.detections >= known:
                go.wait(5)
            return super().detect(image_rgb)
    world, numbers = Stuck(LEFT), SearchNumbers(max_wait_s=5.0 if known else 0.05)
    observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3, False, numbers))
    seen, _ = watch(world, 40, observer=observer)
    assert all(len(one) == known for one in seen) and world.detections == known
    go.set()
    observer.close()


def test_no_image_waits_for_the_crop_of_a_new_person():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.people += [np.asarray(box, float) for box in (RIGHT, (250, 100, 330, 400))]
    world.people.append(np.asarray((540, 100, 620, 400), float))
    runs, seen = [], []
    for i in range(5, 35):
        before = len(world.batches)
        seen += watch(world, 1, i, observer)[0]
        runs.append(world.batches[before:])
    assert len(seen[-1]) == 4 and all(len(one) == 1 for one in runs)
    sizes = [size for size, in runs]
    assert max(np.diff(sizes)) == 2 and sizes[-1] == 4, 'two new people in an image at most'


@pytest.mark.parametrize('kind', [RuntimeError, BackendError])
def test_failing_detector_is_a_fault(kind):
    class Failing(World):
        def detect(self, image_rgb):
            if self.detections:
                raise kind('no more memory')
            return super().detect(image_rgb)
    world = Failing(LEFT)
    seen, observer = watch(world, 30)
    assert all(len(one) == 1 for one in seen)
    assert 'no more memory' in observer.faults['detector_failed']


def test_invalid_boxes_are_left_out():
    world = World(LEFT)
    world.people.append(np.array([50.0, 50, 20, 80]))
    world.people.append(np.array([np.nan, 50, 20, 80]))
    found = PersonSearch(world, 0.5, 0.3).now(IMAGE, 1)
    assert found.boxes_px.tolist() == [list(LEFT)]


def test_earlier_stamp_starts_a_new_stream():
    world = World(LEFT)
    _, observer = watch(world, 5)
    world.people.clear()
    assert observer.observe(IMAGE, None, 0) == []


def test_network_receives_the_load():
    world = World(LEFT)
    _, observer = watch(world, 10)
    assert world.workload.period_s is None
    observer.busy_s, observer.waited_s = 0.02, 0.01
    watch(world, 40, 10, observer)
    period_s = pytest.approx(0.033, rel=1e-3)
    assert world.workload[1:] == (1, period_s, 0.02, 0.01, 1)
    for number in range(50, 90, 3):  # every third image is skipped
        watch(world, 2, number, observer)
    assert world.workload.period_s == period_s


@pytest.mark.parametrize('size', [(1280, 720), (720, 1280), (1920, 1080), (640, 480), (64, 48)])
def test_parts_cover_the_image(size):
    parts = parts_of(*size, 416)
    assert bool(parts) == (max(size) // 2 >= 0.9 * 416)
    covered = np.zeros(size[::-1], bool)
    for x0, y0, x1, y1 in parts:
        assert 0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]
        assert max(x1 - x0, y1 - y0) < max(size)
        covered[y0:y1, x0:x1] = True
    assert not parts or covered.all()


def test_person_who_is_out_of_sight_next_to_another_stays_the_same():
    """The crop of a hidden person shows the other one; it goes back to where the person was."""
    world = World(LEFT, (180, 100, 280, 400))
    seen, observer = watch(world, 20)
    before = {one.box_px[0]: one.follower for one in seen[-1]}
    behind = world.people.pop(0)
    seen, _ = watch(world, 4, 20, observer)
    assert [[one.follower for one in people] for people in seen] == [[before[180]]] * 4
    world.people.append(behind)
    (seen,), _ = watch(world, 1, 24, observer)
    assert {one.box_px[0]: one.follower for one in seen} == before


def test_crops_that_stay_on_one_person_end():
    world = World(LEFT, (180, 100, 280, 400))
    _, observer = watch(world, 20)
    del world.people[0]
    watch(world, 40, 20, observer)
    del world.batches[:]
    watch(world, 1, 60, observer)
    assert world.batches[0] == 1


def test_weak_detections_are_people_where_the_network_is_sure():
    world = World(LEFT, RIGHT)
    world.score = 0.4
    seen, _ = watch(world, 30)
    assert len(seen[0]) == 2 and len(seen[-1]) == 2
    later = World(LEFT)
    _, observer = watch(later, 10)
    later.people.append(np.asarray(RIGHT, float))
    later.score = 0.4
    seen, _ = watch(later, 30, 10, observer)
    assert len(seen[-1]) == 2


def test_weak_detections_of_things_are_left_out_and_seldom_tried():
    world = World(LEFT)
    world.score, world.present = 0.4, 0.8
    seen, _ = watch(world, 60)
    assert not any(seen)
    assert len(world.batches) <= 3 * 2, 'two seconds, and three estimates of each candidate'
    world.score = 0.2
    del world.batches[:]
    watch(world, 10)
    assert not world.batches


@pytest.mark.skipif(not hasattr(os, 'getpriority'), reason='no priorities of threads')
@pytest.mark.parametrize('wait', [True, False])
def test_following_comes_before_searching_where_images_do_not_wait(wait):
    class Nice(World):
        niceness = ()

        def detect(self, image_rgb):
            self.niceness += (os.getpriority(os.PRIO_PROCESS, threading.get_native_id()),)
            return super().detect(image_rgb)

    world, own = Nice(LEFT), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    search = PersonSearch(world, 0.5, 0.3, wait)
    search.start(IMAGE, 1)
    search.close()
    assert (world.niceness[0] > own) == (not wait and sys.platform == 'linux')
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == own
