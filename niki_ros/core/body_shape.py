"""A person's proportions, from what has been seen so far and never from a cut-off view."""

from __future__ import annotations

from niki_ros.core.shape import scale_per_beta, shape_from_lengths, shape_information
from niki_ros.core.skeleton import JOINT, OPEN_SKELETON, Skeleton
from niki_ros.core.types import JointObservation
import numpy as np

SETTLED_S = 3.0
STEPS_S = (0.0, 0.3, 1.0, SETTLED_S)
STEP_M = 0.01
FRAMES_PER_S = 5.0
MEMORY_S = 60.0
LIMBS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right')
                  for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')])
# a front end sees one and the same person too small, or too large, by about as much as people
# differ; no number of frames takes that out
COMMON_ERROR = 0.04
# a view is good when every one of the twelve limb joints is expected to be within this sigma
GOOD_SIGMA = 0.6


class BodyShape:
    """
    Running estimate of the betas of one person.

    Every good view adds its information about the lengths between joints (a Kalman filter of a
    constant); errors of a front end last for several frames, so that a second of video counts as
    ``FRAMES_PER_S`` independent ones. ``betas`` (10,) changes in few steps, so that a URDF made
    from it stays true for long: at the first good view, after ``STEPS_S`` of it, and later only
    when some bone would change by more than ``STEP_M``.
    """

    def __init__(self, skeleton: Skeleton):
        """Start from the mean body."""
        self._skeleton = skeleton
        size = len(skeleton.shape_basis_m)
        self._information = np.zeros((size, size))
        self._weighted = np.zeros(size)
        self._good_s = 0.0
        self._steps = 0
        self.betas = np.zeros(size)

    @property
    def settled(self) -> bool:
        """Whether the person has been in good view for three seconds in all."""
        return self._good_s >= SETTLED_S

    def update(self, observation: JointObservation, dt_s: float) -> np.ndarray:
        """Take in one observation that lasted ``dt_s``; return the betas to use (10,)."""
        size = len(self.betas)
        if observation.betas is not None and self._skeleton.name != OPEN_SKELETON:
            # a front end's betas belong to its own body model (SMPL), never to the open skeleton
            frame, information = np.asarray(observation.betas, np.float64), 4.0 * np.eye(size)
        elif (observation.sigma[LIMBS] < GOOD_SIGMA).all():
            frame, information = self._measured(observation)
        else:
            return self.betas
        count = 1.0 if self._good_s == 0.0 else min(dt_s, 0.2) * FRAMES_PER_S
        self._good_s += min(dt_s, 0.2) + 1e-6
        # what is old fades, so that a bad start is forgiven
        keep = 1.0 - min(dt_s, 0.2) / MEMORY_S
        self._information = keep * self._information + count * information
        self._weighted = keep * self._weighted + count * (information @ frame)
        estimate = self._estimate()
        due = self._steps < len(STEPS_S) and self._good_s >= STEPS_S[self._steps]
        if due or (self.settled and self._change(estimate) > STEP_M):
            self._steps += int(due)
            self.betas = estimate
        return self.betas

    def _measured(self, observation: JointObservation):
        """Return betas (10,) and information (10, 10) of one good view."""
        if observation.lengths_m is None or observation.length_sigma_m is None:
            betas, information = shape_information(
                observation.joints_m[None], observation.sigma[None], self._skeleton)
        else:
            betas, information = shape_from_lengths(
                observation.lengths_m[None], observation.length_sigma_m[None]**2, self._skeleton)
        return betas[0], information[0]

    def _estimate(self) -> np.ndarray:
        """Return the most likely betas (10,): what was seen, its common error, and N(0, I)."""
        identity = np.eye(len(self.betas))
        variance = (COMMON_ERROR / scale_per_beta(self._skeleton))**2
        # the inverse of (information^-1 + variance), times what it is the information about
        share = np.linalg.inv(identity + variance * self._information)
        return np.linalg.solve(share @ self._information + identity, share @ self._weighted)

    def _change(self, betas) -> float:
        """Return by how many metres the bone that changes most would change."""
        lengths = self._skeleton.bone_lengths
        return float(np.abs(lengths(betas) - lengths(self.betas)).max())
