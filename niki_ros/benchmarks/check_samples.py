"""Inputs for the comparison of engines: poses of real people, or images of people."""

from pathlib import Path
from typing import Dict, Optional

from niki_ros.backends.engine import Engine
from niki_ros.benchmarks.check_images import check_images, crops, letterboxed
from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.common.errors import InputError, ModelError
from niki_ros.lifters.window import AGES_S
from niki_ros.models.model_store import shipped_models
import numpy as np

MAX_SAMPLES = 1000
_MAX_HYBRIK_SAMPLES = 16
IMAGE_INPUTS = {'landmarks': crops, 'look': crops, 'nanodet': letterboxed}
"""Kind of a model that is measured on images → the function that makes its input."""
_CAMERA_DISTANCE_M = 3.0
_MAX_POSES_BYTES = 64 << 20


def check_samples(manifest: dict, poses: Optional[str] = None, images: Optional[str] = None,
                  count: int = MAX_SAMPLES) -> Dict[str, np.ndarray]:
    """
    Return the samples for a model: ``image`` (n, 3, size, size), or those of :func:`check_poses`.

    :param poses: see :func:`check_poses`. :param images: folder of images; None = those that ship.
    :param count: largest number of samples.
    """
    make_input = IMAGE_INPUTS.get(manifest['kind'])
    if make_input is not None:
        size_px = int(manifest.get('size_px', 0))
        return {'image': make_input(check_images(images), size_px)[:count]}
    return check_poses(poses, min(count, _MAX_HYBRIK_SAMPLES) if 'hybrik' in manifest['kind']
                       else count)


def check_poses(file: Optional[str] = None, count: int = MAX_SAMPLES) -> Dict[str, np.ndarray]:
    """
    Return observations of real people: ``joints_m`` (n, 29, 3) and ``sigma`` (n, 29), float32.

    :param file: an ``.npz`` with these two arrays; None = the observations that ship.
    :raises InputError: when the file has another form.
    """
    path = Path(file) if file else shipped_models() / 'check_poses.npz'
    if not path.is_file() or path.stat().st_size > _MAX_POSES_BYTES:
        raise InputError(f'{path} is no file of poses; give one: --poses FILE.npz with joints_m '
                         '(N, 29, 3) and sigma (N, 29)')
    try:
        with np.load(path, allow_pickle=False) as data:
            joints, sigma = (data[n].astype(np.float32) for n in ('joints_m', 'sigma'))
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f'{path} holds no joints_m and sigma: {error}') from error
    if joints.ndim != 3 or joints.shape[1:] != (29, 3) or sigma.shape != joints.shape[:2]:
        raise InputError(f'{path}: joints_m {joints.shape}, sigma {sigma.shape}; expected '
                         '(N, 29, 3) and (N, 29)')
    chosen = np.linspace(0, len(joints) - 1, min(count, len(joints))).astype(int)
    return {'joints_m': joints[chosen], 'sigma': np.clip(sigma[chosen], 0, 1)}


def engine_inputs(engine: Engine, poses: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """
    Return an engine's inputs by name, float32, from observations of :func:`check_poses`.

    Inputs that observations do not contain (twist, betas, images, state) are random in their usual
    range, with a fixed seed.
    """
    rng = np.random.RandomState(0)
    n = len(poses['sigma'])
    known = {'joints': poses['joints_m'], 'joints_m': poses['joints_m'], 'sigma': poses['sigma'],
             **_keypoint_windows(poses)}
    inputs = {}
    for spec in engine.inputs:
        shape = (n, *spec.shape[1:])
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise ModelError(f'input {spec.name} has shape {spec.shape}; only the first dimension '
                             'may vary')
        value = known.get(spec.name)
        if value is None or value.size != np.prod(shape):
            value = np.clip(rng.standard_normal(shape), -2, 2)
            if spec.name == 'twist_cos_sin':
                value /= np.linalg.norm(value, axis=-1, keepdims=True)
        inputs[spec.name] = np.asarray(value, np.float32).reshape(shape)
    return inputs


def _keypoint_windows(poses: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return a lifter's inputs for people who stand still ``_CAMERA_DISTANCE_M`` from a camera."""
    points = poses['joints_m'][:, JOINT_OF_KEYPOINT].astype(np.float64)
    points = points - points[:, :2].mean(1, keepdims=True)
    frames = len(AGES_S)
    rays = points[..., :2] / (points[..., 2:] + _CAMERA_DISTANCE_M)
    seen = 1.0 - poses['sigma'][:, JOINT_OF_KEYPOINT]
    return {'rays': np.repeat(rays[:, None], frames, 1),
            'seen': np.repeat(seen[:, None], frames, 1),
            'guess': np.repeat(points[:, None, :, 2], frames, 1)}
