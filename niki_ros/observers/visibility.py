"""
MediaPipe's visibility without its low pass.

In video mode MediaPipe publishes 0.1 · new + 0.9 · last as a landmark's visibility, so that a limb
that goes behind a table takes a third of a second to become invisible, and its position is wrong
from the first frame on. The filter is exact, so it can be undone exactly.
"""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

_NEW = 0.1
# float32 divided by _NEW; a value further outside 0 … 1 comes from another stream or person
_SLACK = 0.03


class Unsmoothed:
    """Undoes the filter for the people of one landmarker, frame by frame."""

    def __init__(self):
        """Start without a past."""
        self._before: List[Tuple[np.ndarray, np.ndarray]] = []

    def step(self, people) -> List[np.ndarray]:
        """
        Return the network's own visibility (33,) of everybody.

        :param people: for each, image positions (33, 2) over width and height, and visibility
            (33,) as published. Who was whom is told by where they are; where the answer is no
            visibility, it was somebody else, and the published one is returned.
        """
        raw = [self._of(np.mean(flat, axis=0), np.asarray(seen, np.float64))
               for flat, seen in people]
        self._before = [(np.mean(flat, axis=0), np.asarray(seen, np.float64))
                        for flat, seen in people]
        return raw

    def _of(self, center, seen) -> np.ndarray:
        """Return the raw visibility (33,) of the person at ``center`` (2,)."""
        near = sorted(self._before, key=lambda one: float(np.linalg.norm(one[0] - center)))
        for _, last in near:
            raw = (seen - (1 - _NEW) * last) / _NEW
            if raw.min() > -_SLACK and raw.max() < 1 + _SLACK:
                return np.clip(raw, 0.0, 1.0)
        return seen
