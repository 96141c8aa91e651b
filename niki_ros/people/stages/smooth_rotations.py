"""Smooths the local rotations over time."""

from dataclasses import dataclass

from niki_ros.common.replace import replace
from niki_ros.people.motion_filter import RotationsFilter, UNFILTERED
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class RotationNumbers:
    """Numbers of :class:`SmoothRotations`."""

    min_turn_rad_s: float = 4.0  # fastest turn of a joint that is not seen: it is a guess
    max_turn_rad_s: float = 25.0  # of a joint that is seen: people turn no faster
    return_s: float = 0.5  # a joint that is seen again may turn at full speed after this time


class SmoothRotations(Stage):
    """Filter of second order on the local rotations, with a limit on how fast a joint turns."""

    Numbers = RotationNumbers
    timed_as = 'smooth'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._filter = RotationsFilter(24)
        self._seen_s = np.full(24, self.numbers.return_s)

    def step(self, frame: PersonFrame) -> PersonFrame:
        numbers, settings = self.numbers, self.parts.config.smoothing
        seen_s = np.minimum(self._seen_s + frame.dt_s, numbers.return_s)
        self._seen_s = np.where(frame.hidden[:24], 0.0, seen_s)
        rotmat = frame.rotmat
        if settings.enabled:
            trust = np.minimum(frame.solution.confidence,
                               (self._seen_s / numbers.return_s) ** 2)
            slow, fast = numbers.min_turn_rad_s, numbers.max_turn_rad_s
            rotmat = self._filter.step(rotmat, frame.dt_s, settings.min_cutoff_hz, settings.beta,
                                       (slow + (fast - slow) * trust) * frame.dt_s)
        else:
            self._filter.step(rotmat, frame.dt_s, *UNFILTERED)
        return replace(frame, rotmat=rotmat.copy(),
                       angular_velocity_rad_s=self._filter.velocity_rad_s.copy())
