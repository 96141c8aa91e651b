"""Rejects observations at a distance that the person cannot have reached."""

from dataclasses import dataclass
from typing import Optional

from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class DistanceGateNumbers:
    """Numbers of :class:`GateDistance`."""

    max_step_ratio: float = 0.12  # sudden change that the noise of a front end explains
    max_speed_m_s: float = 1.0  # of a person along z, in addition
    max_rejection_s: float = 1.0  # then another distance is accepted
    memory_s: float = 1.0  # time constant of the mean distance


class GateDistance(Stage):
    """
    Rejects an observation in which the person is suddenly nearer or farther.

    A front end that sees half of a person fits a whole body into it, or into parts of another
    person: the distance changes faster than people move.
    """

    Numbers = DistanceGateNumbers
    timed_as = 'track'

    def __init__(self, parts=None, numbers=None):
        super().__init__(parts, numbers)
        self._log_distance: Optional[float] = None
        self._mean_log_distance = 0.0
        self._since_s = 0.0

    def step(self, frame: PersonFrame) -> PersonFrame:
        if frame.observation is None or frame.observed_root_m is None or self.accepts(
                frame.observed_root_m[2], frame.dt_s):
            return frame
        return replace(frame, observation=None)

    def accepts(self, distance_m: float, dt_s: float) -> bool:
        """Return whether the person can be at this distance, and remember it if so."""
        numbers, log_distance = self.numbers, float(np.log(max(distance_m, 0.1)))
        self._since_s += dt_s
        if self._log_distance is None:
            self._mean_log_distance = log_distance
        elif self._since_s <= numbers.max_rejection_s:
            change = min(abs(log_distance - self._log_distance),
                         abs(log_distance - self._mean_log_distance))
            walked_ratio = numbers.max_speed_m_s * self._since_s / np.exp(self._log_distance)
            if change > numbers.max_step_ratio + walked_ratio:
                return False
        self._log_distance, self._since_s = log_distance, 0.0
        weight = min(dt_s / numbers.memory_s, 1.0)
        self._mean_log_distance += weight * (log_distance - self._mean_log_distance)
        return True
