"""Smooths rotations and root over time."""

from dataclasses import dataclass, replace
from typing import Optional

from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.one_euro import OneEuroPoint, OneEuroRotations
from niki_ros.people.stages.stage import Stage
import numpy as np

_UNFILTERED = (1e6, 0.0)  # passes everything; the filter goes on measuring the velocity


@dataclass(frozen=True)
class RotationNumbers:
    """Numbers of :class:`SmoothRotations`."""

    min_turn_rad_s: float = 4.0  # fastest turn of a joint that is not seen: it is a guess
    max_turn_rad_s: float = 25.0  # of a joint that is seen: people turn no faster
    return_s: float = 0.5  # a joint that is seen again may turn at full speed after this time


class SmoothRotations(Stage):
    """One-Euro filter on the local rotations, with a limit on how fast a joint turns."""

    Numbers = RotationNumbers

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._filter = OneEuroRotations(24)
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
            self._filter.step(rotmat, frame.dt_s, *_UNFILTERED)
        return replace(frame, rotmat=rotmat.copy(),
                       angular_velocity_rad_s=self._filter.velocity_rad_s.copy())


@dataclass(frozen=True)
class RootNumbers:
    """Numbers of :class:`SmoothRoot`."""

    depth_cutoff_ratio: float = 0.5  # cut-off of the distance over that of the other coordinates
    min_depth_rate_hz: float = 0.2  # change of the distance in a second, as a share, of a person
    max_depth_rate_hz: float = 3.0  # with no joint seen, and with all joints seen


class SmoothRoot(Stage):
    """One-Euro filter on the root, with a limit on the change of its distance."""

    Numbers = RootNumbers

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._filter = OneEuroPoint()

    def step(self, frame: PersonFrame) -> PersonFrame:
        settings, root_m = self.parts.config.smoothing, frame.root_m
        if frame.root_source not in ('depth', 'ground'):
            root_m = limit_distance_change(root_m, self._filter.value, frame.hidden[:24],
                                           frame.dt_s, self.numbers)
        if settings.enabled:
            cutoff_hz = settings.root_min_cutoff_hz * np.array(
                [1.0, 1.0, self.numbers.depth_cutoff_ratio])
            root_m = self._filter.step(root_m, frame.dt_s, cutoff_hz, settings.root_beta)
        else:
            self._filter.step(root_m, frame.dt_s, *_UNFILTERED)
        return replace(frame, root_m=root_m, root_velocity_m_s=self._filter.velocity.copy())


def limit_distance_change(root_m, last_m: Optional[np.ndarray], hidden, dt_s: float,
                          numbers: RootNumbers = RootNumbers()) -> np.ndarray:
    """Return the root (3,) near its last distance: by the size of half a body it is uncertain."""
    root_m = np.asarray(root_m, dtype=np.float64)
    if last_m is None or last_m[2] <= 0.1 or root_m[2] <= 0.1:
        return root_m
    slow, fast = numbers.min_depth_rate_hz, numbers.max_depth_rate_hz
    limit = (slow + fast * (1.0 - np.mean(hidden)) ** 4) * dt_s
    change = np.log(root_m[2] / last_m[2])
    return root_m * np.exp(np.clip(change, -limit, limit) - change)
