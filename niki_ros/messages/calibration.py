"""
Cameras of images from sensor_msgs/CameraInfo or a calibration file.

As in REP 104, K and P belong to the whole sensor, the region of interest is a part of it, and
binning reduces the part. The names of faults say which fields were ignored or guessed.
"""

import re
from typing import Dict, NamedTuple, Optional, Tuple

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
from niki_ros.scene.lens import parse_distortion
import numpy as np

# images of the same shape differ in their aspect ratio because sizes are whole pixels
_MAX_ASPECT_DIFFERENCE_RATIO = 0.01
# the points of the image, as shares of its size, where a lens model must have an inverse
_CHECKED_POINTS_RATIO = np.array([[0.5, 0.5], [0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]])
# largest error there, as a share of the longer side of the image
_MAX_INVERSE_ERROR_RATIO = 1e-3
_RECTIFIED_TOPIC = re.compile(r'(^|[/_])rect(ified)?([/_]|$)')


class Calibration(NamedTuple):
    """The calibration of a camera, in pixels of the whole sensor."""

    k: np.ndarray  # (3, 3) camera matrix of the raw image
    p: np.ndarray  # (3, 3) that of the rectified image
    width: int
    height: int
    model: str  # of the distortion
    distortion: np.ndarray  # its coefficients D
    roi: Tuple[int, int, int, int] = (0, 0, 0, 0)  # region of interest: x, y, width, height
    binning: Tuple[int, int] = (1, 1)  # factors in x and y
    source: str = 'camera_info'


class _Window(NamedTuple):
    """A part of the sensor in pixels, and the binning of its image."""

    x: int
    y: int
    width: int
    height: int
    bin_x: int = 1
    bin_y: int = 1

    def has_size(self, width: int, height: int) -> bool:
        return (abs(self.width / self.bin_x - width) < 1
                and abs(self.height / self.bin_y - height) < 1)

    def has_shape(self, width: int, height: int) -> bool:
        return (abs(self.width * height - self.height * width)
                <= _MAX_ASPECT_DIFFERENCE_RATIO * width * self.height)


def is_rectified_topic(topic: str) -> bool:
    """Return whether the name of an image topic says rectified, such as left/image_rect."""
    return _RECTIFIED_TOPIC.search(topic) is not None


def is_uncalibrated(message) -> bool:
    """Return whether K and P of a sensor_msgs/CameraInfo are zero."""
    return not any(message.k) and not any(message.p)


def calibration_from_info(message) -> Calibration:
    """Return the calibration in a sensor_msgs/CameraInfo."""
    roi = message.roi
    return Calibration(
        np.array(message.k, dtype=np.float64).reshape(3, 3),
        np.array(message.p, dtype=np.float64).reshape(3, 4)[:, :3],
        int(message.width), int(message.height), str(message.distortion_model),
        np.array(message.d, dtype=np.float64),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        (max(1, int(message.binning_x)), max(1, int(message.binning_y))))


def camera_from_info(message, width: int, height: int) -> Camera:
    """
    Return the camera of the whole sensor of a sensor_msgs/CameraInfo.

    :param width: size in pixels where the message has none, like ``height``.
    """
    calibration = calibration_from_info(message)
    return camera_from_calibration(
        calibration, calibration.width or width, calibration.height or height)[0]


def camera_from_calibration(calibration: Calibration, width: int, height: int,
                            rectified: bool = False) -> Tuple[Camera, Dict[str, str]]:
    """
    Return the camera of images with this size in pixels, and the faults: name → text.

    :param rectified: whether the images are rectified; then P is used, without distortion.
    :raises InputError: when neither K nor P is a camera matrix.
    """
    faults: Dict[str, str] = {}
    region = _region_of_interest(calibration)
    sensor = _Window(0, 0, calibration.width or (region.x + region.width if region else width),
                     calibration.height or (region.y + region.height if region else height))
    camera = _sensor_camera(calibration, sensor, rectified, faults)
    window = _image_window(sensor, region, calibration.binning, width, height)
    if window is None:
        return _camera_of_other_shape(camera, width, height, faults), faults
    if not window.has_size(width, height):
        faults['camera_info_size'] = (f'it is for {window.width}x{window.height}, the image is '
                                      f'{width}x{height}; K is scaled')
    return (camera.cropped(window.x, window.y, window.width, window.height)
            .resized(width, height), faults)


