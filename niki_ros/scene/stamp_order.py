"""Whether an image comes in its order in time: newer, a little late, or of another recording."""

from __future__ import annotations

from typing import Optional, Tuple

from niki_ros.common.settings import TrackingConfig

NEWER, REPEATED, LATE, RESTARTED = 'newer', 'repeated', 'late', 'restarted'


class StampOrder:
    """
    Judges the stamp of every image by those that went through before.

    Drivers send an image now and then after one that was taken later: it is left out. Where time
    itself has jumped back (a bag that loops, a simulation that starts again, a clock that was
    set), everything begins anew. A jump back by less than ``late_s`` looks the same at first; it
    is one when images have been late for as long as that, by their own stamps.

    :param config: ``late_s`` of it may change at any time.
    """

    def __init__(self, config: TrackingConfig):
        """No image has come."""
        self._config = config
        self._last_ns: Optional[int] = None
        self._late_ns: Optional[int] = None
        self._late_for_ns = 0
        self._judged: Tuple[Optional[int], str] = None, NEWER

    def classify(self, stamp_ns: int) -> str:
        """Return what an image of this stamp is; asked twice in a row it answers the same."""
        if self._judged[0] != stamp_ns:
            self._judged = stamp_ns, self._verdict(stamp_ns)
        return self._judged[1]

    def accept(self, stamp_ns: int):
        """Remember that the image of this stamp went through."""
        self._last_ns, self._late_ns, self._late_for_ns = stamp_ns, None, 0
        self._judged = None, NEWER

    def reset(self):
        """Forget what came, as at the start of another recording."""
        self._last_ns = self._late_ns = None
        self._late_for_ns = 0
        self._judged = None, NEWER

    def lag_s(self, stamp_ns: int) -> float:
        """Return by how much this stamp is before the last one."""
        return 0.0 if self._last_ns is None else (self._last_ns - stamp_ns) * 1e-9

    def _verdict(self, stamp_ns: int) -> str:
        if self._last_ns is None or stamp_ns > self._last_ns:
            return NEWER
        if stamp_ns == self._last_ns:
            return REPEATED
        if self._late_ns is not None:
            self._late_for_ns += max(stamp_ns - self._late_ns, 0)
        self._late_ns = stamp_ns
        most_s = self._config.late_s
        late = self.lag_s(stamp_ns) < most_s and self._late_for_ns * 1e-9 < most_s
        return LATE if late else RESTARTED
