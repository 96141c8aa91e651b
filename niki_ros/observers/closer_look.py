"""
Parts of the image are searched by themselves for people too small for a search of the whole.

MediaPipe searches every image at 224 pixels: of real people 140 pixels tall in 1280x720 it finds
none, and all 40 of 40 in parts of a half and a third of the image.
"""

from __future__ import annotations

from typing import Any, Callable, Optional, Tuple

from niki_ros.core.tracking import overlap
import numpy as np

Part = Tuple[int, int, int, int]

EVERY_MS, EVERY_MS_ALONE = 300, 100
"""So often while somebody is followed, and while nobody is."""

SHARES = (2, 3)
"""Parts of half and of a third of the image's longer side."""

CONFIDENCE = 0.7
"""
What the landmarker that looks closer asks for at least.

A part shows furniture larger as well: in 72 pictures without people, each cut into five parts, it
finds 22 at 0.5 and 2 at 0.7, and 2 in five parts of a third; in the whole pictures, at 0.5, 2.
"""


def parts_of(size, share: int) -> list:
    """Return squares of a ``share`` of the longer side, each half over the next, in the middle."""
    along = int(size[1] > size[0])
    side = max(size) // share
    middle = max((size[1 - along] - side) // 2, 0)
    parts = []
    for step in range(2 * share - 1):
        low = [middle, middle]
        low[along] = step * (size[along] - side) // (2 * share - 2)
        parts.append((low[0], low[1], min(low[0] + side, size[0]), min(low[1] + side, size[1])))
    return parts


def _first_free(parts, turn: int, taken) -> Optional[int]:
    """Return the first turn from ``turn`` on whose part has none of the boxes in it."""
    for later in range(turn, turn + len(parts)):
        part = np.asarray(parts[later % len(parts)], float)
        if not any(overlap(part, box) > 0 for box in taken):
            return later
    return None


class CloserLook:
    """
    A landmarker that looks at one part after the other: a half, a third, the next half.

    Beside somebody near there is room for thirds only.

    :param make: makes the landmarker, 80 MB. :param pool: does it beside the work, when there is a
        part to look at for the first time.
    """

    def __init__(self, make: Callable, pool):
        """Nothing is made yet."""
        self._make, self._pool = make, pool
        self._landmarker: Any = None  # a Future of one
        self._turns = dict.fromkeys(SHARES, 0)
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
        for share in self._turns:
            parts = parts_of(size, share)
            turn = _first_free(parts, self._turns[share], taken)
            if turn is None:
                continue
            if self._landmarker is None:
                self._landmarker = self._pool.submit(self._make)
                return None
            del self._turns[share]
            self._turns[share] = turn + 1  # behind the others
            self._looked_ms = time_ms
            return parts[turn % len(parts)]
        return None

    def look(self, see, part) -> list:
        """Return whom ``see`` finds in the part."""
        return see(self._landmarker.result(), part)

    def close(self) -> None:
        """Free the landmarker."""
        if self._landmarker is not None and self._landmarker.exception() is None:
            self._landmarker.result().close()
