"""
How far an engine is from the FP32 graph, in millimetres and degrees, on real poses.

Both run on the same inputs. Rotations are compared as they are; millimetres are those of the 29
joints after forward kinematics on the mean body, where errors along a limb add up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Optional

from niki_ros.backends.engine import Engine
from niki_ros.core.errors import InputError, ModelError
from niki_ros.core.kinematics import forward_kinematics
from niki_ros.core.rotations import angle_rad, rotmat_from_6d
from niki_ros.core.skeleton import open_skeleton
from niki_ros.model_folder import MANIFEST, ModelFolder, read_model_folder, write_file
import numpy as np

COUNT = 1000
LIMIT_MM = 0.5
BOX_M = 2.2
"""HybrIK's heat map is this deep; its u, v and d are shares of it."""
_MAX_POSES_BYTES = 64 << 20
_FRAME_NS = 33_333_333


def check_poses(file: Optional[str] = None, count: int = COUNT) -> Dict[str, np.ndarray]:
    """
    Return observations of real people: ``joints_m`` (n, 29, 3) and ``sigma`` (n, 29), float32.

    :param file: an ``.npz`` with these two arrays; None = the set that ships.
    :raises InputError: when the file has another form.
    """
    path = Path(file) if file else Path(__file__).parent / 'models' / 'check_poses.npz'
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
    known = {'joints': poses['joints_m'], 'joints_m': poses['joints_m'], 'sigma': poses['sigma']}
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


def run_in_portions(engine: Engine, inputs: dict, size: int = 64) -> dict:
    """Run many rows a portion at a time, so that memory stays small."""
    n = len(next(iter(inputs.values())))
    parts = [engine.run({k: v[i:i + size] for k, v in inputs.items()}) for i in range(0, n, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def errors(reference: dict, outputs: dict) -> Dict[str, np.ndarray]:
    """
    Return the differences ``mm`` of every joint and, where there are any, ``deg`` of rotations.

    :raises ModelError: when the outputs hold neither rotations nor ``uvd`` positions.
    """
    a, b = _rotmat(reference), _rotmat(outputs)
    if a is not None and b is not None:
        offsets = open_skeleton().offsets()
        joints = [forward_kinematics(r, offsets)[0] for r in (a, b)]
        return {'mm': 1e3 * np.linalg.norm(joints[0] - joints[1], axis=-1).ravel(),
                'deg': np.degrees(angle_rad(a, b)).ravel()}
    if 'uvd' in reference:
        off = np.linalg.norm(reference['uvd'] - outputs['uvd'], axis=-1)
        return {'mm': 1e3 * BOX_M * off.ravel()}
    raise ModelError(f'the outputs ({", ".join(reference)}) hold no rotations (rotmat, rot6d) and '
                     'no uvd: there is nothing to compare in millimetres')


def summary(values: np.ndarray) -> Dict[str, float]:
    """Return maximum, 99th percentile and mean, to four significant digits."""
    facts = {'max': values.max(), 'p99': np.percentile(values, 99), 'mean': values.mean()}
    return {name: float(f'{value:.4g}') for name, value in facts.items()}


def answers(engine: Engine, poses: Dict[str, np.ndarray], manifest: dict) -> dict:
    """
    Return what a model makes of ``poses``.

    A solver's graph is run by its solver, without the refinement that would hide errors; one with
    memory runs through the poses as one person's frames, so that its errors add up.
    """
    if 'condition' not in {spec.name for spec in engine.inputs}:
        return run_in_portions(engine, engine_inputs(engine, poses))
    from niki_ros.solvers.niki import NikiSolver
    solver = NikiSolver(engine, manifest, refine_pose=False)
    if not solver.temporal:
        return {'rotmat': solver.solve(**poses).rotmat}
    track = solver.start_track()
    steps = enumerate(zip(poses['joints_m'], poses['sigma']))
    return {'rotmat': np.stack([track.step(j, s, i * _FRAME_NS).rotmat for i, (j, s) in steps])}


def compare(reference: Engine, engine: Engine, poses: Dict[str, np.ndarray],
            manifest: dict) -> Dict[str, Any]:
    """Return ``{'mm': {max, p99, mean}, 'deg': {…}, 'poses': n}`` between two engines."""
    found = errors(answers(reference, poses, manifest), answers(engine, poses, manifest))
    facts: Dict[str, Any] = {name: summary(values) for name, values in found.items()}
    facts['poses'] = len(poses['sigma'])
    return facts


def with_half_graph(folder: ModelFolder, limit_mm: float = LIMIT_MM, poses: Optional[str] = None,
                    progress: Callable[[str], None] = lambda line: None) -> ModelFolder:
    """
    Cast a folder's FP32 graph to FP16 and put it beside, with its measured error.

    :param limit_mm: largest 99th percentile of the error. :param poses: see :func:`check_poses`.
    :return: the folder with both graphs.
    """
    from niki_ros.backends import load_engine
    from niki_ros.backends.half_graph import find_half_graph
    from niki_ros.model_folder import add_graph
    graph = folder.load_graph('fp32')
    chosen = check_poses(poses, 4 if 'hybrik' in folder.manifest['kind'] else 200)
    wanted = answers(load_engine(graph), chosen, folder.manifest)

    def error_of(half: bytes) -> float:
        found = answers(load_engine(half), chosen, folder.manifest)
        return summary(errors(wanted, found)['mm'])['p99']

    half, error, islands = find_half_graph(graph, error_of, limit_mm, progress)
    return add_graph(folder, 'fp16', half, {'fp32_islands': islands, 'cast_error_p99_mm': error})


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
            return rotmat_from_6d(outputs[name].reshape(-1, 24, 6))
    return None
