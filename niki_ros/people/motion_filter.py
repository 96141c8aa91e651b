"""
Causal filters of rotations and of a point, which follow steady motion without lag.

A filter has a position and a velocity; both follow the input x like a mass that a spring and a
damper pull (s: position, v: velocity, w = 2π · cut-off, d: damping ratio):

    s' = v + 2 d w (x - s),    v' = w² (x - s)

The solution is that of continuous time, of an input that is linear between two images: lag and
smoothing do not depend on the rate of the camera. The cut-off opens with speed,

    cut-off = min_cutoff + beta · |speed|,

as in the One-Euro filter (Casiez, Roussel, Vogel 2012), which is of first order and lags behind
every motion.
"""

from niki_ros.body.rotations import length, rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np

SPEED_CUTOFF_HZ = 1.5
DAMPING_RATIO = 0.7
MAX_GAP_S = 1.0
UNFILTERED = (1e6, 0.0)
"""Cut-off and beta that pass everything; the filter still measures the velocity."""


def _decayed(error, excess, dt_s: float, cutoff_hz):
    """
    Return errors of position and of velocity after ``dt_s``, both (..., n), of those before.

    :param error: input minus filtered position. :param excess: filtered velocity minus that of the
        input. :param cutoff_hz: broadcast to the errors.
    """
    w = 2 * np.pi * np.asarray(cutoff_hz)
    decay, turn = DAMPING_RATIO * w, w * np.sqrt(1 - DAMPING_RATIO**2)
    kept = np.exp(-decay * dt_s)
    cos, sin = kept * np.cos(turn * dt_s), kept * np.sin(turn * dt_s) / turn
    return ((cos - decay * sin) * error - sin * excess,
            w * w * sin * error + (cos + decay * sin) * excess)


def _speed_weight(dt_s):
    """Return the weight of a speed that has lasted for ``dt_s``."""
    return -np.expm1(-2 * np.pi * SPEED_CUTOFF_HZ * dt_s)


class RotationsFilter:
    """Smooths (J, 3, 3) rotations; ``velocity_rad_s`` (J, 3) is in the joints' own axes."""

    def __init__(self, joint_count: int):
        self.rotmat = None
        self.velocity_rad_s = np.zeros((joint_count, 3))
        self._raw = None
        self._rate_rad_s = np.zeros((joint_count, 3))

    def step(self, rotmat, dt_s: float, min_cutoff_hz: float, beta: float, max_step_rad=None):
        """
        Return the smoothed rotations (J, 3, 3) for a frame ``dt_s`` after the last one.

        :param max_step_rad: no joint turns further than this in one frame; (J,) or None.
        """
        rotmat = np.asarray(rotmat, dtype=np.float64)
        if self.rotmat is None or not 0 < dt_s <= MAX_GAP_S:
            self.rotmat, self._raw = rotmat.copy(), rotmat.copy()
            self.velocity_rad_s = np.zeros_like(self.velocity_rad_s)
            self._rate_rad_s = np.zeros_like(self.velocity_rad_s)
            return self.rotmat
        # one call for all: from the filtered pose to both inputs, and between the inputs
        filtered, last = np.array([self.rotmat, self._raw]).swapaxes(-1, -2)
        to_new, to_last, turned = rotvec_from_rotmat(
            np.array([filtered @ rotmat, filtered @ self._raw, last @ rotmat]))
        self._raw = rotmat.copy()
        speed_before_rad_s = length(self.velocity_rad_s)
        self.velocity_rad_s = self.velocity_rad_s + _speed_weight(dt_s) * (
            turned / dt_s - self.velocity_rad_s)
        # the mean of both ends: the cut-off opens between the images
        speed = ((speed_before_rad_s + length(self.velocity_rad_s)) / 2)[:, None]
        rate = (to_new - to_last) / dt_s
        error, excess = _decayed(to_last, self._rate_rad_s - rate, dt_s,
                                 min_cutoff_hz + beta * speed)
        step, self._rate_rad_s = to_new - error, rate + excess
        if max_step_rad is not None:
            limit = np.reshape(max_step_rad, (-1, 1))
            share = np.minimum(1.0, limit / np.maximum(length(step)[:, None], 1e-9))
            step, self._rate_rad_s = step * share, self._rate_rad_s * share
        # Gram-Schmidt is not needed: products of exact rotations drift by 1e-16 a frame
        self.rotmat = self.rotmat @ rotmat_from_rotvec(step)
        return self.rotmat


class PointFilter:
    """Smooths a point (n,) in time; ``velocity`` (n,) per second."""

    def __init__(self):
        self.value = None
        self.velocity = None
        self._raw = None
        self._rate = None

    def step(self, value, dt_s: float, min_cutoff_hz, beta: float) -> np.ndarray:
        """Return the smoothed point; ``min_cutoff_hz`` may differ per coordinate."""
        value = np.asarray(value, dtype=np.float64)
        if self.value is None or not 0 < dt_s <= MAX_GAP_S:
            self.value, self._raw = value.copy(), value.copy()
            self.velocity = np.zeros_like(value)
            self._rate = np.zeros_like(value)
            return self.value
        speed_before = np.linalg.norm(self.velocity)
        rate = (value - self._raw) / dt_s
        self.velocity = self.velocity + _speed_weight(dt_s) * (rate - self.velocity)
        speed = (speed_before + np.linalg.norm(self.velocity)) / 2
        error, excess = _decayed(self._raw - self.value, self._rate - rate, dt_s,
                                 np.asarray(min_cutoff_hz) + beta * speed)
        self.value, self._rate = value - error, rate + excess
        self._raw = value.copy()
        return self.value
