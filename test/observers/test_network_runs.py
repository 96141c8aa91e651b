"""The network is run as often for each person as live images leave time for."""

from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.person_network import Workload
from niki_ros.observers.runs import Runs
from niki_ros.observers.search import PersonSearch
from niki_ros.observers.turns import Turns
import pytest
from test_following import IMAGE, LEFT, STEP_NS, World

PERIOD_S = 1 / 30


def counts(runs, network_s, rest_s, seconds, start_s=0.0, people=1, period_s=PERIOD_S):
    """Return the runs in each image of a camera; ``network_s`` is the time of one run."""
    seen = []
    for i in range(round(seconds / period_s)):
        network = network_s * people * runs.count
        stamp_ns = int((start_s + i * period_s) * 1e9) + 1
        runs.update(Workload(stamp_ns, people, period_s, network + rest_s * people), network)
        seen.append(runs.count)
    return seen


@pytest.mark.parametrize('network_s, rest_s, period_s, expected', [
    (0.002, 0.006, 1 / 30, 4), (0.005, 0.008, 1 / 30, 2), (0.01, 0.012, 1 / 30, 1),
    (0.01, 0.012, 1 / 15, 2), (0.001, 0.025, 1 / 30, 1), (0.0, 0.0, 1 / 30, 1)])
def test_there_are_as_many_runs_as_the_period_of_the_camera_allows(network_s, rest_s, period_s,
                                                                   expected):
    seen = counts(Runs(), network_s, rest_s, 6, period_s=period_s)
    assert set(seen[:round(1 / period_s)]) == {1}
    assert set(seen[-round(2 / period_s):]) == {expected}


def test_there_are_fewer_when_people_come_and_more_when_they_have_left():
    runs = Runs()
    assert counts(runs, 0.003, 0.004, 5)[-1] == 4
    assert counts(runs, 0.003, 0.004, 4, 5, people=3)[-1] == 1
    assert counts(runs, 0.003, 0.004, 5, 9, people=1)[-1] == 4


def test_a_machine_at_its_limit_does_not_change_often():
    runs, changes = Runs(), 0
    for i in range(1200):
        # twice as many take longer than expected
        load_s, before = 0.012 if runs.count == 1 else 0.03, runs.count
        runs.update(Workload(int(i * PERIOD_S * 1e9) + 1, 1, PERIOD_S, load_s), 0.005)
        changes += runs.count != before
    assert 2 <= changes <= 8


def test_a_new_stream_begins_with_one_run():
    runs = Runs()
    assert counts(runs, 0.002, 0.006, 5)[-1] > 1
    runs.reset()
    assert runs.count == 1


@pytest.mark.parametrize('share, expected, is_in_turn', [
    (0.1, 4, False), (0.8, 1, False), (1.4, 1, True)])
def test_people_are_observed_in_turn_only_with_one_run(share, expected, is_in_turn):
    """``share``: what one run takes of the time between two images."""
    world, runs, turns = World(LEFT, (400, 100, 500, 400)), Runs(), Turns()
    observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3), turns=turns, runs=runs)
    for i in range(200):
        observer.period_s, observer.busy_s = STEP_NS * 1e-9, runs.count * share * STEP_NS * 1e-9
        observer.observe(IMAGE, None, i * STEP_NS + 1)
        assert turns.count is None or world.workload.runs == 1
    assert world.workload.runs == expected and (turns.count is not None) == is_in_turn
    observer.close()


@pytest.mark.parametrize('runs, expected', [(1, [1]), (2, [1]), (4, [1, 1])])
def test_with_four_runs_a_person_is_observed_again_in_the_crop_that_follows(runs, expected):
    world = World(LEFT)
    observer = FollowingObserver(world, PersonSearch(world, 0.5, 0.3), runs=Runs(fixed=runs))
    for i in range(10):
        world.batches.clear()
        observer.observe(IMAGE, None, i * STEP_NS + 1)
    assert world.batches == expected and world.workload.runs == runs
    observer.close()


@pytest.mark.parametrize('wait, changes, expected', [
    (True, {}, 4), (False, {}, 1), (True, {'runs': '1'}, 1), (False, {'runs': '2'}, 2),
    (True, {'model': 'auto'}, 1), (False, {'model': 'auto', 'runs': '2'}, 2)])
def test_setting_of_runs(monkeypatch, wait, changes, expected):
    from niki_ros import observers
    world = World(LEFT)
    monkeypatch.setitem(observers.NETWORKS, 'landmarks', lambda settings, options: world)
    config = PipelineConfig()
    for name, value in changes.items():
        setattr(config.observer, name, value)
    observer = load_observer(config, world, wait)
    observer.observe(IMAGE, None, 1)
    assert world.workload.runs == expected
    observer.close()
