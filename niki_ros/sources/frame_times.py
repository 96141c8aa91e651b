"""Times and rate of the frames of a video, by the time stamps of its container."""

from typing import Optional

import cv2
from niki_ros.sources.frame_source import MAX_RATE_HZ
import numpy as np

# a jump back by at least this joins another recording; a smaller one is an error of one stamp
_MIN_JOINED_NS = 300_000_000
# a stated rate is compared with the first frames, and with more where they disagree
_RATE_CHECK_FRAMES, _MAX_RATE_RATIO = (12, 60), 1.25


class FrameTimes:
    """
    Converter of container time stamps to times from 0 on that always increase.

    Without time stamps, or after a jump back (joined recordings), a frame follows the last one
    after one period, and the later ones keep that shift. A single earlier stamp is moved on.
    """

    def __init__(self, rate_hz: float):
        self._period_ns = round(1e9 / rate_hz)
        self._last_ns = -self._period_ns
        self._first_stamp_ns: Optional[int] = None
        self._shift_ns, self._has_stamps = 0, False

    def next_ns(self, stamp_ms: float) -> int:
        """Return the time of the next frame from its time stamp in the container."""
        stamp_ns = round(stamp_ms * 1e6)
        if self._first_stamp_ns is None:
            self._first_stamp_ns = stamp_ns
            self._shift_ns = -stamp_ns
        self._has_stamps |= stamp_ns != self._first_stamp_ns
        time_ns = stamp_ns + self._shift_ns
        if time_ns <= self._last_ns:
            if self._has_stamps and self._last_ns - time_ns < _MIN_JOINED_NS:
                time_ns = self._last_ns + self._period_ns // 8
            else:
                time_ns = self._last_ns + self._period_ns
                self._shift_ns = time_ns - stamp_ns
        self._last_ns = time_ns
        return time_ns


def measured_rate_hz(capture: cv2.VideoCapture, stated_hz: float) -> Optional[float]:
    """
    Return the stated rate of a video, or the mean rate of its first frames where they disagree.

    Browsers and phones record without a fixed rate and state that of their clock: 1000, 90000.

    :param capture: after its first frame; more frames are read.
    :return: None when there are no time stamps and the stated rate is not plausible.
    """
    stamps_ms = [capture.get(cv2.CAP_PROP_POS_MSEC)]

    def mean_hz(frame_count: int) -> Optional[float]:
        while len(stamps_ms) < frame_count and capture.grab():
            stamps_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        gaps_ms = np.diff(stamps_ms)
        gaps_ms = gaps_ms[gaps_ms > 0]
        return float(1e3 / gaps_ms.mean()) if len(gaps_ms) else None

    plausible = 0 < stated_hz < MAX_RATE_HZ
    for frame_count in _RATE_CHECK_FRAMES:
        found_hz = mean_hz(frame_count)
        if plausible and (found_hz is None or
                          1 / _MAX_RATE_RATIO < stated_hz / found_hz < _MAX_RATE_RATIO):
            return stated_hz
    # one frame at each tick of a 1 kHz clock: the container has no times
    return found_hz if found_hz and found_hz < MAX_RATE_HZ - 1 else None
