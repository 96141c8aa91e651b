"""
Past frames of one person for a network with memory, at the ages of its training.

The network was trained on motion of 30 frames a second. A camera has another rate and drops
images: the past frames are interpolated to multiples of the period of the training.
"""

from collections import deque
from typing import Deque, Tuple

import numpy as np

FRAME_PERIOD_S = 1 / 30
"""Time between two past frames in the input of the network."""


class PastFrames:
    """
    The last ``count`` frame periods of one person.

    :param count: past frames in the input of the network. :param width: values of one frame; the
        last value is 1, and 0 where there is no frame.
    """

    def __init__(self, count: int, width: int):
        self._count, self._width = count, width
        self._frames: Deque[Tuple[int, np.ndarray]] = deque()  # oldest first

    def push(self, stamp_ns: int, values) -> None:
        """Add the values (width,) of a frame, which is newer than all others."""
        frames = self._frames
        frames.append((stamp_ns, np.asarray(values)))
        oldest_ns = stamp_ns - int(self._count * FRAME_PERIOD_S * 1e9)
        while len(frames) > 2 and frames[1][0] <= oldest_ns:
            frames.popleft()

    def before(self, stamp_ns: int) -> np.ndarray:
        """Return (count, width) float32, the frames before an image, interpolated, newest last."""
        past = np.zeros((self._count, self._width), np.float32)
        if not self._frames:
            return past
        stamps_ns, values = zip(*self._frames)
        values = np.stack(values)
        ages_s = (stamp_ns - np.array(stamps_ns)) * 1e-9
        wanted_s = FRAME_PERIOD_S * np.arange(self._count, 0, -1)
        is_known = wanted_s <= ages_s[0] + FRAME_PERIOD_S / 2
        at = np.interp(-wanted_s[is_known], -ages_s, np.arange(len(ages_s)))
        older = at.astype(int)
        share = (at - older)[:, None]
        newer = np.minimum(older + 1, len(values) - 1)
        past[is_known] = (1 - share) * values[older] + share * values[newer]
        return past
