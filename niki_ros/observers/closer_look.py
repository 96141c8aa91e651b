"""
Parts of the image are searched by themselves for people too small for a search of the whole.

MediaPipe searches every image at 224 pixels: of real people 140 pixels tall in 1280x720 it finds
none of 40, and 37 in parts of a half and a third of the image.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Callable, Optional, Tuple

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
    side = max(max(size) // share, 1)
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

    :param make: makes the landmarker: 80 MB, and 80 ms in which little else runs.
    :param pool: where it is made, and works.
    """

    def __init__(self, make: Callable, pool):
        """Begin to make the landmarker: later it would hold up images."""
        self._pool = pool
        self._landmarker = pool.submit(make)
        self._looking: Optional[Future] = None
        self._turns = dict.fromkeys(SHARES, 0)
        self._looked_ms: Optional[int] = None

    def _due(self, time_ms: int, size, taken) -> Optional[Part]:
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
            del self._turns[share]
            self._turns[share] = turn + 1  # behind the others
            self._looked_ms = time_ms
            return parts[turn % len(parts)]
        return None

    def look(self, time_ms: int, cut, size, taken) -> None:
        """
        Look at the next part, if it is time to, while the caller goes on.

        :param cut: ``cut(part)(landmarker)`` returns who is there. :param taken: boxes of those
            who are followed.
        """
        part = self._due(time_ms, size, taken)
        if part is not None:
            look, landmarker = cut(part), self._landmarker
            self._looking = self._pool.submit(lambda: look(landmarker.result()))

    def found(self) -> list:
        """Return whom the last look has found, once; waits for it."""
        looking, self._looking = self._looking, None
        return looking.result() if looking is not None else []

    def close(self) -> None:
        """Free the landmarker."""
        if self._landmarker.exception() is None:
            self._landmarker.result().close()
