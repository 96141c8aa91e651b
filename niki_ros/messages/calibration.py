"""
The camera of images of a size, by what a driver or a file says of it.

As REP 104 has it: K and P are those of the whole sensor, the region of interest is a part of it,
binning makes the part smaller. Whatever can be used is used, and what had to be left out or
guessed gets a name.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
from niki_ros.scene.lens import lens_of
import numpy as np

# of one shape, for all that sizes are rounded to whole pixels
_SAME_SHAPE = 0.01
# where a lens must hold: half way to the borders; and by how much of the image
_HALF_WAY = np.array([[0.5, 0.5], [0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]])
_HOLDS = 1e-3
_RECTIFIED = re.compile(r'(^|[/_])rect(ified)?([/_]|$)')


class Calibration(NamedTuple):
    """What is known of a camera, in pixels of the whole sensor."""

    k: np.ndarray
    p: np.ndarray
    width: int
    height: int
    model: str
    distortion: np.ndarray
    roi: Tuple[int, int, int, int] = (0, 0, 0, 0)
    binning: Tuple[int, int] = (1, 1)
    source: str = 'camera_info'


class _Window(NamedTuple):
    """A part of the sensor, and how many of its pixels become one."""

    x: int
    y: int
    width: int
    height: int
    bin_x: int = 1
    bin_y: int = 1

    def gives(self, width: int, height: int) -> bool:
        """Whether images of it have this size."""
        return (abs(self.width / self.bin_x - width) < 1
                and abs(self.height / self.bin_y - height) < 1)

    def has_shape(self, width: int, height: int) -> bool:
        """Whether images of it have this shape, whatever their size."""
        return abs(self.width * height - self.height * width) <= _SAME_SHAPE * width * self.height


def rectified_by_name(topic: str) -> bool:
    """Whether a topic's name says that its images are rectified, such as left/image_rect."""
    return _RECTIFIED.search(topic) is not None


def calibration_of_info(message) -> Calibration:
    """Return what a sensor_msgs/CameraInfo says."""
    roi = message.roi
    return Calibration(
        np.array(message.k, dtype=np.float64).reshape(3, 3),
        np.array(message.p, dtype=np.float64).reshape(3, 4)[:, :3],
        int(message.width), int(message.height), str(message.distortion_model),
        np.array(message.d, dtype=np.float64),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        (max(1, int(message.binning_x)), max(1, int(message.binning_y))))


def camera_of(known: Calibration, width: int, height: int,
              rectified: bool = False) -> Tuple[Camera, Dict[str, str]]:
    """
    Return the camera of images of this size, and by name what is not as it should be.

    :param rectified: the images are: P counts, and there is no distortion.
    :raises InputError: where K, or what stands in for it, is no camera's.
    """
    faults: Dict[str, str] = {}
    part = _part(known)
    whole = _Window(0, 0, known.width or (part.x + part.width if part else width),
                    known.height or (part.y + part.height if part else height))
    camera = _camera_of_sensor(known, whole, rectified, faults)
    window = _window_of(whole, part, known.binning, width, height)
    if window is None:
        return _of_another_shape(camera, width, height, faults), faults
    if not window.gives(width, height):
        faults['camera_info_size'] = (f'it is for {window.width}x{window.height}, the image is '
                                      f'{width}x{height}; K is scaled')
    return (camera.cropped(window.x, window.y, window.width, window.height)
            .resized(width, height), faults)


def _part(known: Calibration) -> Optional[_Window]:
    """Return the region of interest, None where it is the whole sensor or not on it."""
    x, y, width, height = known.roi
    if not width or not height:
        return None
    inside = ((not known.width or x + width <= known.width)
              and (not known.height or y + height <= known.height))
    same = (width, height) == (known.width, known.height)
    return _Window(x, y, width, height) if inside and not same else None


