"""
The error of an engine against the FP32 graph, on inputs as they are in use.

A solver is measured on poses of real people: its rotations without refinement, and the 29 joints
in millimetres after forward kinematics on the mean body, where errors along a limb add up. The
networks of the front end are measured on images: landmarks in pixels of the crop and in
millimetres, a detector in pixels of its input and by its score.
"""

from typing import Any, Dict, List, Optional

from niki_ros.backends.engine import Engine
from niki_ros.benchmarks.check_samples import engine_inputs, IMAGE_INPUTS
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import angle_rad, rotmat_from_rot6d
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError, ModelError
import numpy as np

Arrays = Dict[str, np.ndarray]

LIMITS = {'landmarks': {'mm': 1.0, 'px': 0.25}, 'look': {'mm': 2.0, 'px': 0.25},
          'nanodet': {'px': 0.5, 'score': 0.01}, '': {'mm': 0.5}}
"""Largest 99th percentile of each measure, by kind of model; '' = every other kind."""
INT8_LIMITS = {'px': 10.0, 'score': 0.1}
"""The same of INT8 graphs: a search for people needs no exact boxes."""
HEATMAP_DEPTH_M = 2.2
"""Depth of HybrIK's heat map; its outputs u, v and d are ratios of it."""
LANDMARKS_COUNT = 33
"""Landmarks of a body; the network's further points describe the crop."""
MIN_FLAG, MIN_CELL_SCORE = 0.5, 0.3
"""Crops with a lower flag, and cells with a lower score, contain no person."""
_FRAME_PERIOD_NS = 33_333_333
_MAX_POSES_PER_RUN, _MAX_IMAGES_PER_RUN = 64, 4


def limits_of(manifest: dict, first: Optional[float] = None,
              precision: str = 'fp32') -> Dict[str, float]:
    """Return the limits for a model by measure; ``first`` replaces that of the first measure."""
    limits = dict(INT8_LIMITS if precision == 'int8'
                  else LIMITS.get(manifest['kind'], LIMITS['']))
    if first is not None:
        limits[next(iter(limits))] = first
    return limits


def over_limits(facts: Dict[str, Any], limits: Dict[str, float]) -> List[str]:
    """Return the measures whose 99th percentile is above its limit, or is NaN."""
    return [name for name, limit in limits.items() if not facts[name]['p99'] <= limit]


def compare(reference: Engine, engine: Engine, samples: Arrays, manifest: dict) -> Dict[str, Any]:
    """
    Compare an engine with a reference engine of the same model on :func:`check_samples`.

    :return: ``{'mm': {'max', 'p99', 'mean'}, …}``, and the number of ``poses`` or ``pictures``.
    """
    return compare_outputs(model_outputs(reference, samples, manifest),
                           model_outputs(engine, samples, manifest), samples)


def compare_outputs(reference: Arrays, outputs: Arrays, samples: Arrays) -> Dict[str, Any]:
    """Return the errors of outputs of :func:`model_outputs` as :func:`compare` does."""
    facts: Dict[str, Any] = {name: summary(values)
                             for name, values in errors(reference, outputs).items()}
    if 'image' in samples:
        return {**facts, 'pictures': len(samples['image'])}
    return {**facts, 'poses': len(samples['sigma'])}


def model_outputs(engine: Engine, samples: Arrays, manifest: dict) -> Arrays:
    """
    Return the outputs of a model by name.

    A solver's graph is run by its solver, without the refinement, which would hide errors. A
    temporal solver takes the poses as frames of one person, so that its errors add up.
    """
    if manifest['kind'] in IMAGE_INPUTS:
        return _run_in_portions(engine, samples, _MAX_IMAGES_PER_RUN)
    if 'condition' not in {spec.name for spec in engine.inputs}:
        return _run_in_portions(engine, engine_inputs(engine, samples), _MAX_POSES_PER_RUN)
    from niki_ros.solvers.niki import NikiSolver
    solver = NikiSolver(engine, manifest, refine=False)
    if not solver.temporal:
        return {'rotmat': solver.solve(**samples).rotmat}
    track = solver.start_track()
    steps = enumerate(zip(samples['joints_m'], samples['sigma']))
    return {'rotmat': np.stack([track.step(joints, sigma, i * _FRAME_PERIOD_NS).rotmat
                                for i, (joints, sigma) in steps])}


