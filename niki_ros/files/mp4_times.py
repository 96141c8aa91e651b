"""
Times of the frames in an mp4 or mov file of OpenCV, which gives all frames the same duration.

Boxes of the index (ISO/IEC 14496-12) are rewritten: ``stts`` has the durations of the frames, the
boxes around it have their sum. The index follows the images, so that no other byte moves.
"""

from itertools import groupby
from pathlib import Path
import struct
from typing import Iterator, List, Sequence, Tuple

from niki_ros.common.errors import OutputError
import numpy as np

SUFFIXES = ('.mp4', '.m4v', '.mov')
_CONTAINERS = (b'trak', b'mdia', b'minf', b'stbl', b'edts')
# for versions 0 and 1 of a box: offsets of time scale and duration, format of the duration
_SCALE_OFFSETS = (12, 20)
_DURATION_OFFSETS = {b'mvhd': (16, 24), b'mdhd': (16, 24), b'tkhd': (20, 28), b'elst': (8, 8)}
_DURATION_FORMATS = ('>I', '>Q')
_HEAD_BYTES = 8


def write_times(path, times_ns: Sequence[int]) -> None:
    """
    Write the times of the frames to a file with one video stream.

    :param times_ns: (frames + 1,) increasing; the last one is the end of the last frame.
    :raises OutputError: when the index is not at the end of the file.
    """
    with Path(path).open('r+b') as file:
        start, index = _index_of(file)
        scale = _scale_of(index)
        ticks = np.round((np.asarray(times_ns, np.float64) - times_ns[0]) * 1e-9 * scale)
        durations = np.diff(ticks.astype(np.int64)).tolist()
        new = _rebuilt(index, durations, sum(durations) / scale)
        file.seek(start)
        file.write(struct.pack('>I4s', len(new) + _HEAD_BYTES, b'moov') + new)
        file.truncate()


def _index_of(file) -> Tuple[int, bytes]:
    """Return the offset of the box ``moov``, the last one of the file, and its content."""
    at = 0
    while len(head := file.read(16)) >= _HEAD_BYTES:
        size, name = struct.unpack('>I4s', head[:_HEAD_BYTES])
        if name == b'moov':
            file.seek(at + _HEAD_BYTES)
            content = file.read(size - _HEAD_BYTES)
            if not file.read(1):
                return at, content
            break
        if size == 1:
            size, = struct.unpack('>Q', head[_HEAD_BYTES:])
        if size < _HEAD_BYTES:
            break
        at = file.seek(at + size)
    raise OutputError('the index of the video is not at its end, where its encoder writes it; the '
                      'times of its frames were not written')


def _boxes(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yield name and content of consecutive boxes."""
    at = 0
    while at + _HEAD_BYTES <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        size = max(size, _HEAD_BYTES)
        yield name, data[at + _HEAD_BYTES:at + size]
        at += size


def _scale_of(content: bytes) -> int:
    """Return the ticks per second of the video stream."""
    for name, inside in _boxes(content):
        if name == b'mdhd':
            return struct.unpack_from('>I', inside, _SCALE_OFFSETS[inside[0]])[0]
        if name in _CONTAINERS and (found := _scale_of(inside)):
            return found
    return 0


def _rebuilt(content: bytes, durations: List[int], seconds: float, movie_scale: int = 1) -> bytes:
    """Return the boxes in ``content`` with new durations of the frames, in ticks."""
    parts = []
    for name, inside in _boxes(content):
        if name == b'mvhd':
            movie_scale = struct.unpack_from('>I', inside, _SCALE_OFFSETS[inside[0]])[0]
        if name in _CONTAINERS:
            inside = _rebuilt(inside, durations, seconds, movie_scale)
        elif name == b'stts':
            runs = [(len(list(run)), ticks) for ticks, run in groupby(durations)]
            inside = bytes(4) + struct.pack('>I', len(runs)) + b''.join(
                struct.pack('>2I', *run) for run in runs)
        elif name in _DURATION_OFFSETS:
            version = inside[0]
            total = sum(durations) if name == b'mdhd' else round(seconds * movie_scale)
            at, form = _DURATION_OFFSETS[name][version], _DURATION_FORMATS[version]
            inside = (inside[:at] + struct.pack(form, total)
                      + inside[at + struct.calcsize(form):])
        parts.append(struct.pack('>I4s', len(inside) + _HEAD_BYTES, name) + inside)
    return b''.join(parts)
