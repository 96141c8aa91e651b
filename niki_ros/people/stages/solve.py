"""Solves joints to rotations."""

from dataclasses import dataclass
from typing import List, Optional

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.body.solution import TrackFrame
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np

_LIMBS = JOINT_OF_KEYPOINT[:12]


@dataclass(frozen=True)
class SolveNumbers:
    """Numbers of :class:`Solve`."""

    # sigma for the solver over that of lifted joints, where all limbs are seen: the lifted joints
    # are means already, and the solver would average again (video: 1.1 mm better than with 1)
    seen_sigma_ratio: float = 0.35


class Solve(Stage):
    """Runs the solver on all people at once; without joints the last solution stays."""

    Numbers = SolveNumbers
    timed_as = 'solve'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self.track = parts.solver.start_track()

    @classmethod
    def step_people(cls, stages, frames) -> List[Optional[PersonFrame]]:
        inputs = [_track_frame(frame, stage.numbers) for frame, stage in zip(frames, stages)]
        given = [i for i, one in enumerate(inputs) if one is not None]
        solved = {}
        if given:
            solved = dict(zip(given, stages[0].parts.solver.step_tracks(
                [stages[i].track for i in given], [inputs[i] for i in given])))
        return [_with_solution(frame, solved.get(i)) for i, frame in enumerate(frames)]

    def step(self, frame: PersonFrame) -> Optional[PersonFrame]:
        return self.step_people([self], [frame])[0]


def _track_frame(frame: PersonFrame, numbers: SolveNumbers) -> Optional[TrackFrame]:
    seen = frame.observation if frame.solver_input is None else frame.solver_input
    if seen is None:
        return None
    is_lifted = seen.unlifted_sigma_200mm is not None
    sigma_200mm = seen.sigma_200mm
    if is_lifted and not seen.hidden[_LIMBS].any():
        sigma_200mm = numbers.seen_sigma_ratio * sigma_200mm
    # without the uncertainty of the betas, with which the solver estimates its own size: on video
    # 98.1 mm instead of 99.6, on tracks with 40 mm of noise 28 instead of 30
    return TrackFrame(seen.joints_m, sigma_200mm, frame.stamp_ns, frame.betas,
                      seen.twist_cos_sin, has_correlated_errors=is_lifted)


def _with_solution(frame: PersonFrame, solution) -> PersonFrame:
    """Return the frame with a solution; None = that of the frame before."""
    if solution is None:
        solution = frame.previous.solution  # type: ignore[union-attr]
    betas = solution.betas if frame.betas is None else frame.betas
    return replace(frame, solution=solution, betas=betas,
                   rotmat=np.asarray(solution.rotmat, dtype=np.float64))
