"""Estimates the size and the proportions of a person over time."""

from dataclasses import dataclass

from niki_ros.body.observation import JointObservation
from niki_ros.body.shape import (
    measured_lengths,
    PAIRS,
    scale_per_beta,
    shape_from_lengths,
    ShapePrior,
)
from niki_ros.body.skeleton import JOINT, OPEN_SKELETON, Skeleton
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np

COMPLETE_VIEW_JOINTS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right')
                  for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')])
"""A view is complete when all of these are seen."""
_BETAS_INFORMATION = 4.0  # of one view whose front end measures the betas


@dataclass(frozen=True)
class SizeNumbers:
    """Numbers of :class:`BodyShape`."""

    seen_sigma_200mm: float = 0.6  # joints with a larger sigma do not count
    steps_s: tuple = (0.0, 0.3, 1.0, 3.0)  # times in view at which the betas change
    settled_s: float = 3.0  # time in view after which they change only by
    min_change_m: float = 0.01  # this length of a bone, or more
    max_view_s: float = 0.2  # one view lasts no longer
    views_per_s: float = 5.0  # independent views in a second; errors of lengths last
    memory_s: float = 60.0  # time constant with which old views fade
    settled_period_s: float = 0.1  # between the views that count, once the size has settled
    # a front end sees a person too small or too large by about as much as people differ; no
    # number of images removes that
    common_error_ratio: float = 0.07
    cut_off_error_ratio: float = 0.1  # the same for a view that is not complete
    unmeasured_m: float = 1.0  # sigma of a length with an end that is not seen


class EstimateSize(Stage):
    """Sets the betas by all observations of the person so far."""

    Numbers = SizeNumbers
    timed_as = 'solve'

    def __init__(self, parts, numbers=None):
        super().__init__(parts, numbers)
        self.shape = BodyShape(parts.solver.skeleton, self.numbers)

    def step(self, frame: PersonFrame) -> PersonFrame:
        if frame.observation is not None:
            self.shape.update(frame.observation, frame.dt_s)
        return replace(frame, betas=self.shape.betas)


