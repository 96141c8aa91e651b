"""
Decoding of image messages to the inputs of the pipeline: stamp, RGB image, camera.

The node and the reader of bags share it. Messages may be of any library. Every fault has a name.
"""

from typing import Callable, Dict, NamedTuple, Optional

from niki_ros.common.errors import InputError
from niki_ros.common.settings import CameraConfig, TrackingConfig
from niki_ros.images.levels import Levels
from niki_ros.messages.calibration import (
    calibration_from_info,
    camera_from_calibration,
    is_rectified_topic,
    is_uncalibrated,
)
from niki_ros.messages.encodings import ENCODINGS, find_encoding
from niki_ros.messages.image_decoding import (
    is_compressed,
    rgb_from_compressed,
    rgb_from_image,
    unsupported_format,
)
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.scene.camera import Camera
from niki_ros.scene.stamp_order import LATE, late_text, REPEATED, StampOrder
import numpy as np


class RejectedFrame(Exception):
    """An image that cannot be processed: the name of the ``fault``, and a text with values."""

    def __init__(self, fault: str, text: str):
        super().__init__(text)
        self.fault = fault


class DecodedFrame(NamedTuple):
    """An image that can be processed."""

    stamp_ns: int
    image_rgb: np.ndarray  # (H, W, 3) uint8
    notes: Dict[str, str]  # name → text of remarks that are no faults


class _CachedCamera(NamedTuple):
    """A camera, the faults of its calibration, and the values that both were computed from."""

    key: tuple
    camera: Camera
    faults: Dict[str, str]


class FrameDecoder:
    """
    Decodes images, and finds their camera in the newest CameraInfo.

    :param fov_deg: horizontal field of view of the camera that is assumed without a calibration.
    :param warn: called with name and text of every fault that does not reject the image.
    :param info_topic: topic of the camera_info, for those texts.
    :param order: stamp order of the pipeline; None = one with the default settings.
    :param images: setting ``camera.images``; for ``auto``, ``image_topic`` can say rectified.
    :ivar camera_info: the newest CameraInfo, None before the first one.
    """

    def __init__(self, fov_deg: float, warn: Callable[[str, str], None],
                 info_topic: str = 'camera_info', order: Optional[StampOrder] = None,
                 images: str = CameraConfig().images, image_topic: str = ''):
        self._fov_deg, self._warn, self._info_topic = fov_deg, warn, info_topic
        self._rectified = images == 'rectified' or (
            images == 'auto' and is_rectified_topic(image_topic))
        self.camera_info: Optional[object] = None
        self._cache: Optional[_CachedCamera] = None
        self._levels = Levels()
        self._order = order or StampOrder(TrackingConfig())

    def set_camera_info(self, message) -> None:
        """Take the newest CameraInfo; None = none has arrived."""
        self.camera_info = message

    def decode(self, message) -> DecodedFrame:
        """Return stamp and RGB image of an Image or CompressedImage, or raise RejectedFrame."""
        stamp_ns = self._checked_stamp_ns(message)
        image_rgb = self._rgb(message, stamp_ns)
        text = self._levels.take_text()
        return DecodedFrame(stamp_ns, image_rgb, {'values_stretched': text} if text else {})

    def mark_processed(self, stamp_ns: int) -> None:
        """Remember that the image with this stamp went through the pipeline."""
        self._order.accept(stamp_ns)

    def camera(self, width: int, height: int) -> Camera:
        """Return the camera of images with this size in pixels, an assumed one if necessary."""
        return (self.calibrated_camera(width, height)
                or Camera.from_fov(width, height, self._fov_deg))

    def calibrated_camera(self, width: int, height: int) -> Optional[Camera]:
        """Return the camera of images with this size by CameraInfo, None without a usable one."""
        info, topic = self.camera_info, self._info_topic
        assumption = (f'camera.fov_deg = {self._fov_deg:g}° is assumed, and distances are only '
                      'as accurate as that')
        if info is None:
            self._warn('camera_info_missing', f'nothing on {topic}; {assumption}')
        elif is_uncalibrated(info):
            self._warn('camera_info_zeroed', f'K and P on {topic} are zero; {assumption}')
        else:
            try:
                return self._camera_from_info(info, width, height)
            except InputError as error:
                self._warn('camera_info_invalid', f'{topic}: {error}; {assumption}')
        return None

    def _camera_from_info(self, info, width: int, height: int) -> Camera:
        """Return the camera of a CameraInfo, after warnings of its faults."""
        calibration = calibration_from_info(info)
        key = (width, height, *(value.tobytes() if isinstance(value, np.ndarray) else value
                                for value in calibration))
        # drivers send the same calibration with every image
        if self._cache is None or self._cache.key != key:
            self._cache = _CachedCamera(
                key, *camera_from_calibration(calibration, width, height, self._rectified))
        for fault, text in self._cache.faults.items():
            self._warn(fault, f'{self._info_topic}: {text}')
        return self._cache.camera

    def _checked_stamp_ns(self, message) -> int:
        """Return the stamp of an image; zero, repeated and late stamps reject it."""
        stamp = message.header.stamp
        if stamp.nanosec >= 1_000_000_000:
            raise RejectedFrame('stamp_invalid', f'nanosec of the stamp is {stamp.nanosec}; the '
                                'image is skipped')
        stamp_ns = ns_from_stamp(stamp)
        if stamp_ns <= 0:
            raise RejectedFrame('stamp_zero', f'the stamp is {stamp_ns} ns; the image is skipped')
        verdict = self._order.classify(stamp_ns)
        if verdict == REPEATED:
            raise RejectedFrame('stamp_repeated', f'an earlier image had the stamp {stamp_ns} ns '
                                'too; the image is skipped')
        if verdict == LATE:
            raise RejectedFrame('stamp_late', late_text(stamp_ns, self._order.lag_s(stamp_ns)))
        return stamp_ns

    def _rgb(self, message, stamp_ns: int) -> np.ndarray:
        """Return the RGB image (H, W, 3) uint8 of an Image or CompressedImage."""
        try:
            if is_compressed(message):
                if image_format := unsupported_format(message):
                    raise RejectedFrame('image_format_unknown', f'the format of the message is '
                                        f'{image_format!r}; expected JPEG or PNG')
                return rgb_from_compressed(message, self._levels, stamp_ns)
            if message.width == 0 or message.height == 0:
                raise RejectedFrame('image_empty',
                                    f'the image is {message.width}x{message.height}')
            if find_encoding(message.encoding) is None:
                raise RejectedFrame('encoding_unknown', f'encoding {message.encoding[:50]!r} is '
                                    f'not one of {", ".join(ENCODINGS)}')
            return rgb_from_image(message, self._levels, stamp_ns)
        except InputError as error:
            raise RejectedFrame('image_invalid', str(error)) from error
