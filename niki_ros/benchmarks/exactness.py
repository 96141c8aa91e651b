"""
How far an engine is from the FP32 graph, on inputs as they are in use.

Both run on the same inputs. A solver is measured on poses of real people: rotations as they are,
and millimetres of the 29 joints after forward kinematics on the mean body, where errors along a
limb add up. The networks of the front end are measured on pictures: landmarks in pixels of the
crop and in millimetres, a detector in pixels of its input and by its score.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from niki_ros.backends.engine import Engine
from niki_ros.benchmarks.check_images import check_images, crops, letterboxed
from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import angle_rad, rotmat_from_rot6d
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError, ModelError
from niki_ros.lifters.window import AGES_S
from niki_ros.models.model_folder import (
    MANIFEST,
    ModelFolder,
    read_model_folder,
    shipped_models,
    write_file,
)
import numpy as np

COUNT = 1000
LIMITS = {'landmarks': {'mm': 1.0, 'px': 0.25}, 'nanodet': {'px': 0.5, 'score': 0.01},
          '': {'mm': 0.5}}
"""Largest 99th percentile of each measure, by kind of model; '' = every other kind."""
PICTURES = {'landmarks': crops, 'nanodet': letterboxed}
"""What networks that are given pictures make of them."""
BOX_M = 2.2
"""HybrIK's heat map is this deep; its u, v and d are shares of it."""
LANDMARKS = 33
FLAG, SEEN = 0.5, 0.3
"""Crops with a lower flag, and cells with a lower score, say nothing about a person."""
_AWAY_M = 3.0
_MAX_POSES_BYTES = 64 << 20
_FRAME_NS = 33_333_333


def limits_of(manifest: dict, first: Optional[float] = None) -> Dict[str, float]:
    """Return the largest 99th percentiles for a model; ``first`` replaces that of the first."""
    limits = dict(LIMITS.get(manifest['kind'], LIMITS['']))
    if first is not None:
        limits[next(iter(limits))] = first
    return limits


def samples(manifest: dict, poses: Optional[str] = None, images: Optional[str] = None,
            count: int = COUNT) -> Dict[str, np.ndarray]:
    """
    Return what a model is checked with: poses, or pictures as it is given them.

    :param poses: see :func:`check_poses`. :param images: a folder of one's own pictures.
    :param count: at most so many.
    """
    make = PICTURES.get(manifest['kind'])
    if make is None:
        return check_poses(poses, min(count, 16) if 'hybrik' in manifest['kind'] else count)
    return {'image': make(check_images(images), int(manifest.get('size_px', 0)))[:count]}


def check_poses(file: Optional[str] = None, count: int = COUNT) -> Dict[str, np.ndarray]:
    """
    Return observations of real people: ``joints_m`` (n, 29, 3) and ``sigma`` (n, 29), float32.

    :param file: an ``.npz`` with these two arrays; None = the set that ships.
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
    Make an engine's inputs from ``poses``, by their names.

    Joints and sigma are the poses'; what the poses do not have (twist, betas, images, state) is
    drawn with a fixed seed in its usual range.
    """
    rng = np.random.RandomState(0)
    n = len(poses['sigma'])
    known = {'joints': poses['joints_m'], 'joints_m': poses['joints_m'], 'sigma': poses['sigma'],
             **_windows(poses)}
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


