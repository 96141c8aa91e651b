"""Estimates confidence and status of each joint."""

from dataclasses import dataclass, replace
from typing import Any

from niki_ros.body.body import OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.body.confidence import (
    confidence_by_neighbours,
    confidence_from_sigma,
    confidence_of_seen,
)
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class ConfidenceNumbers:
    """Numbers of :class:`EstimateConfidence`."""

    # half-life without sight; of joints hidden for a second a third is within 150 mm
    half_life_s: float = 0.5


class EstimateConfidence(Stage):
    """
    Sets the confidence and the status of the 24 joints; a hidden joint is never "observed".

    The probability that the joint is seen gives the status. The probability that it is within
    150 mm is published; it is larger, because badly seen joints are right more often than not.
    """

    Numbers = ConfidenceNumbers

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._confidence = np.zeros((2, 24))

    def step(self, frame: PersonFrame) -> PersonFrame:
        seen: Any = frame.latest_observation
        hidden = frame.hidden[:24]
        limits, solved = self.parts.config.status, frame.solution.confidence
        now = np.stack([
            np.minimum(solved, confidence_from_sigma(seen.own_sigma_200mm[:24])),
            confidence_of_seen(solved, np.asarray(seen.sigma_200mm)[:24])])
        faded = self._confidence * 0.5 ** (frame.dt_s / self.numbers.half_life_s)
        self._confidence = np.where(hidden, faded, now)
        is_seen, is_right = self._confidence
        status = np.where(is_seen >= limits.predicted, PREDICTED, UNOBSERVED)
        observed = (is_seen >= limits.observed) & ~hidden
        return replace(
            frame, status=np.where(observed, OBSERVED, status).astype(np.uint8),
            confidence=confidence_by_neighbours(is_right, hidden).astype(np.float32))
