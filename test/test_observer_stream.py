"""Who is followed and when the whole image is searched, with landmarkers that play a script."""

from dataclasses import replace
import threading

from niki_ros.observers.closer_look import parts_of
from niki_ros.observers.followers import Followers, SEARCH_MS
import numpy as np
import pytest
from scenes import observe_body, random_pose

SIZE = (640, 480)


CLOSER = 0
"""What a landmarker that looks closer gives as the number of people it follows."""


class Landmarker:
    """Stands for one: knows how many people it follows, and whether it was closed."""

    def __init__(self, people):
        """Remember."""
        self.people, self.closed = people, False

    def close(self):
        """Remember."""
        self.closed = True


@pytest.fixture
def people(camera):
    """Return the observations of three people side by side."""
    pose = random_pose(np.random.default_rng(0), spread_rad=0.0)[0]
    return [observe_body(pose, np.array([x, 0, 6.0]), camera) for x in (-2.0, 0.0, 2.0)]


def play(script, times_ms, most=4, given=None):
    """
    Return for every time who was returned, and how many people each landmarker that ran follows.

    :param script: ``script(everywhere, region, time_ms)``: what a landmarker sees.
    """
    made, out = [], []

    def make(count):
        made.append(Landmarker(count))
        return made[-1]
    stream, lock = Followers(make, most, lambda: make(CLOSER)), threading.Lock()
    for time_ms in times_ms:
        ran = []

        def cut(region, time_ms=time_ms, ran=ran):
            def look(landmarker):
                with lock:
                    ran.append(landmarker.people)
                assert not landmarker.closed
                return script(landmarker.people, region, time_ms)[:landmarker.people or 1]
            return look
        boxes = given(time_ms) if given else ()
        out.append((stream.observe(time_ms, cut, SIZE, boxes), ran))
    stream.close()  # a closer look may still have been under way
    for _, ran in out:
        ran.sort()
    assert all(one.closed for one in made)
    return out


def within(region, people):
    """Return those whose middle is in the region."""
    if region is None:
        return people
    middles = [(one.box_px[:2] + one.box_px[2:]) / 2 for one in people]
    return [one for one, middle in zip(people, middles)
            if (middle > region[:2]).all() and (middle < region[2:]).all()]


def test_one_person_is_followed_and_the_image_searched_twice_a_second(people):
    wide = replace(people[1], box_px=np.array([200, 100, 440, 400]))
    frames = play(lambda count, region, time_ms: [wide], range(0, 1100, 100))
    assert [ran for _, ran in frames] == [
        [4], [1], [1], [1], [1], [1, 4], [1], [1], [1], [1], [1, 4]]


@pytest.mark.parametrize('near', [True, False])
def test_everybody_has_a_follower_and_a_part_of_the_image(people, near):
    """The first one has the whole image where they fill a good part of it."""
    regions = {}
    x0, x1 = people[0].box_px[[0, 2]]
    everybody = [replace(people[0], box_px=np.array([x0, 20, x1, 470])), *people[1:]]

    def script(count, region, time_ms):
        if count == 1:
            regions.setdefault(time_ms, []).append(region)
        return within(region, everybody if near else people)
    frames = play(script, range(0, 400, 100), most=3)
    assert [len(seen) for seen, _ in frames] == [3] * 4
    assert frames[1][1] == [1, 1, 1], 'nobody else may come: no search'
    for time_ms in (100, 200, 300):
        assert sum(region is None for region in regions[time_ms]) == near
        parts = [region for region in regions[time_ms] if region]
        assert len(parts) == 3 - near
        assert all(r[0] < r[2] <= 640 and r[1] < r[3] <= 480 for r in parts)


def test_who_comes_is_found_by_the_next_search(people):
    def script(count, region, time_ms):
        return within(region, people[:1 + (time_ms >= 250)])
    counts = [len(seen) for seen, _ in play(script, range(0, 900, 100))]
    assert counts == [1, 1, 1, 1, 1, 2, 2, 2, 2]


def test_a_search_that_finds_nobody_does_not_lose_who_is_followed(people):
    def script(count, region, time_ms):
        return [] if count == 4 and time_ms else people[:1]
    frames = play(script, range(0, 2 * SEARCH_MS, 100))
    assert all(len(seen) == 1 for seen, _ in frames)


def test_a_follower_that_jumps_to_somebody_else_is_checked_by_a_search(people):
    def script(count, region, time_ms):
        if count == 1:
            return [people[0] if time_ms < 200 else people[2]]
        return [people[0], people[2]] if time_ms >= 200 else [people[0]]
    frames = play(script, range(0, 300, 100))
    assert [len(seen) for seen, _ in frames] == [1, 1, 2]
    assert frames[2][1] == [1, 4]


