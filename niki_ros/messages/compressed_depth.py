"""Depth out of a CompressedImage, as compressed_depth_image_transport and its kin write it."""

from __future__ import annotations

import struct

from niki_ros.common.errors import InputError
from niki_ros.messages.encodings import encoding_of
import numpy as np

# before the picture: an unused number, and the two of the quantization
_HEADER = struct.Struct('<i2f')
_MAX_PIXELS = 1 << 26
# 16 bits and the sign in groups of 3; counts of pixels in a few more
_MAX_NIBBLES = 11


def depth_from_compressed(message) -> np.ndarray:
    """
    Return the depth (H, W): uint16 millimetres or float32 metres.

    :param message: anything with the fields of sensor_msgs/CompressedImage.
    :raises InputError: where there is no depth in it.
    """
    # with OpenCV, and only where depth comes this way
    from niki_ros.images.pixels import is_jpeg_or_png, pixels_from_file
    said, data = str(message.format), bytes(message.data)
    raw, _, how = said.partition(';')
    if is_jpeg_or_png(data):  # from the transport "compressed", set to png
        depth, quantization = pixels_from_file(data), None
    elif len(data) <= _HEADER.size:
        raise InputError(f'compressed depth has {len(data)} bytes; expected a header of '
                         f'{_HEADER.size} and a picture')
    else:
        quantization = _HEADER.unpack_from(data)[1:]
        body = data[_HEADER.size:]
        depth = _from_rvl(body) if 'rvl' in how else pixels_from_file(body)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise InputError(f'compressed depth {said[:50]!r} holds {depth.dtype} values of shape '
                         f'{depth.shape}; expected 16 bits of one channel')
    if quantization is None or encoding_of(raw) != '32FC1':
        return depth
    scale, shift = quantization
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        metres = np.float32(scale) / (depth.astype(np.float32) - np.float32(shift))
    return np.where(depth > 0, metres, np.float32(np.nan))


def _from_rvl(data: bytes) -> np.ndarray:
    """
    Return what RVL compressed (Wilson, "Fast Lossless Depth Image Compression", 2017).

    Numbers of 3 bits a nibble, the lowest first, the top bit of a nibble says that more follow:
    how many zeros, how many other values, the differences of these; and again.
    """
    if len(data) < 12:
        raise InputError(f'RVL depth has {len(data)} bytes; expected at least 12')
    width, height = struct.unpack_from('<2I', data)
    if not 0 < width * height <= min(_MAX_PIXELS, 40 * len(data)):
        raise InputError(f'RVL depth of {len(data)} bytes says that it is {width}x{height}')
    numbers = _numbers_of(np.frombuffer(data, '<u4', (len(data) - 8) // 4, 8))
    out, steps = np.zeros(width * height, bool), []
    at = filled = 0
    while filled < out.size:
        if at + 2 > numbers.size:
            raise InputError(f'RVL depth of {width}x{height} ends after {filled} pixels')
        zeros, others = int(numbers[at]), int(numbers[at + 1])
        begin, filled = filled + zeros, filled + zeros + others
        if filled > out.size or at + 2 + others > numbers.size or not zeros + others:
            raise InputError(f'RVL depth of {width}x{height} is damaged at pixel {begin}')
        out[begin:filled] = True
        steps.append(numbers[at + 2:at + 2 + others])
        at += 2 + others
    zigzag = np.concatenate(steps)
    depth = np.zeros(out.size, np.uint16)
    depth[out] = np.cumsum((zigzag >> 1) ^ -(zigzag & 1)).astype(np.uint16)
    return depth.reshape(height, width)


def _numbers_of(words: np.ndarray) -> np.ndarray:
    """Return the numbers in nibbles of words, the top nibble of each word first."""
    nibbles = ((words[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & 15).ravel()
    ends = np.flatnonzero(nibbles < 8)
    if ends.size == 0:
        return np.zeros(0, np.int64)
    nibbles = nibbles[:ends[-1] + 1].astype(np.int64)
    begins = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(nibbles.size) - np.repeat(begins, ends - begins + 1)
    if place.max() >= _MAX_NIBBLES:
        raise InputError('RVL depth holds a number of more than 32 bits')
    return np.add.reduceat((nibbles & 7) << (3 * place), begins)
