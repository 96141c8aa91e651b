"""Lifts keypoints over time to joints in metres."""

from typing import List, Optional

from niki_ros.common.replace import replace
from niki_ros.lifters.window import LiftWindow
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage


class Lift(Stage):
    """Runs the lifter on the keypoints of all observed people at once."""

    timed_as = 'lift'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self.window = LiftWindow()

    @classmethod
    def step_people(cls, stages, frames) -> List[Optional[PersonFrame]]:
        seen = [i for i, frame in enumerate(frames) if frame.observation is not None]
        lifter = stages[0].parts.lifter if stages else None
        if lifter is None or not seen:
            return list(frames)
        lifted = lifter.lift([stages[i].window for i in seen],
                             [frames[i].observation for i in seen], frames[0].stamp_ns)
        by_index = dict(zip(seen, lifted))
        return [replace(frame, observation=by_index.get(i)) for i, frame in enumerate(frames)]

    def step(self, frame: PersonFrame) -> Optional[PersonFrame]:
        return self.step_people([self], [frame])[0]
