"""
Extrapolates hidden joints from the last pose.

The positions that a front end reports behind an obstacle are wrong in the same direction frame
after frame, so that no filter of independent errors removes them.
"""

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.trunk_frame import trunk_frame
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np


@dataclass(frozen=True)
class ExtrapolationNumbers:
    """
    Numbers of :class:`ExtrapolateHiddenJoints`.

    For about a second the last pose is better: a real arm hidden for 0.75 s, 53 mm against 257 of
    the front end. Later the front end is better: rendered people, 169 mm against 173.
    """

    full_weight_s: float = 1.0  # until this time only the last pose counts
    no_weight_s: float = 2.0  # after this time only the guess of the front end

    def weights(self, unseen_s) -> np.ndarray:
        """Return the weight of the last pose, 1 … 0, after ``unseen_s`` without sight."""
        fade_s = self.no_weight_s - self.full_weight_s
        return np.clip((self.no_weight_s - unseen_s) / fade_s, 0.0, 1.0)


class ExtrapolateHiddenJoints(Stage):
    """Gives a solver with memory the hidden joints of the last pose, moved with the trunk."""

    Numbers = ExtrapolationNumbers
    timed_as = 'solve'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self._unseen_s = np.full(29, np.inf)

    def step(self, frame: PersonFrame) -> PersonFrame:
        self._unseen_s = np.where(frame.hidden, self._unseen_s + frame.dt_s, 0.0)
        solver = self.parts.solver
        if not solver.temporal:
            return frame
        seen, weights = frame.latest_observation, self.numbers.weights(self._unseen_s)
        if seen is None:
            return frame
        if frame.observation is None:
            seen = replace(seen, sigma_200mm=np.ones(29), twist_cos_sin=None)
            weights = np.ones(29)
        if frame.previous is not None:
            seen = extrapolate_hidden_joints(
                seen, frame.previous.solution.rotmat, solver.skeleton.offsets(frame.betas),
                solver.skeleton.rest(frame.betas), weights)
        return replace(frame, solver_input=seen)


def extrapolate_hidden_joints(observation: JointObservation, rotmat: Optional[np.ndarray],
                              offsets_m, rest_m, weights) -> JointObservation:
    """
    Move hidden joints to where the body had them last, relative to the trunk of this image.

    :param rotmat: (24, 3, 3) local rotations of the frame before. :param offsets_m: (29, 3).
    :param rest_m: (29, 3) rest joints. :param weights: (29,) of the last pose, 0 … 1.
    """
    hidden = observation.hidden
    if rotmat is None or not hidden.any():
        return observation
    joints_m = np.asarray(observation.joints_m, dtype=np.float64)
    before_m, _ = forward_kinematics(rotmat, offsets_m)
    sigma = np.array([observation.sigma_200mm] * 2, dtype=np.float64)
    trunks = trunk_frame(np.array([before_m, joints_m]), sigma, rest_m)
    (old, new), (old_m, new_m) = trunks.camera_from_trunk, trunks.origin_m
    turned_m = (before_m - old_m) @ old @ new.T
    weights = np.where(hidden, weights, 0.0)[:, None]
    placed_m = joints_m + weights * (turned_m + new_m - joints_m)
    return replace(observation, joints_m=(placed_m - placed_m[:1]).astype(np.float32))
