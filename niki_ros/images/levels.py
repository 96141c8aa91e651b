"""
Which values of a deep image become black and white.

Infrared and thermal cameras use a few hundred of 65536 values, or degrees, or whatever their unit
is: scaled by their type they are black to every network. What an image holds between its
percentiles is stretched, and the two ends follow slowly, so that the picture does not flicker.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

# what lies outside is a hot pixel, a lamp, a hole
_PERCENT = (1.0, 99.0)
# how fast the ends follow; a gap in the stream, or a jump back, starts afresh
_FOLLOW_S, _GAP_NS = 1.0, 2_000_000_000
# a scene without contrast is noise: this much of its value is not stretched to the full
_LEAST_SPAN = 1e-3
_LEAST_COUNTS = 16.0
# an image that uses this much of its type's range is meant as it is
_FULL = 0.5
_TOO_COARSE = 4.0
_SAMPLES = 20_000
# of floats that are colours
_UNIT, _BYTE = 1.0, 255.0


class Levels:
    """
    The two ends of a stream's values.

    :ivar text: what was done with the last image; empty where it was taken as it is.
    """

    def __init__(self):
        """Know no image."""
        self.text = ''
        self._ends: Optional[np.ndarray] = None
        self._stamp_ns = 0

    def stretched(self, values: np.ndarray, stamp_ns: int = 0) -> np.ndarray:
        """
        Return uint8 of values of any type; NaN and -inf are black.

        :param stamp_ns: of the image; the ends follow by the time between two.
        """
        low, high, contrast = _ends_of(values)
        # a shutter that calibrates the sensor shows one value for a moment
        if contrast or (self._ends is None and np.isfinite(low)):
            self._ends = self._followed(np.array([low, high]), stamp_ns)
            self._stamp_ns = stamp_ns
        if self._ends is None:  # nothing but NaN since the start
            self.text = 'the image holds no number'
            return np.zeros(values.shape, np.uint8)
        low, high = self._ends
        as_it_is = (low, high) in _full_ranges(values.dtype)
        self.text = '' if as_it_is else (
            f'{values.dtype.name} values {low:.6g} … {high:.6g} are shown as black … white')
        return _scaled(values, low, high)

    def _followed(self, found: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return the ends a step nearer to those of the newest image."""
        old, passed_ns = self._ends, stamp_ns - self._stamp_ns
        if old is None or not 0 <= passed_ns < _GAP_NS:
            return found
        # another gain, another scene: nothing of the old range holds, or it is far too coarse
        span, new_span = old[1] - old[0], found[1] - found[0]
        if (np.abs(found - old) > min(span, _TOO_COARSE * new_span)).any():
            return found
        step = old + (found - old) * (1.0 - np.exp(-passed_ns * 1e-9 / _FOLLOW_S))
        # the last of an approach that has no end
        return np.where(np.abs(found - step) < 1e-3 * (found[1] - found[0]), found, step)


def _ends_of(values: np.ndarray) -> Tuple[float, float, bool]:
    """Return what is black and what is white in one image, and whether they differ at all."""
    every = max(1, int(np.sqrt(values.size / _SAMPLES)))
    some = values[::every, ::every]
    if some.dtype.kind == 'f':
        some = some[np.isfinite(some)]
    if some.size == 0:
        return np.nan, np.nan, False
    some = _measured(some)
    low, high = (float(end) for end in np.percentile(some, _PERCENT))
    for black, white in _full_ranges(values.dtype):
        if black <= low and high <= white and high - low > _FULL * (white - black):
            return black, white, True
    least = max(_LEAST_SPAN * max(abs(low), abs(high)),
                _LEAST_COUNTS if values.dtype.kind in 'ui' else 1e-9)
    short = max(0.0, least - (high - low)) / 2
    return low - short, high + short, short == 0.0


def _measured(values: np.ndarray) -> np.ndarray:
    """Return the values without those that stand for none: zeros, and the ends of the type."""
    kept = values != 0
    if values.dtype.kind in 'ui':
        kept &= (values != np.iinfo(values.dtype).max) & (values != np.iinfo(values.dtype).min)
    # where they are most of the image, that is what it shows
    return values[kept] if 2 * np.count_nonzero(kept) >= values.size else values.ravel()


def _full_ranges(dtype) -> Tuple[Tuple[float, float], ...]:
    """Return the ranges that values of a type have when they are meant as a picture."""
    if dtype.kind == 'f':
        return (0.0, _UNIT), (0.0, _BYTE)
    if dtype == np.uint16:
        return (0.0, 65535.0),
    return (0.0, _BYTE),


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return uint8, ``low`` and less as 0, ``high`` and more as 255, rounded."""
    # float32 has no room for the differences of large 32-bit integers and doubles
    wide = np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64
    with np.errstate(over='ignore', invalid='ignore'):
        grey = (values.astype(wide) - wide(low)) * wide(255.0 / (high - low))
        grey = np.clip(np.nan_to_num(grey, nan=0.0, posinf=255.0, neginf=0.0), 0.0, 255.0)
    return (grey + wide(0.5)).astype(np.uint8)
