"""The camera file that ROS's camera_calibration writes and camera_info_manager reads."""

from __future__ import annotations

import logging
from pathlib import Path
import re

from niki_ros.common.errors import InputError
from niki_ros.messages.calibration import Calibration, camera_from_calibration
from niki_ros.scene.camera import Camera
import numpy as np
import yaml

_LOG = logging.getLogger(__name__)
_SAME_SHAPE = 0.01
# what OpenCV's FileStorage begins its files with is no YAML
_OPENCV_HEAD = re.compile(r'\A%YAML:1\.\d+\s*\n')


class _Loader(yaml.SafeLoader):
    """YAML, with the matrices that OpenCV's FileStorage writes."""


def _opencv_matrix(loader: _Loader, node: yaml.MappingNode) -> dict:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor('tag:yaml.org,2002:opencv-matrix', _opencv_matrix)


def camera_from_yaml(path, rectified: bool = False) -> Camera:
    """
    Read a calibration; a distortion that cannot be used is left out, and logged.

    :param rectified: the images are: the projection matrix counts, without distortion.
    :raises InputError: naming the file and the key that is missing or wrong.
    """
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
    matrix = _numbers(path, data, 'camera_matrix', lengths=(9,)).reshape(3, 3)
    distortion = np.zeros(0)
    if data.get('distortion_coefficients') is None:
        _LOG.warning('camera file %s has no distortion_coefficients: none is assumed', path)
    else:
        distortion = _numbers(path, data, 'distortion_coefficients', lengths=range(0, 33))
    width, height = (_size(path, data, key) for key in ('image_width', 'image_height'))
    # older files have the latter
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


def camera_for_source(path, source, rectified: bool = False) -> Camera:
    """
    Read a calibration for the images of a source, which may be of another size.

    :param source: a :class:`niki_ros.sources.frame_source.FrameSource`.
    :param rectified: its images are.
    :raises InputError: also where they are of another shape: what was cut off is not known.
    """
    camera = camera_from_yaml(path, rectified)
    wide = camera.width * source.height
    if abs(wide - camera.height * source.width) > _SAME_SHAPE * wide:
        raise InputError(f'{path} is for {camera.width}x{camera.height}, {source.name} has '
                         f'{source.width}x{source.height}: another shape; calibrate at this size')
    return camera.resized(source.width, source.height)


def camera_to_yaml(camera: Camera, path, name: str = 'camera') -> None:
    """Write ``camera`` so that :func:`camera_from_yaml` and camera_info_manager can read it."""
    k = camera.matrix
    projection = np.concatenate([k, np.zeros((3, 1))], axis=1)
    data = {
        'image_width': int(camera.width),
        'image_height': int(camera.height),
        'camera_name': name,
        'camera_matrix': _matrix(k),
        'distortion_model': camera.model,
        'distortion_coefficients': _matrix(camera.distortion[None]),
        'rectification_matrix': _matrix(np.eye(3)),
        'projection_matrix': _matrix(projection),
    }
    Path(path).write_text(yaml.safe_dump(data, sort_keys=False, default_flow_style=None), 'utf-8')


def _matrix(array) -> dict:
    """Return the file's form of a matrix."""
    rows, cols = array.shape
    return {'rows': rows, 'cols': cols, 'data': [float(x) for x in array.ravel()]}


def _numbers(path, data, key, lengths) -> np.ndarray:
    """Return ``data[key]['data']`` as a flat array, or name what is wrong with it."""
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
    """Return a whole number of pixels."""
    value = data.get(key)
    if type(value) is not int or value <= 0:
        raise InputError(f'camera file {path}: {key} is {value!r}; expected a number of pixels')
    return value