def errors(reference: Arrays, outputs: Arrays) -> Arrays:
    """Return absolute differences (n,): ``mm``, ``deg`` of rotations, ``px`` and ``score``."""
    a, b = _rotmat(reference), _rotmat(outputs)
    if a is not None and b is not None:
        offsets = open_skeleton().offsets()
        joints = [forward_kinematics(rotmat, offsets)[0] for rotmat in (a, b)]
        return {'mm': _distances_mm(*joints), 'deg': np.degrees(angle_rad(a, b)).ravel()}
    if {'joints', 'spread'} <= set(reference):
        return {'mm': _distances_mm(reference['joints'], outputs['joints'])}
    if 'uvd' in reference:
        return {'mm': HEATMAP_DEPTH_M * _distances_mm(reference['uvd'], outputs['uvd'])}
    if {'joints', 'uv', 'present'} <= set(reference):
        return _look_errors(reference, outputs)
    if {'landmarks', 'world', 'flag', 'peaks'} <= set(reference):
        return _landmark_errors(reference, outputs)
    if {'scores', 'distances'} <= set(reference):
        return _box_errors(reference, outputs)
    raise ModelError(f'the outputs ({", ".join(reference)}) contain no rotations (rotmat, rot6d), '
                     'uvd, landmarks or boxes: nothing can be compared')


def summary(values: np.ndarray) -> Dict[str, float]:
    """Return maximum, 99th percentile and mean of values (n,), to four significant digits."""
    facts = {'max': values.max(), 'p99': np.percentile(values, 99), 'mean': values.mean()}
    return {name: float(f'{value:.4g}') for name, value in facts.items()}


def _with_person(probability: np.ndarray) -> np.ndarray:
    """Return which of the crops (n,) contain a person, at least one."""
    seen = probability.ravel() >= MIN_FLAG
    if not seen.any():
        raise InputError('the network finds no person in the images: nothing can be compared')
    return seen


def _look_errors(reference: Arrays, outputs: Arrays) -> Arrays:
    """Compare the joints of crops that contain a person."""
    from niki_ros.observers.view_network import SIZE_PX
    seen = _with_person(reference['present'])
    uv_px = [SIZE_PX * o['uv'][seen] for o in (reference, outputs)]
    return {'mm': _distances_mm(reference['joints'][seen], outputs['joints'][seen]),
            'px': np.linalg.norm(uv_px[0] - uv_px[1], axis=-1).ravel(),
            'score': np.abs(reference['present'] - outputs['present']).ravel()}


def _landmark_errors(reference: Arrays, outputs: Arrays) -> Arrays:
    """Compare the landmarks, at their peaks, of crops that contain a person."""
    seen = _with_person(reference['flag'])
    n = len(seen)
    world = [o['world'].reshape(n, -1, 3)[seen, :LANDMARKS_COUNT] for o in (reference, outputs)]
    image = [o['landmarks'].reshape(n, -1, 5)[seen, :LANDMARKS_COUNT, :2]
             + o['peaks'].reshape(n, -1, 3)[seen, :, :2] for o in (reference, outputs)]
    return {'mm': _distances_mm(*world),
            'px': np.linalg.norm(image[0] - image[1], axis=-1).ravel(),
            'score': np.abs(reference['flag'] - outputs['flag']).ravel()}


def _box_errors(reference: Arrays, outputs: Arrays) -> Arrays:
    """Compare the cells that contain a person: four edges in pixels, and the score."""
    from niki_ros.observers.detectors import NanoDet, reach_px
    scores = [o['scores'] for o in (reference, outputs)]
    seen = np.maximum(*scores) >= MIN_CELL_SCORE
    if not seen.any():
        raise InputError('the detector finds no person in the images: nothing can be compared')
    _, stride_px = NanoDet.cells_px()
    if len(stride_px) != seen.shape[1]:
        raise ModelError(f'{seen.shape[1]} cells are not those of {NanoDet.input_px} pixels in '
                         f'strides of {NanoDet.STRIDES}')
    side_px = stride_px[np.nonzero(seen)[1]]
    edges = [reach_px(o['distances'].reshape(*seen.shape, -1)[seen], side_px)
             for o in (reference, outputs)]
    return {'px': np.abs(edges[0] - edges[1]).ravel(),
            'score': np.abs(scores[0] - scores[1])[seen]}


def _distances_mm(a_m: np.ndarray, b_m: np.ndarray) -> np.ndarray:
    return 1e3 * np.linalg.norm(a_m - b_m, axis=-1).ravel()


def _run_in_portions(engine: Engine, inputs: Arrays, size: int) -> Arrays:
    """Run ``size`` rows at a time, so that memory stays small."""
    n = len(next(iter(inputs.values())))
    parts = [engine.run({k: v[i:i + size] for k, v in inputs.items()}) for i in range(0, n, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rotmat(outputs: Arrays) -> Optional[np.ndarray]:
    """Return the rotations (n, 24, 3, 3) among the outputs of a graph, or None."""
    if 'rotmat' in outputs:
        return outputs['rotmat'].reshape(-1, 24, 3, 3).astype(np.float64)
    if 'rot6d' in outputs:
        return rotmat_from_rot6d(outputs['rot6d'].reshape(-1, 24, 6))
    return None
