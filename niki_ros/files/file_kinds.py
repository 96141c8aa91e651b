"""Checks of what a file is by its content; a file that cannot be read is of no kind."""

import os
from pathlib import Path
import struct

from niki_ros.common.errors import InputError

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.pgm', '.ppm',
                  '.pnm')
_IMAGE_HEADS = (b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'\xff\xd8\xff\xe1', b'II*\0',
                b'MM\0*', b'BM', b'P5', b'P6')
_MP4_BOXES = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')
_MAX_BOXES = 10_000
_EBML_HEAD, _MATROSKA_SEGMENT, _MATROSKA_HEAD_BYTES = b'\x1aE\xdf\xa3', b'\x18S\x80g', 256
# MPEG-TS: length of a packet in bytes, and the offset of its sync byte
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
_TS_SYNC, _TS_MIN_PACKETS = b'G', 5


def name_for_opencv(path) -> str:
    """Return the absolute path: OpenCV takes text before a colon for a protocol."""
    name = os.path.abspath(path)
    try:
        name.encode('utf-8')
    except UnicodeEncodeError as error:  # OpenCV would crash
        raise InputError(f'the name {name!r} is not UTF-8, and OpenCV cannot open it; give it '
                         'another name, by mv or ln -s') from error
    return name


def starts_with(path: Path, *heads: bytes) -> bool:
    """Whether a file begins with one of ``heads``."""
    return _head(path, max(map(len, heads))).startswith(heads)


def is_image(path: Path) -> bool:
    """Whether a file is a single image, by its suffix or, without a suffix, by its first bytes."""
    # with another suffix, a file that begins with a JPEG may be a video (mjpeg)
    return path.is_file() and (path.suffix.lower() in IMAGE_SUFFIXES
                               or (not path.suffix and starts_with(path, *_IMAGE_HEADS)))


def is_mp4(path: Path) -> bool:
    """Whether a file is mp4 or mov, the containers with an index of their frames."""
    return _head(path, 8)[4:] in _MP4_BOXES


def lacks_mp4_index(path: Path) -> bool:
    """Whether a file is mp4 or mov without the box ``moov``, which is the index of the frames."""
    if not is_mp4(path):
        return False
    with path.open('rb') as file:
        for _ in range(_MAX_BOXES):
            head = file.read(8)
            if len(head) < 8:
                return True
            size, name = struct.unpack('>I4s', head)
            if name == b'moov':
                return False
            rest = size - 8
            if size == 1:
                size, = struct.unpack('>Q', file.read(8).rjust(8, b'\0'))
                rest = size - 16
            if rest < 0:
                return True
            file.seek(rest, 1)
    return False


def is_truncated(path: Path) -> bool:
    """Whether AVI or Matroska is shorter than its header states, or MPEG-TS ends in a packet."""
    head = _head(path, max(_MATROSKA_HEAD_BYTES, _TS_MIN_PACKETS * _TS_PACKETS[-1][0]))
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if head.startswith(b'RIFF') and len(head) > 8:
        return size < 8 + struct.unpack_from('<I', head, 4)[0]
    if head.startswith(_EBML_HEAD):
        return size < _matroska_size(head[:_MATROSKA_HEAD_BYTES])
    return _ends_in_ts_packet(head, size)


def _head(path: Path, byte_count: int) -> bytes:
    try:
        with path.open('rb') as file:
            return file.read(byte_count)
    except OSError:
        return b''


def _matroska_size(head: bytes) -> int:
    """Return the number of bytes that a Matroska header states, 0 where it states none."""
    at = head.find(_MATROSKA_SEGMENT)
    if not 0 < at < len(head) - 12:
        return 0
    length = struct.unpack_from('>Q', head, at + 4)[0]
    # as muxers write it: a first byte 1, so seven bytes follow; all ones = unknown
    if length >> 56 != 1 or length == (1 << 57) - 1:
        return 0
    return at + 12 + (length & ((1 << 56) - 1))


def _ends_in_ts_packet(head: bytes, size: int) -> bool:
    """Whether a file is MPEG-TS and ends within a packet: it states no length."""
    for length, sync_at in _TS_PACKETS:
        syncs = [head[sync_at + n * length:][:1] for n in range(_TS_MIN_PACKETS)]
        if syncs == [_TS_SYNC] * _TS_MIN_PACKETS:
            return size % length != 0
    return False
