"""
One-Euro filters, causal, on rotations and on a point.

Casiez, Roussel, Vogel 2012: a first-order low pass whose cut-off opens with speed,
cutoff = min_cutoff + beta · |speed|, alpha = 1 / (1 + 1 / (2π · cutoff · dt)).
"""

from niki_ros.body.rotations import length, rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np

SPEED_CUTOFF_HZ = 1.5
MAX_GAP_S = 1.0
UNFILTERED = (1e6, 0.0)
"""Cut-off and beta that pass everything; the filter still measures the velocity."""


def _alpha(cutoff_hz, dt_s):
    return 1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff_hz * dt_s))


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
        # one call for both: the step from the filtered pose, and the speed from the last input
        before = np.array([self.rotmat, self._raw]).swapaxes(-1, -2)
        moved, turned = rotvec_from_rotmat(before @ rotmat)
        self._raw = rotmat.copy()
        blend = _alpha(SPEED_CUTOFF_HZ, dt_s)
        self.velocity_rad_s = self.velocity_rad_s + blend * (turned / dt_s - self.velocity_rad_s)
        speed = length(self.velocity_rad_s)[:, None]
        step = _alpha(min_cutoff_hz + beta * speed, dt_s) * moved
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
        moved = value - self.value
        self.velocity = self.velocity + _alpha(SPEED_CUTOFF_HZ, dt_s) * (
            (value - self._raw) / dt_s - self.velocity)
        self._raw = value.copy()
        cutoff = np.asarray(min_cutoff_hz) + beta * np.linalg.norm(self.velocity)
        self.value = self.value + _alpha(cutoff, dt_s) * moved
        return self.value
