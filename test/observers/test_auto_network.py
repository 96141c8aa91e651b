"""The landmark network that keeps up with the camera."""

import time

from niki_ros.observers.auto_network import AutoNetwork
import pytest

COST_S = {'lite': 0.002, 'full': 0.005, 'heavy': 0.020}


class Network:
    """Stands for one of a size."""

    passes, max_missed_searches = 3, 5

    def __init__(self, size):
        """Remember."""
        self.size, self.closed = size, False

    def estimate(self, image, camera, crops):
        """Return the size."""
        assert not self.closed
        return [self.size]

    def describe(self):
        """Return the size."""
        return {'observer_model': self.size}

    def close(self):
        """Remember."""
        self.closed = True


def settled(auto):
    """Return the size that looks, once nothing is being loaded any more."""
    for _ in range(200):
        auto.estimate(None, None, [])
        if auto._loading is None:
            break
        time.sleep(0.01)
    return auto.estimate(None, None, [])[0]


@pytest.mark.parametrize('period_s, people, size', [
    (1 / 30, 1, 'full'), (1 / 10, 1, 'heavy'), (1 / 30, 4, 'lite'), (1 / 5, 4, 'full'),
    (1 / 1000, 8, 'lite'), (1.0, 0, 'heavy')])
def test_the_largest_that_is_fast_enough(period_s, people, size):
    made = []
    auto = AutoNetwork(lambda size: made.append(Network(size)) or made[-1],
                       lambda network: COST_S[network.size])
    assert auto.estimate(None, None, []) == ['full'], 'before the rate is known'
    auto.set_workload(period_s, people)
    assert settled(auto) == size
    auto.close()
    assert all(network.closed for network in made)


def test_it_does_not_go_to_and_fro():
    """What is just fast enough is kept, and not taken up again."""
    auto = AutoNetwork(Network, lambda network: COST_S[network.size])
    just = COST_S['heavy'] / 0.5 * 1.1
    auto.set_workload(just, 1)
    assert settled(auto) == 'full'
    auto.set_workload(just * 2, 1)
    assert settled(auto) == 'heavy'
    auto.set_workload(just, 1)
    assert settled(auto) == 'heavy'


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_a_network_that_cannot_be_loaded_is_not_said_to_look():
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


def test_it_says_what_it_knows():
    auto = AutoNetwork(Network, lambda network: COST_S[network.size])
    auto.set_workload(1 / 25, 1)
    assert '25 Hz' in auto.describe()['observer_auto'] and '20' in auto.describe()['observer_auto']
