"""Resamples motion of any frame rate to 30 frames per second, interpolated on SO(3)."""

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.common.errors import InputError
import numpy as np

FPS = 30.0
_MAX_RATE_ERROR_RATIO = 2e-4  # nearer rates are 30: files have few digits, such as 0.03333 s
_RATES_HZ = (1.0, 1000.0)


def checked_rate_hz(path, rate) -> float:
    """Return a frame rate of 1 … 1000 Hz, given as a number or a list of one number."""
    try:
        rate_hz = float(rate.item() if isinstance(rate, np.ndarray) else rate)
    except (TypeError, ValueError) as error:
        raise InputError(f'{path}: the frame rate is {rate!r}; expected one number') from error
    low, high = _RATES_HZ
    if not low <= rate_hz <= high:   # also false for NaN
        raise InputError(f'{path}: the frame rate is {rate_hz:g} Hz; expected {low:g} … {high:g}')
    return rate_hz


def at_30_fps(rotvec, rate_hz: float) -> np.ndarray:
    """
    Resample rotations (T, ..., 3), radians, of one piece to (T', ..., 3) at 30 frames per second.

    Each joint is interpolated along its shortest rotation. The first frame stays the first; no
    frame is later than the last one.
    """
    rotvec = np.asarray(rotvec, dtype=np.float64)
    if abs(rate_hz / FPS - 1) < _MAX_RATE_ERROR_RATIO or not len(rotvec):
        return rotvec
    step = rate_hz / FPS
    # 1e-6 more, so that rounding does not lose the last frame
    count = int(np.floor((len(rotvec) - 1) / step + 1e-6)) + 1
    at = np.minimum(np.arange(count) * step, len(rotvec) - 1)
    before = np.minimum(np.floor(at + 1e-6).astype(int), len(rotvec) - 1)
    share = np.clip(at - before, 0, 1)
    out = rotvec[before]
    between = np.flatnonzero(share > 1e-6)   # the other frames are in the file
    if len(between):
        first = rotmat_from_rotvec(rotvec[before[between]])
        second = rotmat_from_rotvec(rotvec[before[between] + 1])
        turn = rotvec_from_rotmat(np.swapaxes(first, -1, -2) @ second)
        part = share[between].reshape(-1, *[1] * (rotvec.ndim - 1))
        out[between] = rotvec_from_rotmat(first @ rotmat_from_rotvec(part * turn))
    return out
