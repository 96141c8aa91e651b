"""Ends the prediction of a person who has not been observed for too long."""

from dataclasses import dataclass
from typing import Optional

from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage


@dataclass(frozen=True)
class EndPredictionNumbers:
    """Numbers of :class:`EndPrediction`."""

    per_seen_ratio: float = 8.0  # longest prediction over the time for which the person was seen
    min_s: float = 0.25  # shortest limit of the prediction


class EndPrediction(Stage):
    """
    Ends the prediction of a person after ``tracking.predict_s`` without an observation.

    An observation of a moment may have been no person; its prediction ends earlier.
    """

    Numbers = EndPredictionNumbers
    timed_as = 'track'

    def step(self, frame: PersonFrame) -> Optional[PersonFrame]:
        if frame.observation is not None:
            return frame
        limit_s = min(self.parts.config.tracking.predict_s,
                      self.numbers.min_s + self.numbers.per_seen_ratio * frame.seen_s)
        is_over = frame.unseen_s > limit_s or frame.latest_observation is None
        return None if is_over else frame
