"""Pixels of anything with the fields of sensor_msgs/Image or CompressedImage, whoever read it."""

from __future__ import annotations

import re
from typing import Optional

from niki_ros.common.errors import InputError
from niki_ros.images.levels import Levels
from niki_ros.messages.encodings import (
    BAYER,
    encoding_of,
    ENCODINGS,
    is_deep,
    PACKED,
    YUV422,
    YUV_PLANES,
)
import numpy as np

_MAX_PIXELS = 1 << 28
# how the transports of image_transport and others call a JPEG or PNG
_PICTURES = {'jpeg', 'jpg', 'mjpeg', 'png'}


def rgb_from_image(message, levels: Optional[Levels] = None, stamp_ns: int = 0) -> np.ndarray:
    """
    Return (H, W, 3) uint8 RGB of a sensor_msgs/Image; rows may be padded, values big-endian.

    Values of more than 8 bits are stretched.

    :param message: anything with the fields of that message.
    :param levels: of the stream that the image is from. :param stamp_ns: of the image.
    :raises InputError: when the message contradicts itself or its encoding is not known.
    """
    encoding, width, height = encoding_of(message.encoding), message.width, message.height
    if width == 0 or height == 0 or width * height > _MAX_PIXELS:
        raise InputError(f'image is {width}x{height}; expected at least 1x1')
    if encoding is None:
        raise InputError(f'image encoding {message.encoding[:50]!r} is not supported; expected '
                         f'one of {", ".join(ENCODINGS)}')
    if encoding in YUV422:
        if width % 2:
            raise InputError(f'{encoding} image is {width} pixels wide; expected an even width')
        return _with_cv2(rows(message, 2, np.uint8), YUV422[encoding])
    if encoding in YUV_PLANES:
        return _with_cv2(_planes(message, encoding), YUV_PLANES[encoding])
    if encoding in BAYER:
        kind, conversion = BAYER[encoding]
        return _in_8_bits(_with_cv2(rows(message, 1, kind)[..., 0], conversion), levels, stamp_ns)
    kind, count, order = PACKED[encoding]
    pixels = rows(message, count, kind)
    if count > len(order) or order != (0, 1, 2)[:count]:
        pixels = pixels[..., order]
    pixels = _in_8_bits(pixels, levels, stamp_ns)
    return np.repeat(pixels, 3, axis=2) if count == 1 else np.ascontiguousarray(pixels)


def rgb_from_compressed(message, levels: Optional[Levels] = None,
                        stamp_ns: int = 0) -> np.ndarray:
    """
    Return (H, W, 3) uint8 RGB of a sensor_msgs/CompressedImage with a JPEG or PNG in it.

    :param levels: of the stream that the image is from. :param stamp_ns: of the image.
    :raises InputError: when it cannot be decoded.
    """
    from niki_ros.images.pixels import pixels_from_file
    pixels = pixels_from_file(message.data)
    # image_transport: the encoding of the raw image, then how that was compressed, from what
    raw, _, compressed = str(getattr(message, 'format', '')).partition(';')
    encoding = encoding_of(raw) if compressed else None
    if pixels.ndim == 2 and encoding in BAYER:
        return _in_8_bits(_with_cv2(pixels, BAYER[encoding][1]), levels, stamp_ns)
    # a transport that made 8 bits of 16 left little of 12
    if encoding is not None and is_deep(encoding):
        pixels = (levels or Levels()).stretched(pixels, stamp_ns)
    pixels = _in_8_bits(pixels, levels, stamp_ns)
    if pixels.ndim == 2:
        return _with_cv2(pixels, 'GRAY2RGB')
    return pixels if 'compressed rgb' in compressed else _with_cv2(pixels, 'BGR2RGB')


def foreign_format(message) -> str:
    """Return what a CompressedImage says it holds where it is neither JPEG nor PNG, else ''."""
    from niki_ros.images.pixels import is_jpeg_or_png
    said = str(getattr(message, 'format', ''))
    words = set(re.findall('[a-z0-9]+', said.lower()))
    a_picture = words & _PICTURES and 'compresseddepth' not in words
    return '' if is_jpeg_or_png(message.data) or not words or a_picture else said[:50]


def rows(message, channels: int, dtype) -> np.ndarray:
    """
    Return (H, W, channels) of ``dtype`` in native order: a view where nothing must change.

    :raises InputError: where ``step`` or the number of bytes do not fit the size.
    """
    kind = np.dtype(dtype).newbyteorder('>' if message.is_bigendian else '<')
    width, height, row = message.width, message.height, message.width * channels * kind.itemsize
    step = message.step
    if step < row:
        raise InputError(f'image step is {step} bytes; a row of {width} {message.encoding} pixels '
                         f'has {row}')
    # the last row may come without its padding
    needed = step * (height - 1) + row
    if len(message.data) < needed:
        raise InputError(f'image data has {len(message.data)} bytes; {width}x{height} '
                         f'{message.encoding} with a step of {step} has {step * height}')
    view = np.ndarray((height, width, channels), kind, buffer=message.data,
                      strides=(step, channels * kind.itemsize, kind.itemsize))
    return view.astype(kind.newbyteorder('='), copy=False)


def _planes(message, encoding: str) -> np.ndarray:
    """Return (H * 3 / 2, W) uint8: brightness above, colour of every four pixels below."""
    width, height, size = message.width, message.height, len(message.data)
    if width % 2 or height % 2:
        raise InputError(f'{encoding} image is {width}x{height}; expected even numbers')
    full = encoding == 'nv24'
    total = 3 * height if full else 3 * height // 2
    # step is that of the brightness, or what one gets by dividing all bytes by the height
    step = message.step if message.step >= width and message.step * total <= size else width
    if step * total > size or step % 2:
        raise InputError(f'image data has {size} bytes; {width}x{height} {encoding} has '
                         f'{width * total}')
    data = np.frombuffer(message.data, np.uint8, step * total).reshape(total, step)
    bright, colour = data[:height, :width], data[height:]
    if full:
        pairs = colour.reshape(height, step, 2)[::2, :width:2]
        colour = pairs.reshape(height // 2, width)
    elif encoding in ('i420', 'yv12'):
        colour = colour.reshape(height, step // 2)[:, :width // 2].reshape(height // 2, width)
    return np.vstack([bright, colour[:, :width]])


def _in_8_bits(values: np.ndarray, levels: Optional[Levels], stamp_ns: int) -> np.ndarray:
    """Return uint8: as it is, or stretched."""
    return (values if values.dtype == np.uint8
            else (levels or Levels()).stretched(values, stamp_ns))


def _with_cv2(pixels: np.ndarray, conversion: str) -> np.ndarray:
    """Return RGB by OpenCV's conversion of that name."""
    # in the core's one file with OpenCV, and only where a camera sends such pixels
    from niki_ros.images.pixels import rgb_by_cv2
    return rgb_by_cv2(pixels, conversion)
