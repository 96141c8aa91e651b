"""Order of the stamps of images: newer, repeated, late, or restarted."""

from typing import Optional, Tuple

from niki_ros.common.settings import TrackingConfig

NEWER, REPEATED, LATE, RESTARTED = 'newer', 'repeated', 'late', 'restarted'


def late_text(stamp_ns: int, lag_s: float) -> str:
    """Return the text of the fault ``stamp_late``."""
    return f'the stamp {stamp_ns} ns is {lag_s:.3f} s before the last; it is left out'


def jumped_back_text(stamp_ns: int, lag_s: float) -> str:
    """Return the text of the fault ``stamp_jumped_back``."""
    return f'the stamp jumped back by {lag_s:.3f} s to {stamp_ns} ns; all tracks end'


class StampOrder:
    """
    Classifies the stamp of every image by the stamps of the images accepted before.

    Drivers sometimes send an image after one that was taken later; it is late. Where time has
    jumped back (a bag that loops, a simulation that starts again, a clock that was set) the stream
    has restarted. A jump by less than ``late_s`` looks like a late image, and counts as a restart
    once images have been late for ``late_s``, by their own stamps.
    """

    def __init__(self, config: TrackingConfig):
        self._config = config
        self.reset()

    def reset(self):
        """Start again, for another recording."""
        self._accepted_ns: Optional[int] = None
        self._late_ns: Optional[int] = None
        self._late_for_ns = 0
        self._classified: Tuple[Optional[int], str] = None, NEWER

    def classify(self, stamp_ns: int) -> str:
        """Return the class of an image; a second call with the same stamp changes nothing."""
        if self._classified[0] != stamp_ns:
            self._classified = stamp_ns, self._class_of(stamp_ns)
        return self._classified[1]

    def accept(self, stamp_ns: int):
        """Remember that the image of this stamp was processed."""
        self._accepted_ns, self._late_ns, self._late_for_ns = stamp_ns, None, 0
        self._classified = None, NEWER

    def lag_s(self, stamp_ns: int) -> float:
        """Return by how much this stamp is before the last accepted one, seconds."""
        return 0.0 if self._accepted_ns is None else (self._accepted_ns - stamp_ns) * 1e-9

    def _class_of(self, stamp_ns: int) -> str:
        if self._accepted_ns is None or stamp_ns > self._accepted_ns:
            return NEWER
        if stamp_ns == self._accepted_ns:
            return REPEATED
        if self._late_ns is not None:
            self._late_for_ns += max(stamp_ns - self._late_ns, 0)
        self._late_ns = stamp_ns
        late_s = self._config.late_s
        is_late = self.lag_s(stamp_ns) < late_s and self._late_for_ns * 1e-9 < late_s
        return LATE if is_late else RESTARTED
