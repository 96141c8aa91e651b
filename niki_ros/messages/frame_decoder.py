"""
What comes before the pipeline, the same for the node and for a bag: stamp, pixels, camera.

The messages may be of any library: they only need the fields of sensor_msgs/Image,
CompressedImage and CameraInfo. What is wrong with one has a name, the same everywhere.
"""

from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Optional

from niki_ros.common.errors import InputError
from niki_ros.common.settings import CameraConfig, TrackingConfig
from niki_ros.images.levels import Levels
from niki_ros.messages.calibration import calibration_of_info, camera_of, rectified_by_name
from niki_ros.messages.encodings import encoding_of, ENCODINGS
from niki_ros.messages.image_decoding import foreign_format, rgb_from_compressed, rgb_from_image
from niki_ros.scene.camera import Camera
from niki_ros.scene.stamp_order import ImageOrder, LATE, REPEATED
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
    Return the camera of the whole sensor; ``width`` and ``height`` where it does not say its own.

    :raises InputError: when K, or P where K is empty, is no camera's.
    """
    known = calibration_of_info(message)
    return camera_of(known, known.width or width, known.height or height)[0]


def is_zero_k(message) -> bool:
    """Whether a driver without calibration sent this CameraInfo."""
    return not any(message.k) and not any(message.p)


class _Fitted(NamedTuple):
    """A camera, what was wrong with its calibration, and what both were made of."""

    key: tuple
    camera: Camera
    faults: Dict[str, str]


class Intake:
    """
    Turns messages into what the pipeline takes.

    :param fov_deg: of the camera that is assumed where camera_info is of no use.
    :param warn: called with the name and the text of every fault that can be lived with.
    :param order: of the pipeline that the images go to; None = by the settings' defaults.
    :param images: the setting ``camera.images``.
    :ivar info_topic: name of the topic in those texts.
    :ivar image_topic: full name of that of the images, which can say that they are rectified.
    """

    def __init__(self, fov_deg: float, warn: Callable[[str, str], None],
                 info_topic: str = 'camera_info', order: Optional[ImageOrder] = None,
                 images: str = CameraConfig().images, image_topic: str = ''):
        """Know no camera yet."""
        self._fov_deg, self._warn = fov_deg, warn
        self._images, self.image_topic = images, image_topic
        self.info_topic = info_topic
        self.info = None
        self._fitted: Optional[_Fitted] = None
        self._levels = Levels()
        self._order = order or ImageOrder(TrackingConfig())

    def read(self, message):
        """
        Return the stamp in nanoseconds and the (H, W, 3) RGB image of either kind of message.

        :raises BadFrame: with the name of what is wrong.
        """
        stamp_ns = self._stamp_ns(message)
        return stamp_ns, self._rgb(message, stamp_ns)

    def remarks(self) -> Dict[str, str]:
        """Return by name what is no fault of the last image, but good to know."""
        return {'values_stretched': self._levels.text} if self._levels.text else {}

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
            self._warn('camera_info_zeroed', f'K and P on {self.info_topic} are zero; '
                       f'{instead}')
        else:
            try:
                return self._camera_of(info, width, height)
            except InputError as error:
                self._warn('camera_info_invalid', f'{self.info_topic}: {error}; {instead}')
        return None

    def _camera_of(self, info, width: int, height: int) -> Camera:
        """Return what the info means for images of this size, after a warning of every doubt."""
        rectified = (self._images == 'rectified'
                     or (self._images == 'auto' and rectified_by_name(self.image_topic)))
        known = calibration_of_info(info)
        key = (width, height, rectified, *(part.tobytes() if isinstance(part, np.ndarray) else part
                                           for part in known))
        # a driver says the same with every image
        if self._fitted is None or self._fitted.key != key:
            self._fitted = _Fitted(key, *camera_of(known, width, height, rectified))
        for fault, text in self._fitted.faults.items():
            self._warn(fault, f'{self.info_topic}: {text}')
        return self._fitted.camera

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

    def _rgb(self, message, stamp_ns: int) -> np.ndarray:
        """Return (H, W, 3) RGB of either kind of message."""
        self._levels.text = ''
        try:
            if not hasattr(message, 'encoding'):
                if foreign := foreign_format(message):
                    raise BadFrame('image_format_unknown', 'the message says that it holds '
                                   f'{foreign!r}; JPEG and PNG are read')
                return rgb_from_compressed(message, self._levels, stamp_ns)
            if message.width == 0 or message.height == 0:
                raise BadFrame('image_empty', f'the image is {message.width}x{message.height}')
            if encoding_of(message.encoding) is None:
                raise BadFrame('encoding_unknown', f'encoding {message.encoding[:50]!r} is not '
                               f'one of {", ".join(ENCODINGS)}')
            return rgb_from_image(message, self._levels, stamp_ns)
        except InputError as error:
            raise BadFrame('image_invalid', str(error)) from error