class BodyShape:
    """
    Running estimate of the betas (10,) of one person.

    Every complete view adds its information about the lengths between joints (an extended Kalman
    filter of a constant); before the first one, cut-off views count. ``betas`` changes in few
    steps, so that a URDF made from it stays true for long.
    """

    def __init__(self, skeleton: Skeleton, numbers: SizeNumbers = SizeNumbers()):
        self._skeleton, self._numbers = skeleton, numbers
        size = len(skeleton.shape_basis_m)
        self._information = np.zeros((size, size))
        self._weighted = np.zeros(size)
        self._complete_s = 0.0
        self._cut_off_s = 0.0
        self._waited_s = 0.0  # since the last view that counted
        self._steps = 0
        self._common_error_ratio = 0.0
        self.betas = np.zeros(size)

    @property
    def settled(self) -> bool:
        """Whether the person has been completely in view for ``settled_s`` in all."""
        return self._complete_s >= self._numbers.settled_s

    def update(self, observation: JointObservation, dt_s: float) -> np.ndarray:
        """Add one observation that lasted ``dt_s``; return the betas to use (10,)."""
        numbers = self._numbers
        dt_s = min(dt_s, numbers.max_view_s)
        if self.settled:
            self._waited_s += dt_s
            if self._waited_s < numbers.settled_period_s:
                return self.betas
            dt_s, self._waited_s = min(self._waited_s, numbers.max_view_s), 0.0
        seen = observation.sigma_200mm < numbers.seen_sigma_200mm
        is_complete = bool(seen[COMPLETE_VIEW_JOINTS].all())
        # a front end's betas belong to its own body model (SMPL), never to the open skeleton
        has_betas = observation.betas is not None and self._skeleton.name != OPEN_SKELETON
        is_complete = is_complete or has_betas
        if not is_complete and (self._complete_s > 0.0 or not seen.any()):
            return self.betas
        count = self._count_view(observation, dt_s, is_complete)
        if has_betas:
            self._add_betas(np.asarray(observation.betas, np.float64), count)
        elif count > 0.0:
            self._add_lengths(observation, count, is_complete)
        return self._stepped(self._estimate(), is_complete)

    def _stepped(self, estimate, is_complete: bool) -> np.ndarray:
        """Return the betas to use: the estimate where a step is due, else those in use."""
        numbers = self._numbers
        in_view_s = self._complete_s if is_complete else self._cut_off_s
        due = self._steps < len(numbers.steps_s) and in_view_s >= numbers.steps_s[self._steps]
        if due or (self.settled and self._change_m(estimate) > numbers.min_change_m):
            self._steps += int(due)
            self.betas = estimate
        return self.betas

    def _count_view(self, observation: JointObservation, dt_s: float, is_complete: bool) -> float:
        """Let old views fade; return as how many views one that lasted ``dt_s`` counts."""
        is_first = (self._complete_s if is_complete else self._cut_off_s) == 0.0
        if is_complete:
            self._complete_s += dt_s + 1e-6
        else:
            self._cut_off_s += dt_s + 1e-6
        if is_complete and is_first:
            self._information[:], self._weighted[:], self._steps = 0.0, 0.0, 0
        keep = 1.0 - dt_s / self._numbers.memory_s
        self._information, self._weighted = keep * self._information, keep * self._weighted
        # without measured lengths the errors of the joints are new in every image
        has_new_errors = observation.betas is None and observation.lengths_m is None
        return 1.0 if is_first or has_new_errors else dt_s * self._numbers.views_per_s

    def _add_betas(self, betas, count: float) -> None:
        self._information += _BETAS_INFORMATION * count * np.eye(len(betas))
        self._weighted += _BETAS_INFORMATION * count * betas

    def _add_lengths(self, observation: JointObservation, count: float, is_complete: bool) -> None:
        """Add the lengths of ``count`` equal views, near what is known so far."""
        length, variance = self._measured(observation, is_complete)
        known = None
        if self._information.any():
            information = self._information + np.eye(len(self._information))
            known = ShapePrior(np.linalg.solve(information, self._weighted), information)
        betas, information = shape_from_lengths(
            length[None], variance[None] / count, self._skeleton, prior=known)
        self._information = self._information + information[0]
        # the maximum of the posterior is at ``betas``: (information + I) betas = weighted
        self._weighted = self._information @ betas[0] + betas[0]

    def _measured(self, observation: JointObservation, is_complete: bool):
        """Return the lengths (34,) of one view, metres, and their variances (34,)."""
        numbers = self._numbers
        self._common_error_ratio = 0.0
        if observation.lengths_m is None or observation.length_sigma_m is None:
            lengths = measured_lengths(observation.joints_m[None], observation.sigma_200mm[None])
            return lengths[0][0], lengths[1][0]
        self._common_error_ratio = (
            numbers.common_error_ratio if is_complete else numbers.cut_off_error_ratio)
        seen = (observation.sigma_200mm[PAIRS] < numbers.seen_sigma_200mm).all(1)
        sigma_m = np.where(seen, observation.length_sigma_m, numbers.unmeasured_m)
        return observation.lengths_m, sigma_m**2

    def _estimate(self) -> np.ndarray:
        """Return the most likely betas (10,): views, their common error, and N(0, I)."""
        identity = np.eye(len(self.betas))
        variance = (self._common_error_ratio / scale_per_beta(self._skeleton))**2
        # (information^-1 + variance)^-1, without inverting an information that may be singular
        share = np.linalg.inv(identity + variance * self._information)
        return np.linalg.solve(share @ self._information + identity, share @ self._weighted)

    def _change_m(self, betas) -> float:
        """Return by how many metres the bone that changes most would change."""
        lengths = self._skeleton.bone_lengths
        return float(np.abs(lengths(betas) - lengths(self.betas)).max())
