"""Decides how often the network is run for each person in a live image, by the time there is."""

from dataclasses import dataclass
from typing import Optional, Tuple

from niki_ros.common.settings import ObserverConfig
from niki_ros.observers.load_window import LoadWindow
from niki_ros.observers.person_network import Workload

MAX_RUNS = 4


@dataclass(frozen=True)
class RunNumbers:
    """Numbers of :class:`Runs`; times are by the stamps of the images."""

    # shares of the load that is allowed: with twice as many runs an image must be expected to
    # take less than the first one for some time; there are half as many above the second one
    more_ratio: float = 0.75
    fewer_ratio: float = 0.9
    more_after_ns: int = 1_000_000_000
    retry_after_ns: int = 10_000_000_000  # after there were fewer


class Runs:
    """
    Decides by what the images before took.

    :param max_load: time that one image may take over the time between two images.
    :param fixed: always this number of runs.
    :ivar count: 1, 2 or 4 runs, see :class:`Workload`.
    """

    def __init__(self, max_load: float = ObserverConfig.max_load, fixed: Optional[int] = None,
                 numbers: RunNumbers = RunNumbers()):
        self._max_load, self._numbers, self._fixed = max_load, numbers, fixed
        self.count = fixed or 1
        self._window = LoadWindow()
        self._too_slow: Optional[Tuple[int, int]] = None  # stamp, and number of people

    def update(self, workload: Workload, network_s: float) -> bool:
        """
        Take the load of the image before, and return whether the count has changed.

        :param network_s: time of the network in it.
        """
        if self._fixed:
            return False
        if not self._window.continues(workload.stamp_ns):
            self._window.clear()
        if not workload.busy_s or not workload.period_s or not workload.people:
            return False
        self._window.add(workload.stamp_ns, workload.busy_s, network_s)
        load_s = self._window.load_s()
        if load_s is None:
            return False
        numbers, limit_s = self._numbers, self._max_load * workload.period_s
        if self.count > 1 and load_s[0] > numbers.fewer_ratio * limit_s:
            self.count //= 2
            self._too_slow = workload.stamp_ns, workload.people
        elif self.count < MAX_RUNS and self._may_add(
                workload, sum(load_s) < numbers.more_ratio * limit_s):
            self.count *= 2
        else:
            return False
        self._window.clear()
        return True

    def reset(self) -> None:
        """Begin a new stream."""
        self.count, self._too_slow = self._fixed or 1, None
        self._window.clear()

    def _may_add(self, workload: Workload, fits: bool) -> bool:
        """Return whether twice as many runs have fitted for long enough."""
        numbers, stamp_ns = self._numbers, workload.stamp_ns
        was_too_slow = (self._too_slow is not None and workload.people >= self._too_slow[1]
                        and stamp_ns - self._too_slow[0] < numbers.retry_after_ns)
        has_fitted = self._window.has_fitted(fits, stamp_ns, numbers.more_after_ns)
        return has_fitted and not was_too_slow
