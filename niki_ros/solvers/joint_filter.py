"""
A causal filter of observed joints: a Kalman filter per joint that knows how bodies accelerate.

Position and velocity relative to the trunk; the measurement's error is the observation's own
sigma, so exact joints pass unchanged and hidden ones are carried on, less and less surely.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from niki_ros.body.observation import SIGMA_UNIT_M
import numpy as np

_FLOOR_M = 0.001
_UNSEEN_M = 0.5     # error of a joint that the front end calls unobserved: it may be anywhere
_SPREAD_M = 0.25    # of a joint about which nothing is known
_LASTING_HZ = 60.0  # at this rate an image of which the errors last counts in full
_LEAST_SHARE, _MOST_SHARE = 0.1, 2.0
_SEEN_SIGMA = 0.94  # a joint that is seen stays one


# root mean square acceleration of each joint relative to the trunk, m/s², in the held-out motion,
# doubled: fast motion should pass, and the tails are long
ACCELERATION = 2.0 * np.asarray([
    2.0, 2.0, 2.0, 2.0, 5.0, 5.0, 2.0, 7.5, 7.5, 2.0, 8.8, 8.8, 2.7, 2.4, 2.4, 3.3, 2.7, 2.7, 3.7,
    3.7, 5.4, 5.4, 6.8, 6.8, 4.1, 8.1, 8.1, 9.7, 9.7])


@dataclass(frozen=True)
class FilterConfig:
    """
    How joints move.

    :param acceleration_m_s2: (29,) standard deviation of each joint's acceleration.
    :param calm_s: time in which a velocity dies out when nothing is seen.
    :param gate: distance, in standard deviations, from which a measurement is doubted.
    """

    acceleration_m_s2: np.ndarray = field(default_factory=lambda: ACCELERATION)
    calm_s: float = 0.25
    gate: float = 5.0


def sigma_per_image(sigma, dt_s: float) -> np.ndarray:
    """
    Return the sigma (..., 29) of one image among those whose errors last.

    Where each image has the errors of the one before, many images say no more than few. So an
    image counts by the time that it stands for, and what comes out depends less on the camera's
    rate: every second, third, fifth image of a video of 60 Hz 10.5, 14.5, 17.7 mm from all of
    them instead of 12.3, 18.4, 23.4.
    """
    share = np.clip(1.0 / (_LASTING_HZ * max(dt_s, 1e-3)), _LEAST_SHARE, _MOST_SHARE)
    scaled = np.minimum(sigma * np.sqrt(share), _SEEN_SIGMA)
    return np.where(sigma > _SEEN_SIGMA, sigma, scaled)


class JointFilter:
    """State of B people, for frames in order; all arrays (B, 29, …)."""

    def __init__(self, config: FilterConfig = FilterConfig()):
        """Start without a past."""
        self.config = config
        self._place: Any = None
        self._speed: Any = None

    def step(self, points_m, sigma, dt_s: float):
        """
        Take in one frame.

        :param points_m: (B, 29, 3) joints relative to the trunk, axes that do not turn.
        :param sigma: (B, 29). :param dt_s: since the frame before.
        :return: points (B, 29, 3) and sigma (B, 29).
        """
        noise = (SIGMA_UNIT_M * np.minimum(sigma, 1.0))**2 + _FLOOR_M**2
        noise = np.where(sigma >= 0.99, _UNSEEN_M**2, noise)
        if self._place is None:
            self._place, self._speed = points_m.copy(), np.zeros_like(points_m)
            self._pp, self._pv = noise.copy(), np.zeros_like(noise)
            self._vv = np.full_like(noise, 0.5**2)
            return points_m, sigma
        self._predict(dt_s)
        miss = points_m - self._place
        total = self._pp + noise
        far = np.sum(miss**2, axis=-1) / (total * self.config.gate**2)
        # a jump that no body makes: the measurement is worse than it says
        noise = np.where(far > 1, noise + (far - 1) * total, noise)
        total = self._pp + noise
        gain, gain_v = self._pp / total, self._pv / total
        self._place = self._place + gain[..., None] * miss
        self._speed = self._speed + gain_v[..., None] * miss
        self._vv = self._vv - gain_v * self._pv
        self._pv = self._pv * (1 - gain)
        self._pp = self._pp * (1 - gain)
        known = np.sqrt(np.maximum(self._pp - _FLOOR_M**2, 0)) / SIGMA_UNIT_M
        return self._place, np.minimum(known, 1.0)

    def _predict(self, dt_s: float) -> None:
        """Carry position, velocity and their covariance over ``dt_s``."""
        keep = np.exp(-dt_s / self.config.calm_s)
        power = (self.config.acceleration_m_s2 * dt_s)**2
        self._place = self._place + dt_s * self._speed
        self._speed = keep * self._speed
        pp = self._pp + 2 * dt_s * self._pv + dt_s**2 * self._vv + power * dt_s**2 / 4
        self._pv = keep * (self._pv + dt_s * self._vv) + power * dt_s / 2
        self._vv = keep**2 * self._vv + power
        self._pp = np.minimum(pp, _SPREAD_M**2)
