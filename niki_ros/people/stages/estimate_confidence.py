"""Estimates confidence and status of each joint."""

from dataclasses import dataclass
from typing import Any

from niki_ros.body.body import OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.body.confidence import (
    confidence_by_neighbours,
    confidence_from_sigma,
    confidence_of_seen,
)
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class ConfidenceNumbers:
    """Numbers of :class:`EstimateConfidence`."""

    # half-life while hidden; of joints hidden for 1 s a third is within 150 mm
    half_life_s: float = 0.5


class EstimateConfidence(Stage):
    """
    Sets the confidence and the status of the 24 joints; a hidden joint is never "observed".

    The probability that the joint is seen gives the status. The probability that it is within
    150 mm is published; it is larger, because badly seen joints are right more often than not.
    """

    Numbers = ConfidenceNumbers
    timed_as = 'smooth'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._confidence = np.zeros((2, 24))  # that it is seen; that it is within 150 mm

    def step(self, frame: PersonFrame) -> PersonFrame:
        seen: Any = frame.latest_observation
        hidden = frame.hidden[:24]
        limits, solved = self.parts.config.status, frame.solution.confidence
        now = np.stack([
            np.minimum(solved, confidence_from_sigma(seen.own_sigma_200mm[:24])),
            confidence_of_seen(solved, np.asarray(seen.sigma_200mm)[:24])])
        faded = self._confidence * 0.5 ** (frame.dt_s / self.numbers.half_life_s)
        self._confidence = np.where(hidden, faded, now)
        p_seen, p_within_150mm = self._confidence
        status = np.where(p_seen >= limits.predicted, PREDICTED, UNOBSERVED)
        observed = (p_seen >= limits.observed) & ~hidden
        return replace(
            frame, status=np.where(observed, OBSERVED, status).astype(np.uint8),
            confidence=confidence_by_neighbours(p_within_150mm, hidden).astype(np.float32))
