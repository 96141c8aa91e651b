"""Pixels of anything with the fields of sensor_msgs/Image or CompressedImage, whoever read it."""

from __future__ import annotations

from niki_ros.core.errors import InputError
import numpy as np

_CHANNELS_8 = {
    'rgb8': (0, 1, 2), 'bgr8': (2, 1, 0), '8UC3': (2, 1, 0), 'rgba8': (0, 1, 2, 3),
    'bgra8': (2, 1, 0, 3), '8UC4': (2, 1, 0, 3)}
_MONO = {'mono8': np.uint8, '8UC1': np.uint8, 'mono16': np.uint16, '16UC1': np.uint16,
         '32FC1': np.float32}
# cv2 names a pattern by its second row, from the second column on
_BAYER = {'bayer_rggb8': 'BayerBG', 'bayer_bggr8': 'BayerRG', 'bayer_gbrg8': 'BayerGR',
          'bayer_grbg8': 'BayerGB'}
_YUV = {'yuv422': 'UYVY', 'uyvy': 'UYVY', 'yuv422_yuy2': 'YUY2', 'yuyv': 'YUY2'}
ENCODINGS = (*_CHANNELS_8, *_MONO, *_BAYER, *_YUV)
"""Every encoding that :func:`rgb_from_image` reads."""

_MAX_PIXELS = 1 << 28


def rgb_from_image(message) -> np.ndarray:
    """
    Return (H, W, 3) uint8 RGB of a sensor_msgs/Image; rows may be padded, values big-endian.

    Depth and infrared become grey: 16 bits are divided by 257, floats are taken as 0 … 1.

    :param message: anything with the fields of that message.
    :raises InputError: when the message contradicts itself or its encoding is not known.
    """
    encoding, width, height = message.encoding, message.width, message.height
    if width == 0 or height == 0 or width * height > _MAX_PIXELS:
        raise InputError(f'image is {width}x{height}; expected at least 1x1')
    if encoding in _CHANNELS_8:
        order = _CHANNELS_8[encoding]
        pixels = rows(message, len(order), np.uint8)
        return np.ascontiguousarray(pixels if order[:3] == (0, 1, 2) and len(order) == 3
                                    else pixels[..., order[:3]])
    if encoding in _MONO:
        grey = _grey(rows(message, 1, _MONO[encoding])[..., 0])
        return np.repeat(grey[..., None], 3, axis=2)
    if encoding in _BAYER:
        return _with_cv2(rows(message, 1, np.uint8)[..., 0], f'{_BAYER[encoding]}2RGB')
    if encoding in _YUV:
        if width % 2:
            raise InputError(f'{encoding} image is {width} pixels wide; expected an even width')
        return _with_cv2(rows(message, 2, np.uint8), f'YUV2RGB_{_YUV[encoding]}')
    raise InputError(f'image encoding {encoding!r} is not supported; expected one of '
                     f'{", ".join(ENCODINGS)}')


def rgb_from_compressed(message) -> np.ndarray:
    """
    Return (H, W, 3) uint8 RGB of a sensor_msgs/CompressedImage with a JPEG or PNG in it.

    :raises InputError: when it cannot be decoded.
    """
    from niki_ros.core.images import rgb_from_jpeg
    return rgb_from_jpeg(message.data)


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


def _grey(values: np.ndarray) -> np.ndarray:
    """Return 0 … 255 of 8, 16 bits, or floats of 0 … 1."""
    if values.dtype == np.uint16:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if values.dtype == np.float32:
        finite = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
        return (np.clip(finite, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return values


def _with_cv2(pixels: np.ndarray, conversion: str) -> np.ndarray:
    """Return RGB by OpenCV's conversion of that name."""
    # in the core's one file with OpenCV, and only where a camera sends such pixels
    from niki_ros.core.images import rgb_by_cv2
    return rgb_by_cv2(pixels, conversion)
