"""Choice of the landmark network by its speed and the rate of the camera."""

import threading

from niki_ros.observers.auto_network import AutoNetwork
import pytest

COST_S = {'lite': 0.002, 'full': 0.005, 'heavy': 0.020}


class Network:
    passes, max_missed_searches = 3, 5

    def __init__(self, size):
        self.size, self.closed = size, False

    def estimate(self, image, camera, crops):
        assert not self.closed
        return [self.size]

    def describe(self):
        return {'observer_model': self.size}

    def close(self):
        self.closed = True


def settled(auto):
    """Return the size in use, after the thread that loads another one has ended."""
    for thread in threading.enumerate():
        if '_load_size' in thread.name:
            thread.join(2.0)
    return auto.estimate(None, None, [])[0]


@pytest.mark.parametrize('period_s, people, size', [
    (1 / 30, 1, 'full'), (1 / 10, 1, 'heavy'), (1 / 30, 4, 'lite'), (1 / 5, 4, 'full'),
    (1 / 1000, 8, 'lite'), (1.0, 0, 'heavy')])
def test_largest_fast_enough_network_is_chosen(period_s, people, size):
    made = []
    auto = AutoNetwork(lambda size: made.append(Network(size)) or made[-1],
                       lambda network: COST_S[network.size])
    assert auto.estimate(None, None, []) == ['full'], 'before the rate is known'
    auto.set_workload(period_s, people)
    assert settled(auto) == size
    auto.close()
    assert all(network.closed for network in made)


def test_sizes_do_not_alternate():
    auto = AutoNetwork(Network, lambda network: COST_S[network.size])
    just = COST_S['heavy'] / 0.5 * 1.1
    auto.set_workload(just, 1)
    assert settled(auto) == 'full'
    auto.set_workload(just * 2, 1)
    assert settled(auto) == 'heavy'
    auto.set_workload(just, 1)
    assert settled(auto) == 'heavy'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_network_stays_when_the_next_one_cannot_be_loaded():
    made = []

    def load(size):
        made.append(size)
        if made.count('heavy') == 2:
            raise MemoryError('no room on the GPU')
        return Network(size)
    auto = AutoNetwork(load, lambda network: COST_S[network.size])
    auto.set_workload(1.0, 1)
    assert (settled(auto), auto.size) == ('full', 'full')
    auto.set_workload(1.0, 1)
    assert (settled(auto), auto.size) == ('heavy', 'heavy')


def test_description_has_rate_and_costs():
    auto = AutoNetwork(Network, lambda network: COST_S[network.size])
    auto.set_workload(1 / 25, 1)
    assert '25 Hz' in auto.describe()['observer_auto'] and '20' in auto.describe()['observer_auto']
