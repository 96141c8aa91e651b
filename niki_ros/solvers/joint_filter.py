"""
Causal Kalman filter of the position and velocity of each joint relative to the trunk.

The error of a measurement is the sigma of the observation: exact joints pass unchanged and hidden
ones are extrapolated with growing uncertainty.

The result depends on time, not on the number of images: motion is integrated exactly over the time
between two images, and errors that last from image to image count by time.
"""

from dataclasses import dataclass, field
from typing import Any

from niki_ros.body.observation import HIDDEN_SIGMA, SIGMA_UNIT_M
import numpy as np

# root mean square acceleration of each joint relative to the trunk in the held-out motion,
# doubled: fast motion shall pass, and the tails of the distribution are long
_ACCELERATION_M_S2 = 2.0 * np.asarray([
    2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 2.0, 7.5, 7.5, 2.0, 8.8, 8.8, 2.7, 2.4, 2.4, 3.3, 2.7, 2.7, 3.7,
    3.7, 5.4, 5.4, 6.8, 6.8, 4.1, 8.1, 8.1, 9.7, 9.7])
_ACCELERATION_HZ = 30.0  # at this rate the acceleration is drawn anew; it is that of the training
_FULL_WEIGHT_HZ = 60.0  # correlated errors: at this rate an image has the weight 1
_WEIGHT_RATIOS = (0.1, 2.0)
_MAX_PART_COUNT = 12  # of the time between two images, parts of 1 / 60 s
_MAX_SEEN_SIGMA_200MM = 0.94  # a seen joint stays below HIDDEN_SIGMA


@dataclass(frozen=True)
class FilterNumbers:
    """Numbers of :class:`JointFilter`."""

    # (29,) standard deviation of each joint's acceleration
    acceleration_m_s2: np.ndarray = field(default_factory=lambda: _ACCELERATION_M_S2)
    velocity_decay_s: float = 0.25  # time constant
    gate_sigmas: float = 5.0  # a measurement further off has a larger error than its sigma
    min_error_m: float = 0.001  # of a measurement with sigma 0
    unobserved_sigma_200mm: float = 0.99  # a joint is unobserved from this sigma on
    unobserved_error_m: float = 0.5  # of a measurement of such a joint
    max_error_m: float = 0.25  # of a joint of which nothing is known
    initial_speed_m_s: float = 0.5  # standard deviation of the velocity in the first frame


def sigma_of_correlated_errors(sigma, dt_s: float) -> np.ndarray:
    """
    Return the sigma (..., 29) of one image whose errors are those of the image before.

    Many such images tell no more than few. An image has a weight by the time ``dt_s`` since the
    image before, so that the result depends less on the rate of the camera.

    :param sigma: (..., 29) expected error per coordinate, units of 200 mm.
    """
    weight = np.clip(1.0 / (_FULL_WEIGHT_HZ * max(dt_s, 1e-3)), *_WEIGHT_RATIOS)
    scaled = np.minimum(sigma * np.sqrt(weight), _MAX_SEEN_SIGMA_200MM)
    return np.where(sigma > _MAX_SEEN_SIGMA_200MM, sigma, scaled)