def _windows(poses: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return what the lifter is given of people who stand still ``_AWAY_M`` before a camera."""
    points = poses['joints_m'][:, JOINT_OF_KEYPOINT].astype(np.float64)
    points = points - points[:, :2].mean(1, keepdims=True)
    count = len(AGES_S)
    rays = points[..., :2] / (points[..., 2:] + _AWAY_M)
    seen = 1.0 - poses['sigma'][:, JOINT_OF_KEYPOINT]
    return {'rays': np.repeat(rays[:, None], count, 1), 'seen': np.repeat(seen[:, None], count, 1),
            'guess': np.repeat(points[:, None, :, 2], count, 1)}


def run_in_portions(engine: Engine, inputs: dict, size: int = 64) -> dict:
    """Run many rows a portion at a time, so that memory stays small."""
    n = len(next(iter(inputs.values())))
    parts = [engine.run({k: v[i:i + size] for k, v in inputs.items()}) for i in range(0, n, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def errors(reference: dict, outputs: dict) -> Dict[str, np.ndarray]:
    """
    Return the differences by measure: ``mm``, ``deg`` of rotations, ``px``, ``score``.

    :raises ModelError: when there is nothing to compare in the outputs.
    """
    a, b = _rotmat(reference), _rotmat(outputs)
    if a is not None and b is not None:
        offsets = open_skeleton().offsets()
        joints = [forward_kinematics(r, offsets)[0] for r in (a, b)]
        return {'mm': 1e3 * np.linalg.norm(joints[0] - joints[1], axis=-1).ravel(),
                'deg': np.degrees(angle_rad(a, b)).ravel()}
    if {'joints', 'spread'} <= set(reference):
        off = np.linalg.norm(reference['joints'] - outputs['joints'], axis=-1)
        return {'mm': 1e3 * off.ravel()}
    if 'uvd' in reference:
        off = np.linalg.norm(reference['uvd'] - outputs['uvd'], axis=-1)
        return {'mm': 1e3 * BOX_M * off.ravel()}
    if {'landmarks', 'world', 'flag'} <= set(reference):
        return _landmark_errors(reference, outputs)
    if {'scores', 'distances'} <= set(reference):
        return _box_errors(reference, outputs)
    raise ModelError(f'the outputs ({", ".join(reference)}) hold no rotations (rotmat, rot6d), '
                     'uvd, landmarks or boxes: there is nothing to compare')


def _landmark_errors(reference: dict, outputs: dict) -> Dict[str, np.ndarray]:
    """Compare the crops in which the network sees a person; nothing uses the others."""
    seen = reference['flag'].ravel() >= FLAG
    if not seen.any():
        raise InputError('the network sees no person in the pictures: there is nothing to compare')
    n = len(seen)
    world = [o['world'].reshape(n, -1, 3)[seen, :LANDMARKS] for o in (reference, outputs)]
    image = [o['landmarks'].reshape(n, -1, 5)[seen, :LANDMARKS, :2] for o in (reference, outputs)]
    return {'mm': 1e3 * np.linalg.norm(world[0] - world[1], axis=-1).ravel(),
            'px': np.linalg.norm(image[0] - image[1], axis=-1).ravel(),
            'score': np.abs(reference['flag'] - outputs['flag']).ravel()}


def _box_errors(reference: dict, outputs: dict) -> Dict[str, np.ndarray]:
    """Compare the cells that see a person: four edges in pixels, and the score."""
    from niki_ros.observers.detectors import NanoDet, reach_px
    scores = [o['scores'] for o in (reference, outputs)]
    seen = np.maximum(*scores) >= SEEN
    if not seen.any():
        raise InputError('the detector sees no person in the pictures: nothing can be compared')
    _, stride_px = NanoDet.cells_px()
    if len(stride_px) != seen.shape[1]:
        raise ModelError(f'{seen.shape[1]} cells are not those of {NanoDet.input_px} pixels in '
                         f'strides of {NanoDet.STRIDES}')
    side_px = stride_px[np.nonzero(seen)[1]]
    edges = [reach_px(o['distances'].reshape(*seen.shape, -1)[seen], side_px)
             for o in (reference, outputs)]
    return {'px': np.abs(edges[0] - edges[1]).ravel(),
            'score': np.abs(scores[0] - scores[1])[seen]}


def summary(values: np.ndarray) -> Dict[str, float]:
    """Return maximum, 99th percentile and mean, to four significant digits."""
    facts = {'max': values.max(), 'p99': np.percentile(values, 99), 'mean': values.mean()}
    return {name: float(f'{value:.4g}') for name, value in facts.items()}


def answers(engine: Engine, given: Dict[str, np.ndarray], manifest: dict) -> dict:
    """
    Return what a model makes of :func:`samples`.

    A solver's graph is run by its solver, without the refinement that would hide errors; one with
    memory runs through the poses as one person's frames, so that its errors add up.
    """
    if manifest['kind'] in PICTURES:
        return run_in_portions(engine, given, 4)
    if 'condition' not in {spec.name for spec in engine.inputs}:
        return run_in_portions(engine, engine_inputs(engine, given))
    from niki_ros.solvers.niki import NikiSolver
    solver = NikiSolver(engine, manifest, refine=False)
    if not solver.temporal:
        return {'rotmat': solver.solve(**given).rotmat}
    track = solver.start_track()
    steps = enumerate(zip(given['joints_m'], given['sigma']))
    return {'rotmat': np.stack([track.step(j, s, i * _FRAME_NS).rotmat for i, (j, s) in steps])}


def compare(reference: Engine, engine: Engine, given: Dict[str, np.ndarray],
            manifest: dict) -> Dict[str, Any]:
    """Return ``{'mm': {max, p99, mean}, …, 'poses' or 'pictures': n}`` between two engines."""
    return _facts(answers(reference, given, manifest), answers(engine, given, manifest), given)


def over_limits(facts: Dict[str, Any], limits: Dict[str, float]) -> list:
    """Name the measures whose 99th percentile is above its limit, or no number."""
    return [name for name, limit in limits.items() if not facts[name]['p99'] <= limit]


def find_cast(folder: ModelFolder, given: Dict[str, np.ndarray], limits: Dict[str, float],
              progress: Callable[[str], None] = lambda line: None) -> tuple:
    """
    Find the FP16 graph of a folder: what stays in FP32 so that its errors keep the limits.

    :param given: see :func:`samples`. :param limits: see :func:`limits_of`.
    :return: the graph, and ``fp32_islands`` and ``error`` (rounded as a GPU does it).
    """
    from niki_ros.backends import load_engine
    from niki_ros.backends.half_graph import emulated_graph, find_half_graph
    manifest, graph = folder.manifest, folder.load_graph('fp32')
    wanted = answers(load_engine(graph), given, manifest)

    def measured(half: bytes) -> Dict[str, Any]:
        return _facts(wanted, answers(load_engine(half), given, manifest), given)

    def share_of_limits(half: bytes) -> float:
        facts = measured(half)
        return max(facts[name]['p99'] / most for name, most in limits.items())

    progress('errors are 99th percentiles in shares of the limits: '
             + ', '.join(f'{most:g} {name}' for name, most in limits.items()))
    half, _, islands = find_half_graph(graph, share_of_limits, 1.0, progress)
    return half, {'fp32_islands': islands, 'error': measured(emulated_graph(graph, islands))}


def with_half_graph(folder: ModelFolder, limit: Optional[float] = None,
                    poses: Optional[str] = None, images: Optional[str] = None,
                    progress: Callable[[str], None] = lambda line: None) -> ModelFolder:
    """
    Cast a folder's FP32 graph to FP16; put it in the same folder, with its measured error.

    :param limit: of the first measure; None = as in :data:`LIMITS`.
    :param poses: and ``images``: see :func:`samples`. :return: the folder with both graphs.
    """
    from niki_ros.models.model_folder import add_graph
    given = samples(folder.manifest, poses, images, 200)
    half, facts = find_cast(folder, given, limits_of(folder.manifest, limit), progress)
    return add_graph(folder, 'fp16', half, facts)


def _facts(reference: dict, outputs: dict, given: dict) -> Dict[str, Any]:
    found = errors(reference, outputs)
    facts: Dict[str, Any] = {name: summary(values) for name, values in found.items()}
    return {**facts, **({'pictures': len(given['image'])} if 'image' in given
                        else {'poses': len(given['sigma'])})}


def note_errors(folder: ModelFolder, results: Dict[str, Any]) -> ModelFolder:
    """Put measured errors, such as ``{'onnxruntime-fp16': compare(…)}``, into the manifest."""
    known = {**folder.manifest.get('engine_error', {}), **results}
    text = json.dumps({**folder.manifest, 'engine_error': known}, indent=1) + '\n'
    write_file(folder.path / MANIFEST, text.encode())
    return read_model_folder(folder.path)


def _rotmat(outputs: dict) -> Optional[np.ndarray]:
    """Return the rotations (n, 24, 3, 3) that are among the outputs of a graph."""
    if 'rotmat' in outputs:
        return outputs['rotmat'].reshape(-1, 24, 3, 3).astype(np.float64)
    for name in ('rot6d', 'six'):
        if name in outputs:
            return rotmat_from_rot6d(outputs[name].reshape(-1, 24, 6))
    return None
