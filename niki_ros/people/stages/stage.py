"""The interface of a stage, and the parts that stages are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, List, Mapping, Optional, Sequence

from niki_ros.common.settings import PipelineConfig
from niki_ros.people.person_frame import PersonFrame


@dataclass(frozen=True)
class StageParts:
    """The parts of the pipeline that stages use, the same for all people."""

    config: PipelineConfig  # live settings may change between frames
    solver: Any = None  # a :class:`niki_ros.solvers.Solver`; None where no stage solves
    lifter: Any = None  # a :class:`niki_ros.lifters.lifter.Lifter`; None = joints are not lifted
    # name of a stage → its ``Numbers``, used instead of the default
    numbers: Mapping[str, Any] = field(default_factory=dict)


class Stage:
    """One step of the pipeline for one person; ``parts`` are :class:`StageParts`."""

    Numbers: ClassVar[Any] = None  # frozen dataclass of the stage's numbers
    timed_as: ClassVar[str]  # name under which the time of the stage is reported

    def __init__(self, parts: Any, numbers: Any = None):
        self.parts = parts
        self.numbers: Any = numbers or (self.Numbers() if self.Numbers else None)

    def step(self, frame: PersonFrame) -> Optional[PersonFrame]:
        """Return the frame with the result of this stage; None = no body for this image."""
        raise NotImplementedError

    @classmethod
    def step_people(cls, stages: Sequence[Stage],
                    frames: Sequence[PersonFrame]) -> List[Optional[PersonFrame]]:
        """Step this stage of several people; stages that run a graph do it in one batch."""
        return [stage.step(frame) for stage, frame in zip(stages, frames)]
