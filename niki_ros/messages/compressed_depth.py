"""Decoding of depth in CompressedImage, as compressed_depth_image_transport writes it."""

import struct

from niki_ros.common.errors import InputError
from niki_ros.messages.encodings import find_encoding
import numpy as np

# before the image file: an unused number, then the two parameters of the quantization
_HEADER = struct.Struct('<i2f')
_MAX_PIXELS = 1 << 26
# depth differences of 17 bits take 6 nibbles of 3 bits; counts of pixels take up to 32 bits
_MAX_NIBBLES = 11


def depth_from_compressed(message) -> np.ndarray:
    """Return the depth (H, W) of a sensor_msgs/CompressedImage: uint16 mm or float32 metres."""
    # imports OpenCV, and only when depth is compressed
    from niki_ros.images.pixels import is_jpeg_or_png, pixels_from_file
    text, data = str(message.format), bytes(message.data)
    raw, _, compression = text.partition(';')
    if is_jpeg_or_png(data):  # from the transport "compressed", set to png
        depth, quantization = pixels_from_file(data), None
    elif len(data) <= _HEADER.size:
        raise InputError(f'compressed depth has {len(data)} bytes; expected a header of '
                         f'{_HEADER.size} and an image file')
    else:
        quantization = _HEADER.unpack_from(data)[1:]
        body = data[_HEADER.size:]
        depth = _from_rvl(body) if 'rvl' in compression else pixels_from_file(body)
    if depth.ndim != 2 or depth.dtype != np.uint16:
        raise InputError(f'compressed depth {text[:50]!r} holds {depth.dtype} values of shape '
                         f'{depth.shape}; expected 16 bits of one channel')
    if quantization is None or find_encoding(raw) != '32FC1':
        return depth
    scale, shift = quantization
    with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
        metres = np.float32(scale) / (depth.astype(np.float32) - np.float32(shift))
    return np.where(depth > 0, metres, np.float32(np.nan))


def _from_rvl(data: bytes) -> np.ndarray:
    """
    Return the depth (H, W) uint16 of RVL (Wilson, "Fast Lossless Depth Image Compression", 2017).

    Numbers have 3 bits per nibble, the lowest first; the top bit of a nibble says that more
    follow. A run is the count of zeros, the count of other values, and the differences of those.
    """
    if len(data) < 12:
        raise InputError(f'RVL depth has {len(data)} bytes; expected at least 12')
    width, height = struct.unpack_from('<2I', data)
    if not 0 < width * height <= min(_MAX_PIXELS, 40 * len(data)):
        raise InputError(f'RVL depth of {len(data)} bytes says that it is {width}x{height}')
    numbers = _rvl_numbers(np.frombuffer(data, '<u4', (len(data) - 8) // 4, 8))
    is_set, runs = np.zeros(width * height, bool), []
    at = end = 0
    while end < is_set.size:
        if at + 2 > numbers.size:
            raise InputError(f'RVL depth of {width}x{height} ends after {end} pixels')
        zero_count, value_count = int(numbers[at]), int(numbers[at + 1])
        begin, end = end + zero_count, end + zero_count + value_count
        if (end > is_set.size or at + 2 + value_count > numbers.size
                or not zero_count + value_count):
            raise InputError(f'RVL depth of {width}x{height} is damaged at pixel {begin}')
        is_set[begin:end] = True
        runs.append(numbers[at + 2:at + 2 + value_count])
        at += 2 + value_count
    zigzag = np.concatenate(runs)
    depth = np.zeros(is_set.size, np.uint16)
    depth[is_set] = np.cumsum((zigzag >> 1) ^ -(zigzag & 1)).astype(np.uint16)
    return depth.reshape(height, width)


def _rvl_numbers(words: np.ndarray) -> np.ndarray:
    """Return the numbers (n,) in the nibbles of uint32 words, the top nibble of a word first."""
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
