"""Period of a stream of images."""

from __future__ import annotations

from typing import List, Optional

import numpy as np

_GAP_COUNT = 10
_REPORT_PERIOD_NS = 5_000_000_000


class ImagePeriod:
    """Measures the period of a stream of images by their stamps."""

    def __init__(self):
        self._stamps_ns: List[int] = []
        self._reported_ns: Optional[int] = None

    def update(self, stamp_ns: int) -> Optional[float]:
        """Return the period in seconds every five seconds, else None."""
        self._stamps_ns = [*self._stamps_ns[-_GAP_COUNT:], stamp_ns]
        is_due = (self._reported_ns is None
                  or stamp_ns - self._reported_ns >= _REPORT_PERIOD_NS)
        if len(self._stamps_ns) <= _GAP_COUNT or not is_due:
            return None
        self._reported_ns = stamp_ns
        # dropped images make gaps longer, never shorter
        return float(np.percentile(np.diff(self._stamps_ns), 25)) * 1e-9
