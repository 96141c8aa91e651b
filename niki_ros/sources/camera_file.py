"""Camera files, as camera_calibration of ROS writes and camera_info_manager reads them."""

import logging
from pathlib import Path
import re

from niki_ros.common.errors import InputError
from niki_ros.messages.calibration import Calibration, camera_from_calibration
from niki_ros.scene.camera import Camera
from niki_ros.sources.frame_source import FrameSource
import numpy as np
import yaml

_LOG = logging.getLogger(__name__)
_MAX_ASPECT_ERROR_RATIO = 0.01
# the first line of files of OpenCV's FileStorage, which is not YAML
_OPENCV_HEAD = re.compile(r'\A%YAML:1\.\d+\s*\n')


class _Loader(yaml.SafeLoader):
    """Loader of YAML with the matrices of OpenCV's FileStorage."""


yaml.add_constructor('tag:yaml.org,2002:opencv-matrix', yaml.SafeLoader.construct_yaml_map,
                     _Loader)


def camera_from_yaml(path, rectified: bool = False) -> Camera:
    """
    Read a calibration; a distortion that cannot be used is logged and ignored.

    :param rectified: the images are rectified: the projection matrix, without distortion.
    :raises InputError: with the file and the key that is missing or wrong.
    """
    data = _read_mapping(path)
    matrix = _numbers(path, data, 'camera_matrix', lengths=(9,)).reshape(3, 3)
    distortion = np.zeros(0)
    if data.get('distortion_coefficients') is None:
        _LOG.warning('camera file %s has no distortion_coefficients: none is assumed', path)
    else:
        distortion = _numbers(path, data, 'distortion_coefficients', lengths=range(0, 33))
    width, height = (_size(path, data, key) for key in ('image_width', 'image_height'))
    # older files have the key camera_model
    model = str(data.get('distortion_model', data.get('camera_model')) or '')
    projection = np.zeros((3, 3))
    if rectified or data.get('projection_matrix') is not None:
        projection = _numbers(path, data, 'projection_matrix', (12,)).reshape(3, 4)[:, :3]
    try:
        camera, faults = camera_from_calibration(
            Calibration(matrix, projection, width, height, model, distortion, source='file'),
            width, height, rectified)
    except InputError as error:
        raise InputError(f'camera file {path}: {error}') from error
    for text in faults.values():
        _LOG.warning('camera file %s: %s', path, text)
    return camera


def camera_for_source(path, source: FrameSource, rectified: bool = False) -> Camera:
    """
    Read a calibration and scale it to the size of the images of a source.

    :raises InputError: also for another aspect ratio: the cropped part of the image is unknown.
    """
    camera = camera_from_yaml(path, rectified)
    wide = camera.width * source.height
    if abs(wide - camera.height * source.width) > _MAX_ASPECT_ERROR_RATIO * wide:
        raise InputError(f'{path} is for {camera.width}x{camera.height}, {source.name} has '
                         f'{source.width}x{source.height}, another aspect ratio; calibrate at '
                         'this size')
    return camera.resized(source.width, source.height)


def _read_mapping(path) -> dict:
    try:
        data = yaml.load(_OPENCV_HEAD.sub('', Path(path).read_text('utf-8')), _Loader)
    except OSError as error:
        raise InputError(f'camera file {path} cannot be read: {error.strerror}') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f'camera file {path} is not YAML: {" ".join(str(error).split())}'
                         ) from error
    if not isinstance(data, dict):
        raise InputError(f'camera file {path} is not a mapping; expected the output of '
                         'camera_calibration with image_width, camera_matrix, …')
    return data


def _numbers(path, data, key, lengths) -> np.ndarray:
    """Return ``data[key]['data']`` as an array (n,) whose length is one of ``lengths``."""
    try:
        values = np.asarray(data[key]['data'], dtype=np.float64).ravel()
    except KeyError as error:
        raise InputError(f'camera file {path} lacks {key}.data') from error
    except (TypeError, ValueError) as error:
        raise InputError(f'camera file {path}: {key}.data is not a list of numbers') from error
    if len(values) not in lengths:
        raise InputError(f'camera file {path}: {key}.data has {len(values)} numbers; expected '
                         f'{lengths[-1] if len(lengths) == 1 else f"at most {lengths[-1]}"}')
    return values


def _size(path, data, key) -> int:
    """Return ``data[key]``, a positive integer number of pixels."""
    value = data.get(key)
    if type(value) is not int or value <= 0:
        raise InputError(f'camera file {path}: {key} is {value!r}; expected a number of pixels')
    return value
