"""Choice of the network by what images take in all, on simulated time."""

import math
import threading

from niki_ros.observers.auto_network import AutoNetwork
from niki_ros.observers.person_network import Workload
import pytest

COST_S = {'lite': 0.0045, 'full': 0.009, 'heavy': 0.041}
REST_S = 0.005  # of everything but the network, for each person
PERIOD_S = 1 / 30


class Machine:
    """A camera and a machine that always takes the newest image; ``speed`` over one core."""

    def __init__(self, speed=1.0, period_s=PERIOD_S, **options):
        self.speed, self.period_s, self.people = speed, period_s, 1
        self.now_s = self.busy_s = 0.0
        self.made, self.unloadable = [], set()
        self.auto = AutoNetwork(self.load, lambda network: COST_S[network.size] / speed,
                                clock=lambda: self.now_s, **options)

    def load(self, size):
        if size in self.unloadable:
            raise MemoryError('no room on the GPU')
        self.made.append(Network(size, self))
        return self.made[-1]

    def run(self, seconds, people=1):
        """Process images; return the sizes in use, and the share of images that are skipped."""
        self.people = people
        begin_s, sizes = self.now_s, []
        while self.now_s < begin_s + seconds:
            number, start_s = math.floor(self.now_s / self.period_s + 1e-6), self.now_s
            self.auto.set_workload(Workload(int((number + 1) * self.period_s * 1e9), people,
                                            self.period_s, self.busy_s))
            wait_for_load()
            self.auto.estimate(None, None, [])
            self.now_s += (0.001 + people * REST_S) / self.speed
            self.busy_s = self.now_s - start_s
            sizes.append(self.auto.size)
            self.now_s = max(self.now_s, (number + 1) * self.period_s)  # of the next image
        image_count = (self.now_s - begin_s) / self.period_s
        return sizes, 1 - len(sizes) / image_count


class Network:
    passes, max_missed_searches = 3, 5

    def __init__(self, size, machine):
        self.size, self.machine, self.closed = size, machine, False

    def set_workload(self, workload):
        assert not self.closed

    def estimate(self, image, camera, crops):
        assert not self.closed
        self.machine.now_s += self.machine.people * COST_S[self.size] / self.machine.speed
        return []

    def describe(self):
        return {'observer_model': self.size}

    def close(self):
        self.closed = True


def wait_for_load():
    for thread in threading.enumerate():
        if '_load_size' in thread.name:
            thread.join(2.0)


@pytest.mark.parametrize('speed, rate_hz, people, size', [
    (1, 30, 1, 'full'), (1, 30, 2, 'full'), (1, 30, 3, 'lite'), (1, 30, 8, 'lite'),
    (1, 10, 1, 'heavy'), (1, 10, 2, 'full'), (4, 30, 1, 'heavy'), (4, 30, 4, 'full'),
    (10, 30, 4, 'heavy'), (0.25, 30, 1, 'lite'), (1, 15, 0, 'heavy')])
def test_largest_network_that_fits_is_found_and_kept(speed, rate_hz, people, size):
    machine = Machine(speed, 1 / rate_hz)
    machine.run(12, people)
    sizes, skipped = machine.run(30, people)
    assert set(sizes) == {size}
    assert skipped < 0.02 or size == 'lite'
    machine.auto.close()
    assert all(network.closed for network in machine.made)


def test_overload_ends_within_two_seconds():
    machine = Machine()
    machine.run(10, 1)
    sizes, _ = machine.run(5, 3)
    assert sizes[-1] == 'lite' and sizes.index('lite') < 2 / PERIOD_S


def test_larger_network_returns_when_people_have_left():
    machine = Machine()
    machine.run(10, 3)
    sizes, _ = machine.run(10, 1)
    assert (sizes[0], sizes[-1]) == ('lite', 'full')
    assert sizes.index('full') > 3 / PERIOD_S, 'they may be back in a moment'


def test_sizes_do_not_alternate_at_the_limit():
    machine = Machine(max_load=0.87)
    sizes, _ = machine.run(120, 2)
    assert sum(a != b for a, b in zip(sizes, sizes[1:])) <= 5


def test_a_slow_machine_is_found_out_by_what_images_take():
    """The network alone would fit; another program takes three of four seconds."""
    machine = Machine()
    machine.run(5, 1)
    machine.speed = 0.25
    sizes, _ = machine.run(5, 1)
    assert sizes[-1] == 'lite'


@pytest.mark.parametrize('max_load, size', [(0.5, 'lite'), (1.5, 'full'), (3.0, 'heavy')])
def test_max_load_sets_how_many_images_may_be_skipped(max_load, size):
    machine = Machine(max_load=max_load)
    machine.run(20, 2 if max_load < 3 else 1)
    sizes, skipped = machine.run(20, 2 if max_load < 3 else 1)
    assert set(sizes) == {size}
    assert skipped < 1 - 1 / max(max_load, 1) + 0.02


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_network_stays_when_the_next_one_cannot_be_loaded():
    machine = Machine(4)
    machine.unloadable = {'heavy'}
    assert set(machine.run(10)[0]) == {'full'}
    machine.unloadable = set()
    assert machine.run(10)[0][-1] == 'heavy'


def test_nothing_is_decided_before_the_rate_and_the_load_are_known():
    machine = Machine()
    for number in range(100):
        machine.auto.set_workload(Workload((number + 1) * 10**7, 1, None, 0.5))
        machine.auto.set_workload(Workload((number + 1) * 10**7 + 1, 1, 0.01, 0.0))
    assert machine.auto.size == 'full'
    assert 'not known' in machine.auto.describe()['observer_auto']


def test_description_has_rate_load_and_costs():
    machine = Machine(period_s=1 / 25)
    machine.run(3)
    text = machine.auto.describe()['observer_auto']
    assert '25 Hz' in text and '15 ms' in text and 'heavy 41' in text
