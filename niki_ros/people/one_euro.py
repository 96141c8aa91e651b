"""
One-Euro filters, causal, on rotations and on a point.

Casiez, Roussel, Vogel 2012: a first-order low pass whose cut-off opens with speed,
cutoff = min_cutoff + beta · |speed|. The low pass is that of continuous time, of an input that is
linear between two images (first-order hold): lag and smoothing do not depend on the rate of the
camera. The discretisation of the paper, alpha = 1 / (1 + 1 / (2π · cutoff · dt)), uses the newest
value alone, and passes a third more jitter at the same lag (acceleration error of bodies on the
Pose2Sim trial at 60 Hz, 11.4 instead of 8.6 mm/frame²).
"""

from niki_ros.body.rotations import length, rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np

SPEED_CUTOFF_HZ = 1.5
MAX_GAP_S = 1.0
UNFILTERED = (1e6, 0.0)
"""Cut-off and beta that pass everything; the filter still measures the velocity."""


def _weights(cutoff_hz, dt_s):
    """Return the weights of the newest and of the last input; the rest is the last output's."""
    angle_rad = 2 * np.pi * np.asarray(cutoff_hz) * dt_s
    kept = np.exp(-angle_rad)
    mean_kept = -np.expm1(-angle_rad) / angle_rad
    return 1 - mean_kept, mean_kept - kept


def _speed_weight(dt_s):
    """Return the weight of a speed that has lasted for ``dt_s``."""
    return -np.expm1(-2 * np.pi * SPEED_CUTOFF_HZ * dt_s)


class OneEuroRotations:
    """Smooths (J, 3, 3) rotations; ``velocity_rad_s`` (J, 3) is in the joints' own axes."""

    def __init__(self, joint_count: int):
        self.rotmat = None
        self.velocity_rad_s = np.zeros((joint_count, 3))
        self._raw = None

    def step(self, rotmat, dt_s: float, min_cutoff_hz: float, beta: float, max_step_rad=None):
        """
        Return the smoothed rotations (J, 3, 3) for a frame ``dt_s`` after the last one.

        :param max_step_rad: no joint turns further than this in one frame; (J,) or None.
        """
        rotmat = np.asarray(rotmat, dtype=np.float64)
        if self.rotmat is None or not 0 < dt_s <= MAX_GAP_S:
            self.rotmat, self._raw = rotmat.copy(), rotmat.copy()
            self.velocity_rad_s = np.zeros_like(self.velocity_rad_s)
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
        newest, before = _weights(min_cutoff_hz + beta * speed, dt_s)
        step = newest * to_new + before * to_last
        if max_step_rad is not None:
            limit = np.reshape(max_step_rad, (-1, 1))
            step = step * np.minimum(1.0, limit / np.maximum(length(step)[:, None], 1e-9))
        # Gram-Schmidt is not needed: products of exact rotations drift by 1e-16 a frame
        self.rotmat = self.rotmat @ rotmat_from_rotvec(step)
        return self.rotmat


class OneEuroPoint:
    """Smooths a point (n,) in time; ``velocity`` (n,) per second."""

    def __init__(self):
        self.value = None
        self.velocity = None
        self._raw = None

    def step(self, value, dt_s: float, min_cutoff_hz, beta: float) -> np.ndarray:
        """Return the smoothed point; ``min_cutoff_hz`` may differ per coordinate."""
        value = np.asarray(value, dtype=np.float64)
        if self.value is None or not 0 < dt_s <= MAX_GAP_S:
            self.value, self._raw = value.copy(), value.copy()
            self.velocity = np.zeros_like(value)
            return self.value
        speed_before = np.linalg.norm(self.velocity)
        self.velocity = self.velocity + _speed_weight(dt_s) * (
            (value - self._raw) / dt_s - self.velocity)
        speed = (speed_before + np.linalg.norm(self.velocity)) / 2
        cutoff_hz = np.asarray(min_cutoff_hz) + beta * speed
        newest, before = _weights(cutoff_hz, dt_s)
        self.value = (self.value + newest * (value - self.value)
                      + before * (self._raw - self.value))
        self._raw = value.copy()
        return self.value
