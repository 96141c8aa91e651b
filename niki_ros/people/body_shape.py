"""A person's proportions, from what has been seen so far; a cut-off view counts until a whole."""

from __future__ import annotations

from niki_ros.body.observation import JointObservation
from niki_ros.body.shape import (
    PAIRS,
    scale_per_beta,
    shape_from_lengths,
    shape_information,
)
from niki_ros.body.skeleton import JOINT, OPEN_SKELETON, Skeleton
import numpy as np

SETTLED_S = 3.0
STEPS_S = (0.0, 0.3, 1.0, SETTLED_S)
STEP_M = 0.01
FRAMES_PER_S = 5.0
MEMORY_S = 60.0
LIMBS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right')
                  for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')])
# a front end that measures lengths sees one and the same person too small, or too large, by about
# as much as people differ; no number of frames takes that out
COMMON_ERROR = 0.04
# of a cut-off view, where lengths are measured in what is left of it, this and more
CUT_OFF_ERROR = 0.08
# a length with an end that is not seen well is no measurement
_NOTHING_M = 1.0
# a view is good when every one of the twelve limb joints is expected to be within this sigma
GOOD_SIGMA = 0.6


class BodyShape:
    """
    Running estimate of the betas of one person.

    Every good view adds its information about the lengths between joints (a Kalman filter of a
    constant); where a front end measures lengths its errors last for several frames, so that a
    second of video counts as ``FRAMES_PER_S`` independent ones. ``betas`` (10,) changes in few
    steps, so that a URDF made from it stays true for long: at the first good view, after
    ``STEPS_S`` of it, and later only when some bone would change by more than ``STEP_M``. Before
    the first good view, what is seen of the person has to do, in the same steps.
    """

    def __init__(self, skeleton: Skeleton):
        """Start from the mean body."""
        self._skeleton = skeleton
        size = len(skeleton.shape_basis_m)
        self._information = np.zeros((size, size))
        self._weighted = np.zeros(size)
        self._good_s = 0.0
        self._partly_s = 0.0
        self._steps = 0
        self._common_error = 0.0
        self.betas = np.zeros(size)

    @property
    def settled(self) -> bool:
        """Whether the person has been in good view for three seconds in all."""
        return self._good_s >= SETTLED_S

    def update(self, observation: JointObservation, dt_s: float) -> np.ndarray:
        """Take in one observation that lasted ``dt_s``; return the betas to use (10,)."""
        good = bool((observation.sigma_200mm[LIMBS] < GOOD_SIGMA).all())
        if observation.betas is not None and self._skeleton.name != OPEN_SKELETON:
            # a front end's betas belong to its own body model (SMPL), never to the open skeleton
            good = True
            frame, information = np.asarray(observation.betas, np.float64), 4.0 * np.eye(
                len(self.betas))
        elif good or (self._good_s == 0.0 and (observation.sigma_200mm < GOOD_SIGMA).any()):
            frame, information = self._measured(observation, good)
        else:
            return self.betas
        dt_s = min(dt_s, 0.2)
        # joints taken at their word have errors of their own in every image
        fresh = observation.betas is None and observation.lengths_m is None
        self._add(frame, information, 1.0 if fresh else dt_s * FRAMES_PER_S, dt_s, good)
        estimate = self._estimate()
        seen_s = self._good_s if good else self._partly_s
        due = self._steps < len(STEPS_S) and seen_s >= STEPS_S[self._steps]
        if due or (self.settled and self._change(estimate) > STEP_M):
            self._steps += int(due)
            self.betas = estimate
        return self.betas

    def _add(self, frame, information, count: float, dt_s: float, good: bool) -> None:
        """
        Join the betas (10,) of one view, and the information (10, 10), to what is known.

        :param count: independent views that this one stands for; the first stands for one.
        """
        first = self._good_s == 0.0 if good else self._partly_s == 0.0
        if good and first:
            self._information[:], self._weighted[:], self._steps = 0.0, 0.0, 0
        count = 1.0 if first else count
        if good:
            self._good_s += dt_s + 1e-6
        else:
            self._partly_s += dt_s + 1e-6
        # what is old fades, so that a bad start is forgiven
        keep = 1.0 - dt_s / MEMORY_S
        self._information = keep * self._information + count * information
        self._weighted = keep * self._weighted + count * (information @ frame)

    def _measured(self, observation: JointObservation, good: bool):
        """Return betas (10,) and information (10, 10) of one view."""
        self._common_error = 0.0
        if observation.lengths_m is None or observation.length_sigma_m is None:
            betas, information = shape_information(
                observation.joints_m[None], observation.sigma_200mm[None], self._skeleton)
        else:
            self._common_error = COMMON_ERROR if good else CUT_OFF_ERROR
            spread_m = np.where((observation.sigma_200mm[PAIRS] < GOOD_SIGMA).all(1),
                                observation.length_sigma_m, _NOTHING_M)
            betas, information = shape_from_lengths(
                observation.lengths_m[None], spread_m[None]**2, self._skeleton)
        return betas[0], information[0]

    def _estimate(self) -> np.ndarray:
        """Return the most likely betas (10,): what was seen, its common error, and N(0, I)."""
        identity = np.eye(len(self.betas))
        variance = (self._common_error / scale_per_beta(self._skeleton))**2
        # the inverse of (information^-1 + variance), times what it is the information about
        share = np.linalg.inv(identity + variance * self._information)
        return np.linalg.solve(share @ self._information + identity, share @ self._weighted)

    def _change(self, betas) -> float:
        """Return by how many metres the bone that changes most would change."""
        lengths = self._skeleton.bone_lengths
        return float(np.abs(lengths(betas) - lengths(self.betas)).max())
