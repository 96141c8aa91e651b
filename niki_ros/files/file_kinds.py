"""What a file is by its bytes, whatever it is called; one that cannot be read is nothing."""

from __future__ import annotations

import os
from pathlib import Path
import struct

from niki_ros.common.errors import InputError

_MP4_BOXES = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')
_MOST_BOXES = 10_000
# MPEG-TS: length of a packet, and where in it its first byte G is
_PACKETS = ((188, 0), (192, 4), (204, 0))
_SYNC = b'G'
_EBML, _SEGMENT, _MATROSKA_HEAD = b'\x1aE\xdf\xa3', b'\x18S\x80g', 256


def name_for_opencv(path) -> str:
    """
    Return the absolute name as text; from the root on, as what is before a colon is a protocol.

    :raises InputError: where it is not UTF-8, at which OpenCV crashes.
    """
    name = os.path.abspath(path)
    try:
        name.encode('utf-8')
    except UnicodeEncodeError as error:
        raise InputError(f'the name {name!r} is not UTF-8, and OpenCV cannot open it; give it '
                         'another name, by mv or ln -s') from error
    return name


def starts_with(path: Path, *beginnings: bytes) -> bool:
    """Whether a file begins with one of these bytes."""
    try:
        with path.open('rb') as file:
            return file.read(max(map(len, beginnings))).startswith(beginnings)
    except OSError:
        return False


def is_mp4(path: Path) -> bool:
    """Whether a file is mp4 or mov, which have a list of their frames."""
    try:
        with path.open('rb') as file:
            return file.read(8)[4:] in _MP4_BOXES
    except OSError:
        return False


def lacks_index(path: Path) -> bool:
    """Whether a file is mp4 or mov without the box that says where the frames are."""
    if not is_mp4(path):
        return False
    with path.open('rb') as file:
        for _ in range(_MOST_BOXES):
            head = file.read(8)
            if len(head) < 8:
                return True
            size, name = struct.unpack('>I4s', head)
            if name == b'moov':
                return False
            skip = size - 8
            if size == 1:
                size, = struct.unpack('>Q', file.read(8).rjust(8, b'\0'))
                skip = size - 16
            if skip < 0:
                return True
            file.seek(skip, 1)
    return False


def is_cut_off(path: Path) -> bool:
    """Whether AVI or Matroska (mkv, webm) is shorter than it says, or MPEG-TS ends in a packet."""
    try:
        size = path.stat().st_size
        with path.open('rb') as file:
            start = file.read(_MATROSKA_HEAD)
    except OSError:
        return False
    if start.startswith(b'RIFF') and len(start) > 8:
        return size < 8 + struct.unpack_from('<I', start, 4)[0]
    at = start.find(_SEGMENT)
    if not start.startswith(_EBML):
        return _cut_in_a_packet(path)
    if not 0 < at < len(start) - 12:
        return False
    length = struct.unpack_from('>Q', start, at + 4)[0]
    # as muxers write it: one byte that says that seven follow; all ones = not known
    known = length >> 56 == 1 and length != (1 << 57) - 1
    return known and size < at + 12 + (length & ((1 << 56) - 1))


def _cut_in_a_packet(path: Path) -> bool:
    """Whether a file is MPEG-TS that ends within a packet: nothing else in it tells its length."""
    try:
        size = path.stat().st_size
        with path.open('rb') as file:
            start = file.read(5 * max(length for length, _ in _PACKETS))
    except OSError:
        return False
    for length, at in _PACKETS:
        if len(start) > 4 * length and all(
                start[at + n * length:][:1] == _SYNC for n in range(5)):
            return size % length != 0
    return False
