"""The size and the proportions of one person, estimated from all views so far."""

from collections import deque
from dataclasses import dataclass
from typing import Deque, Optional, Tuple

from niki_ros.body.observation import JointObservation
from niki_ros.body.shape import (
    body_scale,
    length_noise_m2,
    lengths_between,
    MIN_BODY_SCALE,
    PAIRS,
    resized_betas,
    scale_per_beta,
    shape_from_lengths,
    ShapePrior,
    without_bias,
)
from niki_ros.body.skeleton import JOINT, OPEN_SKELETON, Skeleton
from niki_ros.common.median import median
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
    # of the size by a measured distance: errors of one view, and those that last
    distance_error_ratio: float = 0.05
    lasting_distance_error_ratio: float = 0.02
    # where a distance is measured, the size by a front end is taken to be this uncertain: front
    # ends take children for small adults
    front_end_size_error_ratio: float = 0.15
    min_seen_ratio: float = 0.8  # of the limb joints, for a distance that tells the size
    scale_range: tuple = (0.4, 1.4)  # of people, from small children on
    distance_period_s: float = 0.1  # between distances that count
    known_distance_count: int = 5  # from so many on, the size is known
    max_distance_count: int = 60  # the last ones; their median is used


class BodyShape:
    """
    Running estimate of the betas (10,) of one person.

    Every complete view adds its information about the lengths between joints (an extended Kalman
    filter of a constant); before the first one, cut-off views count. ``betas`` changes in few
    steps, so that a URDF made from it stays true for long. ``size_ratio`` is the size of these
    betas over that by the views alone; it is 1 until a distance has been measured.
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
        self._noise = LengthNoise(skeleton)
        self._log_scales: Deque[float] = deque(maxlen=numbers.max_distance_count)  # by distances
        self.betas = np.zeros(size)
        self.size_ratio = 1.0

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
        if observation.betas is None and observation.lengths_m is None:
            self._noise.add(observation, seen)
        count = self._count_view(dt_s, is_complete)
        if has_betas:
            self._add_betas(np.asarray(observation.betas, np.float64), count)
        elif count > 0.0:
            self._add_lengths(observation, count, is_complete)
        in_view_s = self._complete_s if is_complete else self._cut_off_s
        is_due = self._steps < len(numbers.steps_s) and in_view_s >= numbers.steps_s[self._steps]
        self._steps += int(is_due)
        self._use(self._estimate(), is_due)
        return self.betas

    @property
    def measured_scale(self) -> Optional[float]:
        """The size over that of the mean body by measured distances; None = by too few."""
        if len(self._log_scales) < self._numbers.known_distance_count:
            return None
        return float(np.exp(self._log_scale()))

    def add_scale(self, scale: float) -> None:
        """Add the size over that of the mean body, by a measured distance."""
        low, high = self._numbers.scale_range
        if low <= scale <= high:
            self._log_scales.append(float(np.log(max(scale, MIN_BODY_SCALE))))
            self._use(self._estimate())

    def _use(self, estimate: Tuple[np.ndarray, float], is_due: bool = False) -> None:
        """Use an estimate where a step is due, or where the betas have changed much."""
        betas, size_ratio = estimate
        may_change = self.settled or bool(self._log_scales)
        if is_due or (may_change and self._change_m(betas) > self._numbers.min_change_m):
            self.betas, self.size_ratio = betas, size_ratio

    def _count_view(self, dt_s: float, is_complete: bool) -> float:
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
        return 1.0 if is_first else max(dt_s * self._numbers.views_per_s, self._noise.new_share)

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
            length, variance = without_bias(
                lengths_between(observation.joints_m[None]),
                length_noise_m2(observation.sigma_200mm[None]), self._noise.new_share)
            return length[0], variance[0]
        self._common_error_ratio = (
            numbers.common_error_ratio if is_complete else numbers.cut_off_error_ratio)
        seen = (observation.sigma_200mm[PAIRS] < numbers.seen_sigma_200mm).all(1)
        sigma_m = np.where(seen, observation.length_sigma_m, numbers.unmeasured_m)
        return observation.lengths_m, sigma_m**2

    def _estimate(self) -> Tuple[np.ndarray, float]:
        """Return the most likely betas (10,), and their size over that by the views alone."""
        betas, scale_variance = self._estimate_by_views()
        if not self._log_scales:
            return betas, 1.0
        numbers = self._numbers
        distance_variance = (numbers.distance_error_ratio**2 / len(self._log_scales)
                             + numbers.lasting_distance_error_ratio**2)
        log_ratio = self._log_scale() - float(np.log(body_scale(betas, self._skeleton)))
        log_ratio *= scale_variance / (scale_variance + distance_variance)
        return resized_betas(betas, log_ratio, self._skeleton), float(np.exp(log_ratio))

    def _log_scale(self) -> float:
        return float(median(np.array(self._log_scales)))

    def _estimate_by_views(self) -> Tuple[np.ndarray, float]:
        """Return betas (10,) by views, with their common error, and the variance of their size."""
        per_beta, identity = scale_per_beta(self._skeleton), np.eye(len(self.betas))
        variance = (self._common_error_ratio / per_beta)**2
        # (information^-1 + variance)^-1, without inverting an information that may be singular
        share = np.linalg.inv(identity + variance * self._information)
        information = share @ self._information + identity
        betas = np.linalg.solve(information, share @ self._weighted)
        if self._common_error_ratio > 0.0:
            return betas, self._numbers.front_end_size_error_ratio**2
        return betas, float(per_beta**2 * np.linalg.inv(information)[0, 0])

    def _change_m(self, betas) -> float:
        """Return by how many metres the bone that changes most would change."""
        lengths = self._skeleton.bone_lengths
        return float(np.abs(lengths(betas) - lengths(self.betas)).max())


class LengthNoise:
    """
    Which part of the expected errors of joints is new in every image, by the lengths of bones.

    Lengths do not change, so that what they change by is noise. A front end's errors last, and no
    number of images averages them away. ``new_share`` is 0 until the first image, then from 1 on.
    """

    MIN_LENGTH_SIGMAS = 3.0  # of a pair of joints
    CHANGE_RATIO = 0.94  # variance of such lengths over that along a bone, as of 40 mm of noise

    def __init__(self, skeleton: Skeleton):
        self.new_share = 0.0
        self._rest_m = lengths_between(skeleton.rest_joints_m[None])[0]
        self._changed_m2 = self._expected_m2 = 0.0
        self._last: Optional[tuple] = None  # lengths (34,), and which of them are seen

    def add(self, observation: JointObservation, seen) -> None:
        """Add an image; ``seen`` (29,) bool."""
        length = lengths_between(observation.joints_m[None])[0]
        noise = length_noise_m2(observation.sigma_200mm[None])[0]
        # the length of a bone that is as short as its error changes by less than the error
        pairs = seen[PAIRS].all(1) & (self._rest_m**2 > self.MIN_LENGTH_SIGMAS**2 * noise)
        before, self._last = self._last, (length, pairs)
        if before is None:
            # as if one image before had confirmed the expected errors
            self._changed_m2 = self._expected_m2 = max(float(noise[pairs].sum()), 1e-9)
        else:
            pairs = pairs & before[1]
            # of two errors that are independent the difference has twice the variance
            self._changed_m2 += float(((length - before[0])[pairs]**2).sum()) / 2
            self._expected_m2 += float(noise[pairs].sum())
        self.new_share = min(self._changed_m2 / (self.CHANGE_RATIO * self._expected_m2), 1.0)