def _window_of(whole: _Window, part: Optional[_Window], binning, width: int,
               height: int) -> Optional[_Window]:
    """Return the part of the sensor that images of this size show; None where no part fits."""
    parts: List[_Window] = [] if part is None else [part]
    binned = [one._replace(bin_x=binning[0], bin_y=binning[1]) for one in (*parts, whole)]
    # a driver may say that it bins, and give the size after it
    for one in (*binned, *parts, whole):
        if one.gives(width, height):
            return one
    for one in (*parts, whole):
        if one.has_shape(width, height) and (one is whole or width <= one.width):
            return one
    return None


def _camera_of_sensor(known: Calibration, whole: _Window, rectified: bool,
                      faults: Dict[str, str]) -> Camera:
    """Return the camera of the whole sensor: of K with D, or of P, which has none."""
    size = whole.width, whole.height
    model, distortion, wrong = lens_of(known.model, known.distortion)
    use_p = _is_empty(known.k) or (rectified and not _is_empty(known.p))
    used, other = (known.p, known.k) if use_p else (known.k, known.p)
    if not _is_camera(used, size) and _is_camera(other, size):
        if not _is_empty(used):
            faults['camera_info_invalid'] = (
                f'{"P" if use_p else "K"} is {used.tolist()}, that of no camera; '
                f'{"K" if use_p else "P"} is used')
        use_p, used = not use_p, other
    # K is refused with a text where neither is a camera's
    matrix = known.k if _is_empty(used) else used
    camera = Camera(matrix, *size, source=known.source)
    if use_p and not rectified and distortion.any():
        faults['camera_info_distortion'] = 'K cannot be used; P is, and D is left out'
    if use_p or rectified:
        return camera
    lens = Camera(matrix, *size, distortion, model, known.source)
    if not wrong and not _holds(lens):
        wrong = f'by D ({model}, {distortion.tolist()}) the lens sees nothing half way to the edge'
        lens = camera
    if wrong:
        faults['camera_info_distortion'] = (
            f'{wrong}; K is kept, D '
            + ('counts in part' if lens.distortion.any() else 'is left out'))
    return lens


def _is_empty(matrix) -> bool:
    """Whether a driver filled nothing in: zeros, or an identity that means nothing either."""
    return not matrix.any() or np.array_equal(matrix, np.eye(3))


def _is_camera(matrix, size: Tuple[int, int]) -> bool:
    """Whether a matrix can be that of images of this size."""
    try:
        Camera(matrix, *size)
    except InputError:
        return False
    return True


def _holds(camera: Camera) -> bool:
    """Whether the lens looks somewhere in the inner half of the image, and back."""
    pixels = _HALF_WAY * [camera.width, camera.height]
    off = np.abs(camera.project(camera.rays(pixels)) - pixels)
    return bool(off.max() < _HOLDS * max(camera.width, camera.height))


def _of_another_shape(camera: Camera, width: int, height: int, faults: Dict[str, str]) -> Camera:
    """Return the likeliest camera: turned by a quarter, or cut out of the middle."""
    said = (f'it is for {camera.width}x{camera.height}, the image is {width}x{height}: another '
            'shape; ')
    k = camera.matrix
    if (width, height) == (camera.height, camera.width):
        faults['camera_info_shape'] = said + 'taken as turned by a quarter'
        turned = np.array([[k[1, 1], 0, width / 2], [0, k[0, 0], height / 2], [0, 0, 1.0]])
        return Camera(turned, width, height, camera.distortion, camera.model, camera.source)
    scale = max(width / camera.width, height / camera.height)
    faults['camera_info_shape'] = said + 'taken as cut out of the middle of it'
    # in pixels of the calibration
    wide, high = width / scale, height / scale
    cut = camera.cropped((camera.width - wide) / 2, (camera.height - high) / 2,
                         max(1, round(wide)), max(1, round(high)))
    fit = np.diag([scale, scale, 1.0]) @ cut.matrix
    return Camera(fit, width, height, camera.distortion, camera.model, camera.source)
