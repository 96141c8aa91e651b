"""What the images of the last second took."""

from collections import deque
from dataclasses import dataclass
from typing import Deque, NamedTuple, Optional, Tuple

import numpy as np


@dataclass(frozen=True)
class LoadNumbers:
    """Numbers of :class:`LoadWindow`; times are by the stamps of the images."""

    window_ns: int = 1_000_000_000  # a decision is based on the images of this time,
    min_image_count: int = 5  # so many at least
    # the load is this quantile of the images: a search for people runs in parallel a few times a
    # second, and the images during a search take longer
    quantile: float = 0.75


class _Image(NamedTuple):
    """What one image took."""

    stamp_ns: int
    busy_s: float  # in all
    network_s: float  # of that, the network


class LoadWindow:
    """The time of recent images, and of the network in them."""

    def __init__(self, numbers: LoadNumbers = LoadNumbers()):
        self._numbers = numbers
        self._images: Deque[_Image] = deque()
        self._fits_since_ns: Optional[int] = None

    def continues(self, stamp_ns: int) -> bool:
        """Return whether an image belongs to the same stream as those before."""
        images = self._images
        return not images or 0 < stamp_ns - images[-1].stamp_ns < self._numbers.window_ns

    def add(self, stamp_ns: int, busy_s: float, network_s: float) -> None:
        """Add an image, and forget those that are too old."""
        self._images.append(_Image(stamp_ns, busy_s, network_s))
        while self._images[0].stamp_ns < stamp_ns - self._numbers.window_ns:
            self._images.popleft()

    def clear(self) -> None:
        """Begin new measurements."""
        self._images.clear()
        self._fits_since_ns = None

    def has_fitted(self, fits: bool, stamp_ns: int, time_ns: int) -> bool:
        """
        Return whether more work has fitted into the images for some time.

        :param fits: whether it fits now. :param time_ns: in which it must have fitted.
        """
        if not fits:
            self._fits_since_ns = None
        elif self._fits_since_ns is None:
            self._fits_since_ns = stamp_ns
        return self._fits_since_ns is not None and stamp_ns - self._fits_since_ns >= time_ns

    def load_s(self) -> Optional[Tuple[float, float]]:
        """Return what an image takes in all and in the network; None before it is known."""
        if len(self._images) < self._numbers.min_image_count:
            return None
        _, busy_s, network_s = np.quantile(self._images, self._numbers.quantile, axis=0)
        return float(busy_s), float(network_s)
