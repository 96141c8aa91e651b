"""Who is followed and when the whole image is searched, with landmarkers that play a script."""

from niki_ros.observers.mediapipe import _Stream, SEARCH_MS
import numpy as np
import pytest
from scenes import observe_body, random_pose


@pytest.fixture
def people(camera):
    """Return the observations of three people side by side."""
    pose = random_pose(np.random.default_rng(0), spread_rad=0.0)[0]
    return [observe_body(pose, np.array([x, 0, 6.0]), camera) for x in (-2.0, 0.0, 2.0)]


def play(script, times_ms, most=4):
    """Return for every time who was returned, and which landmarkers ran."""
    stream, out = _Stream(lambda people: people, most), []
    for time_ms in times_ms:
        ran = []

        def see(landmarker, time_ms=time_ms, ran=ran):
            ran.append(landmarker)
            return script(landmarker, time_ms)
        seen = stream.observe(time_ms, see)
        out.append((seen, sorted(ran)))
    return out


def test_one_person_is_followed_and_the_image_searched_twice_a_second(people):
    frames = play(lambda landmarker, time_ms: people[:1], range(0, 1100, 100))
    assert [ran for _, ran in frames] == [
        [4], [1], [1], [1], [1], [1, 4], [1], [1], [1], [1], [1, 4]]


def test_who_comes_is_found_by_the_next_search(people):
    def script(landmarker, time_ms):
        return people[:1 + (time_ms >= 250)][:landmarker]
    counts = [len(seen) for seen, _ in play(script, range(0, 900, 100))]
    assert counts == [1, 1, 1, 1, 1, 2, 2, 2, 2]


def test_a_search_that_finds_nobody_does_not_lose_who_is_followed(people):
    def script(landmarker, time_ms):
        return [] if landmarker == 4 and time_ms else people[:1]
    assert all(len(seen) == 1 for seen, _ in play(script, range(0, 2 * SEARCH_MS, 100)))


def test_a_follower_that_jumps_to_somebody_else_is_checked_by_a_search(people):
    def script(landmarker, time_ms):
        if landmarker == 1:
            return [people[0] if time_ms < 200 else people[2]]
        return [people[0], people[2]] if time_ms >= 200 else [people[0]]
    frames = play(script, range(0, 400, 100))
    assert [len(seen) for seen, _ in frames] == [1, 1, 2, 2]
    assert frames[2][1] == [1, 4]


def test_with_nobody_there_only_the_search_runs(people):
    frames = play(lambda landmarker, time_ms: [], range(0, 500, 100))
    assert [ran for _, ran in frames] == [[4]] * 5
