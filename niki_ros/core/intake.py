"""
What comes before the pipeline, the same for the node and for a bag: stamp, pixels, camera.

The messages may be of any library: they only need the fields of sensor_msgs/Image,
CompressedImage and CameraInfo. What is wrong with one has a name, the same everywhere.
"""

from __future__ import annotations

from typing import Callable, Optional

from niki_ros.core.camera import Camera
from niki_ros.core.config import TrackingConfig
from niki_ros.core.errors import InputError
from niki_ros.core.image_decoding import ENCODINGS, rgb_from_compressed, rgb_from_image
from niki_ros.core.image_order import ImageOrder, LATE, REPEATED
import numpy as np


class BadFrame(Exception):
    """An image that cannot be worked on: name of the fault and what was seen."""

    def __init__(self, fault: str, message: str):
        """Keep both."""
        super().__init__(message)
        self.fault = fault


def ns_from_stamp(stamp) -> int:
    """Return a builtin_interfaces/Time as integer nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def camera_from_info(message, width: int, height: int) -> Camera:
    """
    Return the camera of a CameraInfo; ``width`` and ``height`` where it does not say its own.

    :raises InputError: when K is zero or not a camera's.
    """
    return Camera(np.array(message.k).reshape(3, 3), int(message.width) or width,
                  int(message.height) or height, np.array(message.d),
                  message.distortion_model or 'plumb_bob')


def is_zero_k(message) -> bool:
    """Whether a driver without calibration sent this CameraInfo."""
    return not any(message.k)


class Intake:
    """
    Turns messages into what the pipeline takes.

    :param fov_deg: of the camera that is assumed where camera_info is of no use.
    :param warn: called with the name and the text of every fault that can be lived with.
    :param order: of the pipeline that the images go to; None = by the settings' defaults.
    :ivar info_topic: name of the topic in those texts.
    """

    def __init__(self, fov_deg: float, warn: Callable[[str, str], None],
                 info_topic: str = 'camera_info', order: Optional[ImageOrder] = None):
        """Know no camera yet."""
        self._fov_deg, self._warn = fov_deg, warn
        self.info_topic = info_topic
        self.info = None
        self._order = order or ImageOrder(TrackingConfig())

    def read(self, message):
        """
        Return the stamp in nanoseconds and the (H, W, 3) RGB image of either kind of message.

        :raises BadFrame: with the name of what is wrong.
        """
        return self._stamp_ns(message), self._rgb(message)

    def processed(self, stamp_ns: int):
        """Remember that the image of this stamp went through the pipeline."""
        self._order.passed(stamp_ns)

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of images of this size, assumed where it is not known."""
        return self.known_camera(width, height) or Camera.from_fov(width, height, self._fov_deg)

    def known_camera(self, width: int, height: int) -> Optional[Camera]:
        """Return the camera of images of this size by camera_info, None where it has none."""
        info = self.info
        instead = (f'assuming camera.fov_deg = {self._fov_deg:g}°, so distances are only as true '
                   'as that')
        if info is None:
            self._warn('camera_info_missing', f'nothing on {self.info_topic}; {instead}')
        elif is_zero_k(info):
            self._warn('camera_info_zeroed', f'K on {self.info_topic} is zero; {instead}')
        else:
            try:
                return self._scaled(camera_from_info(info, width, height), width, height)
            except InputError as error:
                self._warn('camera_info_invalid', f'{self.info_topic}: {error}; {instead}')
        return None

    def _scaled(self, camera: Camera, width: int, height: int) -> Camera:
        """Return the camera for images of this size, after a warning where it is another."""
        if (camera.width, camera.height) != (width, height):
            self._warn('camera_info_size',
                       f'{self.info_topic} is for {camera.width}x{camera.height}, the image is '
                       f'{width}x{height}; K is scaled')
        return camera.resized(width, height)

    def _stamp_ns(self, message) -> int:
        """Return the stamp; zero and repeated ones identify no image, late ones come too late."""
        if message.header.stamp.nanosec >= 1_000_000_000:
            raise BadFrame('stamp_invalid', f'the stamp has {message.header.stamp.nanosec} '
                           'nanoseconds beside its seconds; the image is skipped')
        stamp_ns = ns_from_stamp(message.header.stamp)
        if stamp_ns <= 0:
            raise BadFrame('stamp_zero', f'the image has the stamp {stamp_ns} ns; it is skipped')
        verdict = self._order.judge(stamp_ns)
        if verdict == REPEATED:
            raise BadFrame('stamp_repeated',
                           f'the stamp {stamp_ns} ns came before; the image is skipped')
        if verdict == LATE:
            raise BadFrame('stamp_late', f'the stamp {stamp_ns} ns is '
                           f'{self._order.back_s(stamp_ns):.3f} s before that of the last image; '
                           'the image is skipped')
        return stamp_ns

    @staticmethod
    def _rgb(message) -> np.ndarray:
        """Return (H, W, 3) RGB of either kind of message."""
        try:
            if not hasattr(message, 'encoding'):
                return rgb_from_compressed(message)
            if message.width == 0 or message.height == 0:
                raise BadFrame('image_empty', f'the image is {message.width}x{message.height}')
            if message.encoding not in ENCODINGS:
                raise BadFrame('encoding_unknown', f'encoding {message.encoding!r} is not one of '
                               f'{", ".join(ENCODINGS)}')
            return rgb_from_image(message)
        except InputError as error:
            raise BadFrame('image_invalid', str(error)) from error