def _region_of_interest(calibration: Calibration) -> Optional[_Window]:
    """Return the region of interest, None where it is the whole sensor or outside of it."""
    x, y, width, height = calibration.roi
    if not width or not height:
        return None
    inside = ((not calibration.width or x + width <= calibration.width)
              and (not calibration.height or y + height <= calibration.height))
    whole = (width, height) == (calibration.width, calibration.height)
    return _Window(x, y, width, height) if inside and not whole else None


def _image_window(sensor: _Window, region: Optional[_Window], binning: Tuple[int, int], width: int,
                  height: int) -> Optional[_Window]:
    """Return the part of the sensor that images of this size show; None where none fits."""
    windows = [sensor] if region is None else [region, sensor]
    binned = [window._replace(bin_x=binning[0], bin_y=binning[1]) for window in windows]
    # some drivers set the binning and send the size after it
    for window in (*binned, *windows):
        if window.has_size(width, height):
            return window
    for window in windows:
        if window.has_shape(width, height) and (window is sensor or width <= window.width):
            return window
    return None


def _sensor_camera(calibration: Calibration, sensor: _Window, rectified: bool,
                   faults: Dict[str, str]) -> Camera:
    """Return the camera of the whole sensor, by K and D or by P, and add to the faults."""
    size = sensor.width, sensor.height
    k, p, source = calibration.k, calibration.p, calibration.source
    model, distortion, reason = parse_distortion(calibration.model, calibration.distortion)
    use_p = _is_unset(k) or (rectified and not _is_unset(p))
    matrix, other = (p, k) if use_p else (k, p)
    if not _is_camera_matrix(matrix, size) and _is_camera_matrix(other, size):
        if not _is_unset(matrix):
            faults['camera_info_invalid'] = (
                f'{"P" if use_p else "K"} is {matrix.tolist()}, which is no camera matrix; '
                f'{"K" if use_p else "P"} is used')
        use_p, matrix = not use_p, other
    # where neither is one, Camera refuses K with a text
    camera = Camera(k if _is_unset(matrix) else matrix, *size, source=source)
    if use_p and not rectified and distortion.any():
        faults['camera_info_distortion'] = 'K cannot be used; P is used, without D'
    if use_p or rectified:
        return camera
    distorted = Camera(camera.matrix, *size, distortion, model, source)
    if not reason and not _has_inverse(distorted):
        reason = (f'the lens model ({model}, D {distortion.tolist()}) has no inverse half way to '
                  'the border of the image')
        distorted = camera
    if reason:
        faults['camera_info_distortion'] = (
            f'{reason}; K is used, D is '
            + ('used in part' if distorted.distortion.any() else 'ignored'))
    return distorted


def _is_unset(matrix: np.ndarray) -> bool:
    """Return whether a matrix is zero or the identity, which drivers send without calibration."""
    return not matrix.any() or np.array_equal(matrix, np.eye(3))


def _is_camera_matrix(matrix: np.ndarray, size: Tuple[int, int]) -> bool:
    """Return whether a (3, 3) matrix can belong to images of this size in pixels."""
    try:
        Camera(matrix, *size)
    except InputError:
        return False
    return True


def _has_inverse(camera: Camera) -> bool:
    """Return whether projection inverts the rays of the inner half of the image."""
    pixels = _CHECKED_POINTS_RATIO * [camera.width, camera.height]
    error_px = np.abs(camera.project(camera.rays(pixels)) - pixels)
    return bool(error_px.max() < _MAX_INVERSE_ERROR_RATIO * max(camera.width, camera.height))


def _camera_of_other_shape(camera: Camera, width: int, height: int,
                           faults: Dict[str, str]) -> Camera:
    """Return the likeliest camera: rotated by 90 degrees, or cropped around the centre."""
    k = camera.matrix
    rotated = (width, height) == (camera.height, camera.width)
    faults['camera_info_shape'] = (
        f'it is for {camera.width}x{camera.height}, the image is {width}x{height}, another shape; '
        f'the image is assumed to be {"rotated by 90 degrees" if rotated else "its centre"}')
    if rotated:
        matrix = np.array([[k[1, 1], 0, width / 2], [0, k[0, 0], height / 2], [0, 0, 1.0]])
    else:
        scale = max(width / camera.width, height / camera.height)
        # in pixels of the calibration
        crop_width, crop_height = width / scale, height / scale
        crop = camera.cropped((camera.width - crop_width) / 2, (camera.height - crop_height) / 2,
                              max(1, round(crop_width)), max(1, round(crop_height)))
        matrix = np.diag([scale, scale, 1.0]) @ crop.matrix
    return Camera(matrix, width, height, camera.distortion, camera.model, camera.source)
