"""
Parts of the image are searched by themselves for people too small for a search of the whole.

MediaPipe sees every image at 224 pixels. Of rendered people with nothing before them it misses 8 %
when it is shown the whole image; half of those it finds in a part of half the size.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

from niki_ros.core.tracking import overlap
import numpy as np

Part = Tuple[int, int, int, int]

EVERY_MS, EVERY_MS_ALONE = 500, 100
"""So often while somebody is followed, and while nobody is."""

CONFIDENCE = 0.7
"""
What the landmarker that looks closer asks for at least.

A part shows furniture larger as well: in 72 pictures without people, each cut into five parts, it
finds 22 at 0.5 and 2 at 0.7; in the whole pictures, at 0.5, 2.
"""


def parts_of(size) -> list:
    """Return three squares of half the longer side, side by side in the middle of the image."""
    side = max(size) // 2
    starts = [(0, (length - side) // 2, length - side) if length == max(size)
              else (max((length - side) // 2, 0),) * 3 for length in size]
    if size[0] == size[1]:
        starts[1] = ((size[1] - side) // 2,) * 3
    return [(x, y, min(x + side, size[0]), min(y + side, size[1])) for x, y in zip(*starts)]


class CloserLook:
    """
    A landmarker that looks at one part after the other.

    :param make: makes the landmarker, 80 MB. :param pool: does it beside the work, when there is a
        part to look at for the first time.
    """

    def __init__(self, make: Callable, pool):
        """Nothing is made yet."""
        self._make, self._pool = make, pool
        self._landmarker: Any = None  # a Future of one
        self._turn = 0
        self._looked_ms: Optional[int] = None

    def due(self, time_ms: int, size, taken) -> Optional[Part]:
        """
        Return the part whose turn it is, or None: too early, or people are in all of them.

        A part in which somebody is followed shows half of them, who would be taken for another.

        :param taken: boxes of those who are followed.
        """
        every_ms = EVERY_MS if taken else EVERY_MS_ALONE
        if self._looked_ms is not None and time_ms - self._looked_ms < every_ms:
            return None
        parts = parts_of(size)
        turns = [turn for turn in range(self._turn, self._turn + len(parts)) if not any(
            overlap(np.asarray(parts[turn % len(parts)], float), box) > 0 for box in taken)]
        if not turns:
            return None
        if self._landmarker is None:
            self._landmarker = self._pool.submit(self._make)
            return None
        self._turn, self._looked_ms = turns[0] + 1, time_ms
        return parts[turns[0] % len(parts)]

    def look(self, see, part) -> list:
        """Return whom ``see`` finds in the part."""
        return see(self._landmarker.result(), part)

    def close(self) -> None:
        """Free the landmarker."""
        if self._landmarker is not None and self._landmarker.exception() is None:
            self._landmarker.result().close()
