"""ROS messages to arrays and back. Numbers are computed elsewhere."""

from __future__ import annotations

from array import array

from builtin_interfaces.msg import Time
from niki_ros.core.camera import Camera
from niki_ros.core.errors import InputError
import numpy as np
from sensor_msgs.msg import CameraInfo, Image

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


def ns_from_stamp(stamp) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return integer nanoseconds as builtin_interfaces/Time."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def rgb_from_image(message: Image) -> np.ndarray:
    """
    Return (H, W, 3) uint8 RGB of a sensor_msgs/Image; rows may be padded, values big-endian.

    Depth and infrared become grey: 16 bits are divided by 257, floats are taken as 0 … 1.

    :raises InputError: when the message contradicts itself or its encoding is not known.
    """
    encoding, width, height = message.encoding, message.width, message.height
    if width == 0 or height == 0 or width * height > _MAX_PIXELS:
        raise InputError(f'image is {width}x{height}; expected at least 1x1')
    if encoding in _CHANNELS_8:
        order = _CHANNELS_8[encoding]
        pixels = _rows(message, len(order), np.uint8)
        return np.ascontiguousarray(pixels if order[:3] == (0, 1, 2) and len(order) == 3
                                    else pixels[..., order[:3]])
    if encoding in _MONO:
        grey = _grey(_rows(message, 1, _MONO[encoding])[..., 0])
        return np.repeat(grey[..., None], 3, axis=2)
    if encoding in _BAYER:
        return _with_cv2(_rows(message, 1, np.uint8)[..., 0], _BAYER[encoding] + '2RGB')
    if encoding in _YUV:
        if width % 2:
            raise InputError(f'{encoding} image is {width} pixels wide; expected an even width')
        return _with_cv2(_rows(message, 2, np.uint8), f'YUV2RGB_{_YUV[encoding]}')
    raise InputError(f'image encoding {encoding!r} is not supported; expected one of '
                     f'{", ".join(ENCODINGS)}')


def image_from_rgb(image_rgb: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """Return an rgb8 message of an (H, W, 3) uint8 image."""
    message = Image(height=image_rgb.shape[0], width=image_rgb.shape[1], encoding='rgb8',
                    step=3 * image_rgb.shape[1])
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame_id
    # any other type is checked element by element, which takes seconds
    message.data = array('B', image_rgb.tobytes())
    return message


def camera_from_info(message: CameraInfo, width: int, height: int) -> Camera:
    """
    Return the camera of a CameraInfo; ``width`` and ``height`` where it does not say its own.

    :raises InputError: when K is zero or not a camera's.
    """
    return Camera(np.array(message.k).reshape(3, 3), message.width or width,
                  message.height or height, np.array(message.d), message.distortion_model
                  or 'plumb_bob')


def info_from_camera(camera: Camera, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Return the CameraInfo of an unrectified camera."""
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model=camera.model)
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame_id
    k = camera.matrix
    message.d = [float(value) for value in camera.distortion]
    message.k = [float(value) for value in k.ravel()]
    message.r = [float(value) for value in np.eye(3).ravel()]
    message.p = [float(value) for value in np.hstack([k, np.zeros((3, 1))]).ravel()]
    return message


def is_zero_k(message: CameraInfo) -> bool:
    """Whether a driver without calibration sent this."""
    return not any(message.k)


def _rows(message: Image, channels: int, dtype) -> np.ndarray:
    """Return (H, W, channels) of ``dtype`` in native order: a view where nothing must change."""
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


def _with_cv2(pixels: np.ndarray, code: str) -> np.ndarray:
    """Return RGB by OpenCV's conversion ``code``."""
    import cv2
    try:
        return cv2.cvtColor(np.ascontiguousarray(pixels), getattr(cv2, f'COLOR_{code}'))
    except cv2.error as error:
        raise InputError(f'image of {pixels.shape[1]}x{pixels.shape[0]} cannot be converted by '
                         f'{code}: {error.err}') from error
