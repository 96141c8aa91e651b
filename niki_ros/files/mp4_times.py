"""
Times of the frames in an mp4 or mov file that OpenCV has written, which gives all one duration.

They are in boxes of the index (ISO/IEC 14496-12): ``stts`` has the durations, the boxes around it
their sum. The index is behind the pictures, so nothing else moves.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
import struct
from typing import Iterator, List, Sequence, Tuple

from niki_ros.common.errors import OutputError
import numpy as np

SUFFIXES = ('.mp4', '.m4v', '.mov')
_CONTAINERS = (b'trak', b'mdia', b'minf', b'stbl', b'edts')
# versions 0 and 1: where the time scale and the duration are, and what they are packed as
_SCALE_AT = (12, 20)
_DURATION_AT = {b'mvhd': (16, 24), b'mdhd': (16, 24), b'tkhd': (20, 28), b'elst': (8, 8)}
_DURATION_AS = ('>I', '>Q')
_HEAD = 8


def write_times(path, times_ns: Sequence[int]) -> None:
    """
    Give the frames of a file with one video stream their times; the first one is the zero.

    :param times_ns: growing, one more than there are frames: the last is the end.
    :raises OutputError: where the file is not as it was expected to be.
    """
    with Path(path).open('r+b') as file:
        start, index = _index_of(file)
        scale = _scale_of(index)
        ticks = np.round((np.asarray(times_ns, np.float64) - times_ns[0]) * 1e-9 * scale)
        durations = np.diff(ticks.astype(np.int64)).tolist()
        new = _rebuilt(index, durations, sum(durations) / scale)
        file.seek(start)
        file.write(struct.pack('>I4s', len(new) + _HEAD, b'moov') + new)
        file.truncate()


def _index_of(file) -> Tuple[int, bytes]:
    """Return where the box moov begins, the last one of the file, and what is in it."""
    at = 0
    while len(head := file.read(16)) >= _HEAD:
        size, name = struct.unpack('>I4s', head[:_HEAD])
        if name == b'moov':
            file.seek(at + _HEAD)
            content = file.read(size - _HEAD)
            if not file.read(1):
                return at, content
            break
        if size == 1:
            size, = struct.unpack('>Q', head[_HEAD:])
        if size < _HEAD:
            break
        at = file.seek(at + size)
    raise OutputError('the index of the video is not where its encoder writes it; the times of '
                      'its frames are not in it')


def _boxes(data: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yield name and content of boxes that follow each other."""
    at = 0
    while at + _HEAD <= len(data):
        size, name = struct.unpack_from('>I4s', data, at)
        size = max(size, _HEAD)
        yield name, data[at + _HEAD:at + size]
        at += size


def _scale_of(content: bytes) -> int:
    """Return the ticks a second of the video stream."""
    for name, inside in _boxes(content):
        if name == b'mdhd':
            return struct.unpack_from('>I', inside, _SCALE_AT[inside[0]])[0]
        if name in _CONTAINERS and (found := _scale_of(inside)):
            return found
    return 0


def _rebuilt(content: bytes, durations: List[int], seconds: float, movie_scale: int = 1) -> bytes:
    """Return boxes with other durations: of the frames, and of the whole in its own time scale."""
    parts = []
    for name, inside in _boxes(content):
        if name == b'mvhd':
            movie_scale = struct.unpack_from('>I', inside, _SCALE_AT[inside[0]])[0]
        if name in _CONTAINERS:
            inside = _rebuilt(inside, durations, seconds, movie_scale)
        elif name == b'stts':
            runs = [(len(list(run)), ticks) for ticks, run in groupby(durations)]
            inside = bytes(4) + struct.pack('>I', len(runs)) + b''.join(
                struct.pack('>2I', *run) for run in runs)
        elif name in _DURATION_AT:
            version, whole = inside[0], sum(durations)
            whole = whole if name == b'mdhd' else round(seconds * movie_scale)
            at, whole_as = _DURATION_AT[name][version], _DURATION_AS[version]
            inside = (inside[:at] + struct.pack(whole_as, whole)
                      + inside[at + struct.calcsize(whole_as):])
        parts.append(struct.pack('>I4s', len(inside) + _HEAD, name) + inside)
    return b''.join(parts)
