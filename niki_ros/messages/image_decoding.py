"""Decoding of sensor_msgs/Image and CompressedImage, from any library, to RGB arrays."""

import re
from typing import Optional

from niki_ros.common.errors import InputError
from niki_ros.images.levels import Levels
from niki_ros.messages.encodings import (
    BAYER,
    ENCODINGS,
    find_encoding,
    is_deep,
    PACKED,
    YUV422,
    YUV_PLANES,
)
import numpy as np

_MAX_PIXELS = 1 << 28
# channels and places of red, green and blue → conversion; twenty times as fast as by indices
_TO_RGB = {(3, (2, 1, 0)): 'BGR2RGB', (4, (0, 1, 2)): 'RGBA2RGB', (4, (2, 1, 0)): 'BGRA2RGB',
           (1, (0,)): 'GRAY2RGB'}
# names of JPEG and PNG in ``format``, by image_transport and others
_JPEG_OR_PNG_NAMES = {'jpeg', 'jpg', 'mjpeg', 'png'}


def rgb_from_image(message, levels: Optional[Levels] = None, stamp_ns: int = 0) -> np.ndarray:
    """
    Return the RGB image (H, W, 3) uint8 of a sensor_msgs/Image, or raise InputError.

    Rows may be padded and values big-endian. Values of more than 8 bits are stretched.

    :param levels: of the image stream.
    """
    encoding, width, height = find_encoding(message.encoding), message.width, message.height
    if width == 0 or height == 0 or width * height > _MAX_PIXELS:
        raise InputError(f'image is {width}x{height}; expected 1x1 to {_MAX_PIXELS} pixels')
    if encoding is None:
        raise InputError(f'image encoding {message.encoding[:50]!r} is not supported; expected '
                         f'one of {", ".join(ENCODINGS)}')
    if encoding in YUV422:
        if width % 2:
            raise InputError(f'{encoding} image is {width} pixels wide; expected an even width')
        return _converted(rows(message, 2, np.uint8), YUV422[encoding])
    if encoding in YUV_PLANES:
        return _converted(_planes(message, encoding), YUV_PLANES[encoding])
    if encoding in BAYER:
        dtype, conversion = BAYER[encoding]
        mosaic = rows(message, 1, dtype)[..., 0]
        return _as_uint8(_converted(mosaic, conversion), levels, stamp_ns)
    dtype, count, order = PACKED[encoding]
    pixels = rows(message, count, dtype)
    if dtype is np.uint8 and (count, order) in _TO_RGB:
        return _converted(pixels, _TO_RGB[count, order])
    if count > len(order) or order != (0, 1, 2)[:count]:
        pixels = pixels[..., order]
    pixels = _as_uint8(pixels, levels, stamp_ns)
    return np.repeat(pixels, 3, axis=2) if count == 1 else np.ascontiguousarray(pixels)


def rgb_from_compressed(message, levels: Optional[Levels] = None,
                        stamp_ns: int = 0) -> np.ndarray:
    """Return the RGB image (H, W, 3) uint8 of a CompressedImage with a JPEG or PNG file."""
    from niki_ros.images.pixels import pixels_from_file
    pixels = pixels_from_file(message.data)
    # image_transport: the encoding of the raw image; the compression and the encoding before it
    raw, _, compressed = str(message.format).partition(';')
    encoding = find_encoding(raw) if compressed else None
    if pixels.ndim == 2 and encoding in BAYER:
        return _as_uint8(_converted(pixels, BAYER[encoding][1]), levels, stamp_ns)
    # the transport scales 16 bits to 8, which leaves few shades of a 12-bit image
    if encoding is not None and is_deep(encoding):
        pixels = (levels or Levels()).stretched(pixels, stamp_ns)
    pixels = _as_uint8(pixels, levels, stamp_ns)
    if pixels.ndim == 2:
        return _converted(pixels, 'GRAY2RGB')
    return pixels if 'compressed rgb' in compressed else _converted(pixels, 'BGR2RGB')


def is_compressed(message) -> bool:
    """Return whether a message is a CompressedImage rather than an Image, by its fields."""
    return not hasattr(message, 'encoding')


def unsupported_format(message) -> str:
    """Return the format of a CompressedImage that is neither JPEG nor PNG; '' for those two."""
    from niki_ros.images.pixels import is_jpeg_or_png
    text = str(message.format)
    words = set(re.findall('[a-z0-9]+', text.lower()))
    is_image_file = words & _JPEG_OR_PNG_NAMES and 'compresseddepth' not in words
    return '' if is_jpeg_or_png(message.data) or not words or is_image_file else text[:50]


def rows(message, channels: int, dtype) -> np.ndarray:
    """Return the values (H, W, channels) of an Image in native byte order, if possible a view."""
    layout = np.dtype(dtype).newbyteorder('>' if message.is_bigendian else '<')
    width, height = message.width, message.height
    row = width * channels * layout.itemsize
    step = message.step
    if step < row:
        raise InputError(f'image step is {step} bytes; a row of {width} {message.encoding} pixels '
                         f'has {row}')
    # the last row may have no padding
    required = step * (height - 1) + row
    if len(message.data) < required:
        raise InputError(f'image data has {len(message.data)} bytes; {width}x{height} '
                         f'{message.encoding} with a step of {step} has {step * height}')
    view = np.ndarray((height, width, channels), layout, buffer=message.data,
                      strides=(step, channels * layout.itemsize, layout.itemsize))
    return view.astype(layout.newbyteorder('='), copy=False)


def _planes(message, encoding: str) -> np.ndarray:
    """Return the planes (H * 3 / 2, W) uint8: luma above, chroma of every four pixels below."""
    width, height, size = message.width, message.height, len(message.data)
    if width % 2 or height % 2:
        raise InputError(f'{encoding} image is {width}x{height}; expected even numbers')
    full_chroma = encoding == 'nv24'
    total = 3 * height if full_chroma else 3 * height // 2
    # step is that of the luma, or all bytes divided by the height
    step = message.step if message.step >= width and message.step * total <= size else width
    if step * total > size or step % 2:
        raise InputError(f'image data has {size} bytes; {width}x{height} {encoding} has '
                         f'{width * total}')
    data = np.frombuffer(message.data, np.uint8, step * total).reshape(total, step)
    luma, chroma = data[:height, :width], data[height:]
    if full_chroma:
        pairs = chroma.reshape(height, step, 2)[::2, :width:2]
        chroma = pairs.reshape(height // 2, width)
    elif encoding in ('i420', 'yv12'):
        chroma = chroma.reshape(height, step // 2)[:, :width // 2].reshape(height // 2, width)
    return np.vstack([luma, chroma[:, :width]])


def _as_uint8(values: np.ndarray, levels: Optional[Levels], stamp_ns: int) -> np.ndarray:
    """Return the values as uint8, stretched where they have another type."""
    return (values if values.dtype == np.uint8
            else (levels or Levels()).stretched(values, stamp_ns))


def _converted(pixels: np.ndarray, conversion: str) -> np.ndarray:
    """Return the RGB image by the conversion of OpenCV with that name."""
    # imports OpenCV, and only when a camera sends such pixels
    from niki_ros.images.pixels import rgb_by_cv2
    return rgb_by_cv2(pixels, conversion)