class JointFilter:
    """Filter of the joints of B people, for frames in order."""

    def __init__(self, numbers: FilterNumbers = FilterNumbers()):
        self._numbers = numbers
        self._position_m: Any = None
        self._velocity_m_s: Any = None
        self._last: Any = None  # points and sigma of the last frame
        # covariance of position and velocity, per coordinate (B, 29)
        self._var_p: Any = None
        self._cov_pv: Any = None
        self._var_v: Any = None

    def step(self, points_m, sigma, dt_s: float, has_correlated_errors: bool = False):
        """
        Return filtered points (B, 29, 3), metres, and their sigma (B, 29), units of 200 mm.

        :param points_m: (B, 29, 3) joints relative to the trunk, camera axes.
        :param sigma: (B, 29) expected errors. :param dt_s: since the frame before.
        :param has_correlated_errors: the errors are those of the frame before. Then frames between
            the two tell nothing new, and are interpolated: the result is that of 60 frames a
            second.
        """
        last, self._last = self._last, (points_m, sigma)
        if last is None:
            self._start(points_m, self._noise_m2(sigma))
            return points_m, sigma
        if not has_correlated_errors:
            return self._update(points_m, sigma, dt_s)
        count = int(np.clip(round(dt_s * _FULL_WEIGHT_HZ), 1, _MAX_PART_COUNT))
        part_s = dt_s / count
        for share in np.arange(1, count) / count:
            between_m = (1 - share) * last[0] + share * points_m
            self._update(between_m, sigma_of_correlated_errors(
                _sigma_between(share, last[1], sigma), part_s), part_s, _FULL_WEIGHT_HZ)
        return self._update(points_m, sigma_of_correlated_errors(sigma, part_s), part_s,
                            _FULL_WEIGHT_HZ)

    def _update(self, points_m, sigma, dt_s: float, acceleration_hz: float = _ACCELERATION_HZ):
        """Return what :meth:`step` returns, for one frame with errors of its own."""
        numbers, noise = self._numbers, self._noise_m2(sigma)
        self._predict(dt_s, acceleration_hz)
        innovation = points_m - self._position_m
        total = self._var_p + noise
        excess = np.sum(innovation**2, axis=-1) / (total * numbers.gate_sigmas**2)
        noise = np.where(excess > 1, noise + (excess - 1) * total, noise)
        total = self._var_p + noise
        gain_p, gain_v = self._var_p / total, self._cov_pv / total
        self._position_m = self._position_m + gain_p[..., None] * innovation
        self._velocity_m_s = self._velocity_m_s + gain_v[..., None] * innovation
        self._var_v = self._var_v - gain_v * self._cov_pv
        self._cov_pv = self._cov_pv * (1 - gain_p)
        self._var_p = self._var_p * (1 - gain_p)
        error = np.sqrt(np.maximum(self._var_p - numbers.min_error_m**2, 0)) / SIGMA_UNIT_M
        return self._position_m, np.minimum(error, 1.0)

    def _noise_m2(self, sigma) -> np.ndarray:
        """Return the variance (B, 29) of measurements with ``sigma``."""
        numbers = self._numbers
        noise = (SIGMA_UNIT_M * np.minimum(sigma, 1.0))**2 + numbers.min_error_m**2
        return np.where(sigma >= numbers.unobserved_sigma_200mm, numbers.unobserved_error_m**2,
                        noise)

    def _start(self, points_m, noise) -> None:
        self._position_m, self._velocity_m_s = points_m.copy(), np.zeros_like(points_m)
        self._var_p, self._cov_pv = noise.copy(), np.zeros_like(noise)
        self._var_v = np.full_like(noise, self._numbers.initial_speed_m_s**2)

    def _predict(self, dt_s: float, acceleration_hz: float) -> None:
        """
        Move position, velocity and their covariance over ``dt_s``.

        The acceleration is drawn anew ``acceleration_hz`` times a second.

        The velocity is an Ornstein-Uhlenbeck process, integrated exactly: the result is the same
        in one step and in several (Gillespie 1996, "Exact numerical simulation of the
        Ornstein-Uhlenbeck process and its integral").
        """
        numbers, decay_s = self._numbers, self._numbers.velocity_decay_s
        keep = np.exp(-dt_s / decay_s)
        reach_s = decay_s * (1 - keep)
        density = numbers.acceleration_m_s2**2 / acceleration_hz
        self._position_m = self._position_m + reach_s * self._velocity_m_s
        self._velocity_m_s = keep * self._velocity_m_s
        var_p = (self._var_p + 2 * reach_s * self._cov_pv + reach_s**2 * self._var_v
                 + density * decay_s**2 * (dt_s - 2 * reach_s + decay_s / 2 * (1 - keep**2)))
        self._cov_pv = (keep * (self._cov_pv + reach_s * self._var_v)
                        + density * reach_s**2 / 2)
        self._var_v = keep**2 * self._var_v + density * decay_s / 2 * (1 - keep**2)
        self._var_p = np.minimum(var_p, numbers.max_error_m**2)


def _sigma_between(share: float, before, after) -> np.ndarray:
    """Return sigma (B, 29) between two frames; joints that are hidden in one stay hidden."""
    larger = np.maximum(before, after)
    return np.where(larger >= HIDDEN_SIGMA, larger, (1 - share) * before + share * after)
