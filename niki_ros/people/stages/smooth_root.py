"""Smooths the root over time."""

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.body import ROOT_FROM_DEPTH, ROOT_FROM_GROUND
from niki_ros.common.replace import replace
from niki_ros.people.motion_filter import PointFilter, UNFILTERED
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class RootNumbers:
    """Numbers of :class:`SmoothRoot`."""

    depth_cutoff_ratio: float = 0.5  # cut-off of the distance over that of the other coordinates
    # largest relative change of the distance in a second: of a person without a seen joint, and
    # what is added when all joints are seen
    hidden_depth_rate_hz: float = 0.2
    seen_depth_rate_hz: float = 3.0


class SmoothRoot(Stage):
    """Filter of second order on the root, with a limit on the change of its distance."""

    Numbers = RootNumbers
    timed_as = 'smooth'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._filter = PointFilter()

    def step(self, frame: PersonFrame) -> PersonFrame:
        settings, root_m = self.parts.config.smoothing, frame.root_m
        if frame.root_source not in (ROOT_FROM_DEPTH, ROOT_FROM_GROUND):
            root_m = limit_distance_change(root_m, self._filter.value, frame.hidden[:24],
                                           frame.dt_s, self.numbers)
        if settings.enabled:
            cutoff_hz = settings.root_min_cutoff_hz * np.array(
                [1.0, 1.0, self.numbers.depth_cutoff_ratio])
            root_m = self._filter.step(root_m, frame.dt_s, cutoff_hz, settings.root_beta)
        else:
            self._filter.step(root_m, frame.dt_s, *UNFILTERED)
        return replace(frame, root_m=root_m, root_velocity_m_s=self._filter.velocity.copy())


def limit_distance_change(root_m, last_m: Optional[np.ndarray], hidden, dt_s: float,
                          numbers: RootNumbers = RootNumbers()) -> np.ndarray:
    """Return the root (3,) near its last distance: by the size of half a body it is uncertain."""
    root_m = np.asarray(root_m, dtype=np.float64)
    if last_m is None or last_m[2] <= 0.1 or root_m[2] <= 0.1:
        return root_m
    slow, fast = numbers.hidden_depth_rate_hz, numbers.seen_depth_rate_hz
    limit = (slow + fast * (1.0 - np.mean(hidden)) ** 4) * dt_s
    change = np.log(root_m[2] / last_m[2])
    return root_m * np.exp(np.clip(change, -limit, limit) - change)
