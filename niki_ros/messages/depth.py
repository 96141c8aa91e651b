"""Decoding of depth messages, and their pairing with images by stamp."""

from dataclasses import dataclass
import threading
from typing import List, Optional, Tuple

from niki_ros.common.errors import InputError
from niki_ros.messages.compressed_depth import depth_from_compressed
from niki_ros.messages.encodings import find_encoding
from niki_ros.messages.image_decoding import is_compressed, rows
from niki_ros.messages.stamps import ns_from_stamp
import numpy as np

_DEPTH_TYPES = {'16UC1': np.uint16, 'mono16': np.uint16, '32FC1': np.float32}


def depth_from_image(message) -> np.ndarray:
    """Return the depth (H, W) of an Image or CompressedImage: uint16 mm or float32 metres."""
    if is_compressed(message):
        return depth_from_compressed(message)
    encoding = find_encoding(message.encoding)
    if encoding not in _DEPTH_TYPES:
        raise InputError(f'depth encoding {message.encoding[:50]!r} is not supported; expected '
                         f'one of {", ".join(_DEPTH_TYPES)}')
    if not message.width or not message.height:
        raise InputError(f'the depth image is {message.width}x{message.height}')
    return rows(message, 1, _DEPTH_TYPES[encoding])[..., 0]


@dataclass(frozen=True)
class PairingNumbers:
    """Limits of :class:`DepthSynchronizer`."""

    buffered_count: int = 3  # the depth of an image is the newest message or the one before
    max_offset_ns: int = 50_000_000  # between the stamps of an image and of its depth
    first_offset_ns: int = 17_000_000  # while the period of the depth images is not known
    max_wait_s: float = 0.02  # cameras send depth just after colour


class DepthSynchronizer:
    """
    Finds the depth message of an image among the newest few.

    The stamps may differ by half the period of the depth images. :meth:`match` waits for a message
    that can still arrive, but not for a stream that has stopped or jumped.
    """

    def __init__(self, numbers: PairingNumbers = PairingNumbers()):
        self._numbers = numbers
        self._arrival = threading.Condition()
        self._buffer: List[Tuple[int, object]] = []

    def put(self, message) -> None:
        """Add a message; the oldest one is dropped."""
        with self._arrival:
            entry = ns_from_stamp(message.header.stamp), message
            self._buffer = [*self._buffer, entry][-self._numbers.buffered_count:]
            self._arrival.notify_all()

    def match(self, stamp_ns: int) -> Optional[object]:
        """Return the depth message of the image with this stamp, None where there is none."""
        with self._arrival:
            if not self._buffer:
                return None
            limit_ns = self._max_offset_ns()
            if limit_ns < stamp_ns - self._buffer[-1][0] <= 4 * limit_ns:
                self._arrival.wait_for(lambda: self._buffer[-1][0] >= stamp_ns - limit_ns,
                                       self._numbers.max_wait_s)
            nearest_ns, message = min(self._buffer, key=lambda entry: abs(entry[0] - stamp_ns))
            return message if abs(nearest_ns - stamp_ns) <= limit_ns else None

    def _max_offset_ns(self) -> int:
        """Return half the period of the depth images."""
        stamps = sorted(stamp for stamp, _ in self._buffer)
        periods = [later - earlier for earlier, later in zip(stamps, stamps[1:])
                   if later > earlier]
        return (min(min(periods) // 2 + 1, self._numbers.max_offset_ns) if periods
                else self._numbers.first_offset_ns)
