"""The period of a stream of images."""

from typing import List, Optional

_GAP_COUNT = 10  # from which the period is computed


class ImagePeriod:
    """Measures the period of a stream of images by their stamps."""

    def __init__(self):
        self._stamps_ns: List[int] = []

    def update(self, stamp_ns: int) -> Optional[float]:
        """Return the period of the camera in seconds, None before it is known."""
        self._stamps_ns = [*self._stamps_ns[-_GAP_COUNT:], stamp_ns]
        if len(self._stamps_ns) <= _GAP_COUNT:
            return None
        # dropped images make gaps longer, never shorter; late ones and jumps back are no gaps
        gaps_ns = sorted(after - before for before, after in zip(
            self._stamps_ns, self._stamps_ns[1:]) if after > before)
        return gaps_ns[len(gaps_ns) // 5] * 1e-9 if len(gaps_ns) > _GAP_COUNT // 2 else None
