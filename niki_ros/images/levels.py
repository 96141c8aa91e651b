"""
Black and white level of images with more than 8 bits.

Infrared and thermal cameras use a few hundred of 65536 values, or degrees: scaled by the range of
their type they are black. The values between two percentiles are stretched to 0 … 255 instead, and
these levels follow the stream slowly, so that the brightness does not flicker.
"""

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

# ranges of images of floats that hold colours
_UNIT_WHITE, _BYTE_WHITE = 1.0, 255.0


@dataclass(frozen=True)
class LevelsNumbers:
    """Numbers of :class:`Levels`."""

    percentiles: Tuple[float, float] = (1.0, 99.0)  # beyond are hot pixels, lamps or holes
    time_constant_s: float = 1.0  # with which the levels follow those of each image
    max_gap_ns: int = 2_000_000_000  # a longer gap, or a stamp that goes back, starts anew
    # smallest distance of the levels over their value; less contrast is noise, which is not
    # stretched to the full range
    min_span_ratio: float = 1e-3
    min_span_counts: float = 16.0  # smallest distance of the levels of integers
    full_range_ratio: float = 0.5  # an image with this share of a type's range is left as it is
    max_span_ratio: float = 4.0  # levels this much farther apart than the image's start anew
    max_samples: int = 20_000  # values of an image that are examined, about


class Levels:
    """Black and white level of a stream of images."""

    def __init__(self, numbers: LevelsNumbers = LevelsNumbers()):
        self._numbers = numbers
        self.text = ''  # levels to which the last image was stretched; empty = unchanged
        self._levels: Optional[np.ndarray] = None
        self._stamp_ns = 0

    def stretched(self, values: np.ndarray, stamp_ns: int = 0) -> np.ndarray:
        """Return an image of any type and shape as uint8; NaN and -inf become 0."""
        low, high, has_contrast = _levels_of(values, self._numbers)
        # while a thermal camera calibrates itself its shutter shows one value for a moment
        if has_contrast or (self._levels is None and np.isfinite(low)):
            self._levels = self._followed(np.array([low, high]), stamp_ns)
            self._stamp_ns = stamp_ns
        if self._levels is None:
            self.text = 'the image holds no number'
            return np.zeros(values.shape, np.uint8)
        low, high = self._levels
        is_unchanged = (low, high) in _full_ranges(values.dtype)
        self.text = '' if is_unchanged else (
            f'{values.dtype.name} values {low:.6g} … {high:.6g} are shown as black … white')
        return _scaled(values, low, high)

    def take_text(self) -> str:
        """Return ``text`` and clear it, as the next image may not be stretched."""
        text, self.text = self.text, ''
        return text

    def _followed(self, measured: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Return the levels (2,), moved towards those measured in the newest image."""
        numbers, old, passed_ns = self._numbers, self._levels, stamp_ns - self._stamp_ns
        if old is None or not 0 <= passed_ns < numbers.max_gap_ns:
            return measured
        span, new_span = old[1] - old[0], measured[1] - measured[0]
        # another gain or another scene
        if (np.abs(measured - old) > min(span, numbers.max_span_ratio * new_span)).any():
            return measured
        share = 1.0 - np.exp(-passed_ns * 1e-9 / numbers.time_constant_s)
        step = old + (measured - old) * share
        # the exponential approach ends here
        return np.where(np.abs(measured - step) < 1e-3 * new_span, measured, step)


def _levels_of(values: np.ndarray, numbers: LevelsNumbers) -> Tuple[float, float, bool]:
    """Return black level, white level, and whether the image has contrast; NaN without values."""
    stride = max(1, int(np.sqrt(values.size / numbers.max_samples)))
    samples = values[::stride, ::stride]
    if samples.dtype.kind == 'f':
        samples = samples[np.isfinite(samples)]
    if samples.size == 0:
        return np.nan, np.nan, False
    samples = _without_fill_values(samples)
    low, high = (float(level) for level in np.percentile(samples, numbers.percentiles))
    for black, white in _full_ranges(values.dtype):
        if black <= low and high <= white and (
                high - low > numbers.full_range_ratio * (white - black)):
            return black, white, True
    min_span = max(numbers.min_span_ratio * max(abs(low), abs(high)),
                   numbers.min_span_counts if values.dtype.kind in 'ui' else 1e-9)
    missing = max(0.0, min_span - (high - low)) / 2
    return low - missing, high + missing, missing == 0.0


def _without_fill_values(values: np.ndarray) -> np.ndarray:
    """Return the values without zeros and without the least and greatest of an integer type."""
    kept = values != 0
    if values.dtype.kind in 'ui':
        kept &= (values != np.iinfo(values.dtype).max) & (values != np.iinfo(values.dtype).min)
    # where they are most of the image they are its content
    return values[kept] if 2 * np.count_nonzero(kept) >= values.size else values.ravel()


def _full_ranges(dtype) -> Tuple[Tuple[float, float], ...]:
    """Return the ranges (black, white) of a type whose values are brightness already."""
    if dtype.kind == 'f':
        return (0.0, _UNIT_WHITE), (0.0, _BYTE_WHITE)
    if dtype == np.uint16:
        return (0.0, 65535.0),
    return (0.0, _BYTE_WHITE),


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return uint8, ``low`` and less as 0, ``high`` and more as 255, rounded."""
    # differences of large 32-bit integers and of doubles do not fit into float32
    wide = np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64
    with np.errstate(over='ignore', invalid='ignore'):
        grey = (values.astype(wide) - wide(low)) * wide(255.0 / (high - low))
        grey = np.clip(np.nan_to_num(grey, nan=0.0, posinf=255.0, neginf=0.0), 0.0, 255.0)
    return (grey + wide(0.5)).astype(np.uint8)
