"""Estimates the size and the proportions of a person over time."""

from niki_ros.body.shape import body_scale
from niki_ros.common.replace import replace
from niki_ros.people.body_shape import BodyShape, COMPLETE_VIEW_JOINTS, SizeNumbers
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


class EstimateSize(Stage):
    """
    Sets the betas by all observations of the person so far.

    One image does not tell the size of a person: a small person nearby looks like a tall person
    farther away. A measured distance tells it, and resizes the joints of a front end.
    """

    Numbers = SizeNumbers
    timed_as = 'solve'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self.shape = BodyShape(parts.solver.skeleton, self.numbers)
        self._since_distance_s = self.numbers.distance_period_s

    def step(self, frame: PersonFrame) -> PersonFrame:
        seen, before = frame.observation, frame.previous
        self._since_distance_s += frame.dt_s
        if (self._since_distance_s >= self.numbers.distance_period_s and before is not None
                and self._tells_size(before)):
            self._since_distance_s = 0.0
            scale = body_scale(before.betas, self.parts.solver.skeleton) * before.distance_ratio
            self.shape.add_scale(float(scale))
        if seen is not None:
            self.shape.update(seen, frame.dt_s)
            # lengths that a front end measures are those of its own idea of the person's size
            if seen.lengths_m is not None and self.shape.size_ratio != 1.0:
                seen = replace(seen, joints_m=np.float32(self.shape.size_ratio) * seen.joints_m)
        return replace(frame, observation=seen, betas=self.shape.betas,
                       measured_scale=self.shape.measured_scale)

    def _tells_size(self, frame: PersonFrame) -> bool:
        """Return whether a distance was measured of a person of whom nearly all is seen."""
        if frame.distance_ratio is None or frame.observation is None:
            return False
        # half a body is placed less well by its size
        seen = (frame.observation.sigma_200mm[COMPLETE_VIEW_JOINTS]
                < self.numbers.seen_sigma_200mm)
        return bool(seen.mean() >= self.numbers.min_seen_ratio)