def test_two_followers_never_follow_one_person(people):
    def script(count, region, time_ms):
        if count > 1:
            return people[:2] if time_ms < 300 else people[:1]
        return within(region, people[:2]) if time_ms < 300 else people[:1]
    frames = play(script, range(0, 600, 100))
    assert [len(seen) for seen, _ in frames] == [2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize('most', [1, 4])
def test_with_nobody_there_the_image_and_ten_times_a_second_a_part_are_searched(people, most):
    parts = []

    def script(count, region, time_ms):
        parts.extend([region] if count == CLOSER else [])
        assert (region is None) == (count != CLOSER)
        return []
    ran = [ran for _, ran in play(script, range(0, 350, 50), most)]
    assert ran[:7] == [[CLOSER, most], [most]] * 3 + [[CLOSER, most]]
    halves, thirds = parts_of(SIZE, 2), parts_of(SIZE, 3)
    assert parts == [halves[0], thirds[0], halves[1], thirds[1]]


@pytest.mark.parametrize('most', [1, 4])
def test_who_is_too_small_for_the_whole_image_is_found_by_a_closer_look(people, most):
    def script(count, region, time_ms):
        return [] if region is None else within(region, people[2:])
    frames = play(script, range(0, 2000, 33), most)
    counts = [len(seen) for seen, _ in frames]
    first = counts.index(1)
    assert first <= 24 and counts == [0] * first + [1] * (len(counts) - first)
    assert sum(CLOSER in ran for _, ran in frames[first:]) <= (7 if most > 1 else 0)


@pytest.mark.parametrize('most', [1, 4])
def test_furniture_that_a_closer_look_takes_for_somebody_is_told_to_nobody(people, most):
    def script(count, region, time_ms):
        if count == CLOSER:
            return within(region, people[2:])
        return within(region, people[2:]) if region and time_ms % 200 < 100 else []
    frames = play(script, range(0, 2000, 50), most)
    assert not any(seen for seen, _ in frames)


def test_no_closer_look_cuts_a_person_who_is_followed(people):
    regions = []

    def script(count, region, time_ms):
        regions.extend([region] if count == CLOSER else [])
        return people[:1]
    frames = play(script, range(0, 3000, 100))
    left = people[0].box_px
    assert regions and all(region[0] >= left[2] for region in regions)
    assert all(len(seen) == 1 for seen, _ in frames)


@pytest.mark.parametrize('most', [1, 4])
def test_who_is_small_in_the_whole_image_is_looked_at_from_nearer(people, most):
    regions = []

    def script(count, region, time_ms):
        regions.append(region)
        return within(region, people[1:2])
    frames = play(script, range(0, 400, 100), most)
    assert [len(seen) for seen, _ in frames] == [1] * 4
    assert regions[0] is None and regions[-1] is not None


def test_never_more_people_than_may_be_followed(people):
    """Whoever is found by a closer look takes a place before anybody is told."""
    found = []

    def script(count, region, time_ms):
        if count == CLOSER:
            found.extend(within(region, people[2:]))
            return within(region, people[2:])
        return people[:2] * bool(found) if region is None else within(region, people)
    frames = play(script, range(0, 6000, SEARCH_MS), most=2)
    counts = [len(seen) for seen, _ in frames]
    assert max(counts) == 2 and counts[-1] == 2


def test_beside_somebody_near_only_thirds_are_looked_at(people):
    """Of the halves every one has part of the person in it."""
    regions = []

    def script(count, region, time_ms):
        regions.extend([region] if count == CLOSER else [])
        return [replace(people[1], box_px=np.array([250, 20, 400, 470]))]
    play(script, range(0, 3000, 100))
    assert set(regions) == {parts_of(SIZE, 3)[0], parts_of(SIZE, 3)[4]}


def test_who_comes_near_is_not_followed_twice(people):
    """The whole image shows who was found by a closer look, before that one is believed."""
    def script(count, region, time_ms):
        return people[2:] if region is None and time_ms >= 500 else within(
            region, people[2:]) if region else []
    frames = play(script, range(0, 2000, 50))
    assert max(len(seen) for seen, _ in frames) == 1


@pytest.mark.parametrize('size', [(640, 480), (480, 640), (500, 500), (1920, 1080), (64, 3),
                                  (1, 1), (1, 2)])
@pytest.mark.parametrize('share', [2, 3])
def test_parts_lie_in_the_image_and_reach_both_ends(size, share):
    parts = np.array(parts_of(size, share))
    assert (parts[:, :2] >= 0).all() and (parts[:, 2:] <= size).all()
    assert (parts[:, 2:] > parts[:, :2]).all()
    along = int(size[1] > size[0])
    assert parts[:, along].min() == 0 and parts[:, 2 + along].max() == size[along]


def test_given_boxes_are_looked_at_by_themselves(people):
    """People that a search does not find are followed from the box on, and once only."""
    def script(count, region, time_ms):
        return within(region, people) if count == 1 and region else []
    frames = play(script, range(0, 500, 100),
                  given=lambda time_ms: [p.box_px for p in people[1:]] if time_ms < 200 else ())
    assert [len(seen) for seen, _ in frames] == [2] * 5


def test_a_box_without_a_person_is_forgotten(people):
    boxes = [np.array([600, 400, 630, 470.0]), np.array([-50, 0, -10, 40.0])]
    frames = play(lambda count, region, time_ms: within(region, people[:1]), range(0, 400, 100),
                  given=lambda time_ms: boxes if time_ms == 100 else ())
    assert [len(seen) for seen, _ in frames] == [1] * 4


def test_one_person_at_most_needs_one_landmarker(people):
    frames = play(lambda count, region, time_ms: people[:1], range(0, 700, 100), most=1)
    assert [ran for _, ran in frames] == [[1]] * 7
