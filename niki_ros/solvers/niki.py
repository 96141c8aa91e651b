"""NIKI at run time: a graph, the same steps before it as in training, and refinement after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, NamedTuple, Optional

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rot6d
from niki_ros.body.shape import body_scale, resized_betas, shape_information, size_sigma
from niki_ros.body.skeleton import open_skeleton, Skeleton
from niki_ros.body.solution import Solution, TrackFrame
from niki_ros.body.trunk_frame import reject_implausible_joints, trunk_frame, TrunkFrame
from niki_ros.common.checks import finite_array, solver_input
from niki_ros.common.errors import ModelError
from niki_ros.solvers.joint_filter import JointFilter, sigma_per_image
from niki_ros.solvers.refine import refine, RefineConfig
import numpy as np
from scipy.special import expit

GAP_NS = 500_000_000
"""After so long without a frame the past says nothing any more."""


@dataclass(frozen=True)
class _Shape:
    """Betas (N, 10) of the bodies, and the doubt (N,) about the first; 0 = given."""

    betas: np.ndarray
    doubt: np.ndarray


class NikiSolver:
    """
    NIKI on the open skeleton: invertible network, then kinematic refinement.

    :param engine: runs the graph. :param manifest: of the model folder.
    """

    def __init__(self, engine, manifest: dict, refine_pose: bool = True,
                 skeleton: Optional[Skeleton] = None):
        """Check that the graph is one of ours."""
        self.name = manifest['name']
        self.engine, self.manifest = engine, manifest
        self.skeleton = skeleton or _skeleton_of(manifest)
        self.refine = refine_pose
        self.refine_config = RefineConfig(**manifest.get('refine', {}))
        self._inputs = {spec.name: spec for spec in engine.inputs}
        missing = {'joints', 'sigma', 'condition', 'twist'} - set(self._inputs)
        if missing:
            raise ModelError(f'{self.name}: the graph lacks the inputs {sorted(missing)}; '
                             f'it has {sorted(self._inputs)}')
        self.temporal = 'past' in self._inputs
        self._past_shape = self._inputs['past'].shape[1:] if self.temporal else ()
        self._confidence = {k: np.asarray(v) for k, v in manifest.get('confidence', {}).items()}

    @classmethod
    def from_folder(cls, path, refine: bool = True, backend: str = 'onnxruntime',
                    precision: Optional[str] = None, **options) -> NikiSolver:
        """Load a model folder; ``options`` go to the backend."""
        from niki_ros.backends import load_engine
        from niki_ros.models.model_folder import read_model_folder
        from niki_ros.solvers import NIKI_KINDS
        folder = read_model_folder(Path(path))
        if folder.manifest['kind'] not in NIKI_KINDS:
            raise ModelError(f"{path}: kind {folder.manifest['kind']!r} is no NIKI solver; "
                             'expected two_stage, one_stage or temporal')
        options = {'threads': 1, **options} if backend == 'onnxruntime' else options
        return cls(load_engine(Path(path), backend, precision, **options), folder.manifest,
                   refine)

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """
        Solve N people or frames, each on its own.

        :param joints_m: (N, 29, 3) root-relative, camera axes, metres. :param sigma: (N, 29).
        :param twist_cos_sin: (N, 23, 2) or None. :param betas: (N, 10), None = from the joints.
        :raises InputError: naming the value that is not as expected.
        """
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints, sigma = reject_implausible_joints(joints, sigma, self.skeleton.rest_joints_m)
        if betas is None:
            betas, information = shape_information(joints, sigma, self.skeleton)
            shape = _Shape(betas, size_sigma(information))
        else:
            shape = _Shape(betas, np.zeros(len(betas)))
        return self._solve(joints, sigma, twist, shape, None)[0]

    def describe(self) -> dict:
        """Return what runs, for diagnostics."""
        facts = {name: str(value) for name, value in self.engine.describe().items()}
        return {'solver': self.name, 'backend': facts['library'], **facts}

    def start_track(self) -> NikiTrack:
        """Return the causal state for one person."""
        return NikiTrack(self)

    def step_tracks(self, tracks, frames) -> List[Solution]:
        """Step several people's tracks by one frame each, all in one batch of the graph."""
        if not tracks:
            return []
        each = [track.prepare(frame) for track, frame in zip(tracks, frames)]
        twist = None
        if any(one.twist is not None for one in each):
            twist = np.concatenate([_NO_TWIST if one.twist is None else one.twist
                                    for one in each])
        shape = _Shape(np.concatenate([one.shape.betas for one in each]),
                       np.concatenate([one.shape.doubt for one in each]))
        past = np.concatenate([np.zeros((1, *self._past_shape), np.float32) if track.past is None
                               else track.past for track in tracks]) if self.temporal else None
        solution, past = self._solve(
            np.concatenate([one.joints for one in each]),
            np.concatenate([one.sigma for one in each]), twist, shape, past,
            tuple(np.concatenate([one.raw[i] for one in each]) for i in (0, 1)))
        for i, track in enumerate(tracks):
            track.past = None if past is None else past[i:i + 1]
        return [solution[i] for i in range(len(each))]

    def _solve(self, joints, sigma, twist, shape: _Shape, past, raw=None):
        """
        Canonical frame, graph, refinement; return the solution and the newest past.

        :param raw: joints and sigma before any filter, by which the confidence is judged.
        """
        scale = body_scale(shape.betas, self.skeleton)
        frame = trunk_frame(joints, sigma, self.skeleton.rest(shape.betas))
        out = self._run(joints, sigma, twist, shape, frame, scale, past)
        rotmat = rotmat_from_rot6d(out['six'].reshape(-1, 24, 6))
        rotmat[:, 0] = frame.camera_from_trunk @ rotmat[:, 0]
        log_size = out['size'][:, 0] * (shape.doubt > 0)
        betas = resized_betas(shape.betas, log_size, self.skeleton)
        offsets = self.skeleton.offsets(betas)
        posed = forward_kinematics(rotmat, offsets)
        found = posed[0]
        seen, doubt = (joints, sigma) if raw is None else raw
        confidence = self._confident(found, seen, doubt, out['error_z'])
        if self.refine:
            rotmat, found = refine(rotmat, offsets, joints, sigma, self.refine_config, posed)
        solution = Solution(
            rotmat.astype(np.float32), found.astype(np.float32), confidence,
            out['error_z'], betas.astype(np.float32))
        return solution, out.get('past_out')

    def _run(self, joints, sigma, twist, shape, frame: TrunkFrame, scale, past) -> dict:
        """Run the graph on what the network was trained on."""
        n = len(joints)
        inputs = {
            'joints': (frame.to_trunk(joints) / scale[:, None, None]).reshape(n, 87),
            'sigma': sigma,
            'condition': np.concatenate(
                [shape.betas, frame.camera_axes(), shape.doubt[:, None]], axis=-1),
            'twist': np.zeros((n, 46)) if twist is None else twist.reshape(n, 46),
        }
        if self.temporal:
            inputs['turn'] = frame.camera_from_trunk
            inputs['past'] = np.zeros((n, *self._past_shape)) if past is None else past
        return self.engine.run({k: np.asarray(v, dtype=np.float32) for k, v in inputs.items()})

    def _confident(self, found, joints, sigma, error_z) -> np.ndarray:
        """
        Probability (N, 24) that a joint is observed right: logistic in residual, sigma and z.

        The weights were fitted on held-out motion and stand in the manifest.
        """
        features = confidence_features(found, joints, sigma, error_z)
        weight = self._confidence.get('weight', _DEFAULT_WEIGHT)
        logit = features @ weight + self._confidence.get('bias', 3.0)
        # with nothing to go by, nothing is sure
        unseen = ((1.0 - sigma.min(axis=1)) / 0.1).clip(0.0, 1.0)[:, None]
        return (expit(logit) * unseen).astype(np.float32)


_DEFAULT_WEIGHT = np.asarray([-1.0, 0.0, -3.0, -1.0, 0.0, 0.0])


def confidence_features(found, joints, sigma, error_z) -> np.ndarray:
    """
    Return what the confidence depends on, (N, 24, 6).

    Log residual of the joint, of its worst neighbour (parent or child) and of the whole body
    (in decades over 10 mm), sigma of the joint, an indicator of no observation, size of the error.
    """
    miss = joints - found
    miss = miss - np.sort(miss, axis=1)[:, 14:15]     # the median of 29
    residual = np.log10(np.sqrt(np.einsum('nji,nji->nj', miss, miss)) / 0.01 + 0.05)
    error = np.einsum('nk,nk->n', error_z, error_z) / error_z.shape[1]
    out = np.empty((len(residual), 24, 6))
    out[..., 0] = residual[:, :24]
    np.maximum(residual.take(_NEAR[0], 1), residual.take(_NEAR[1], 1), out=out[..., 1])
    out[..., 2] = np.add.reduce(residual, axis=1, keepdims=True) / 29
    sigma = np.minimum(sigma[:, :24], 1.0, out=out[..., 3])
    out[..., 4] = sigma > 0.95
    out[..., 5] = np.log10(np.sqrt(error) + 0.01)[:, None]
    return out


def _neighbours() -> np.ndarray:
    """Return the parents of the 24 joints and their first children (2, 24)."""
    parents = open_skeleton().parents
    child = {int(parents[j]): j for j in range(28, 0, -1)}
    return np.asarray([[max(int(parents[j]), 0) for j in range(24)],
                       [child[j] for j in range(24)]])


_NEAR = _neighbours()


def _skeleton_of(manifest: dict) -> Skeleton:
    """Return the skeleton that the manifest carries, or the open one that it names."""
    data = manifest.get('skeleton', 'open29')
    return Skeleton.from_dict(data) if isinstance(data, dict) else open_skeleton()


class _Prepared(NamedTuple):
    """One person's frame as the network is given it, leading axis 1."""

    joints: np.ndarray
    sigma: np.ndarray
    twist: Optional[np.ndarray]
    shape: _Shape
    raw: tuple


_NO_TWIST = np.zeros((1, 23, 2))


class NikiTrack:
    """
    Causal state of one person: the frames before.

    What is known of the shape is handed down with each frame; else it is read off that frame.

    With the temporal model the joints pass through a filter first, as they did in its training.
    """

    def __init__(self, solver: NikiSolver):
        """Start without a past."""
        self._solver, self.past = solver, None
        self._stamp_ns: Optional[int] = None
        self._filter = JointFilter()

    def step(self, joints_m, sigma, stamp_ns: int, betas=None, twist_cos_sin=None) -> Solution:
        """
        Solve one frame of one person.

        :param joints_m: (29, 3). :param sigma: (29,). :param stamp_ns: of the image.
        :param betas: (10,) the person's shape, where known.
        :param twist_cos_sin: (23, 2) of the bones, where the front end knows them.
        :return: a Solution without leading axis.
        """
        frame = TrackFrame(joints_m, sigma, stamp_ns, betas, twist_cos_sin)
        return self._solver.step_tracks([self], [frame])[0]

    def prepare(self, frame: TrackFrame) -> _Prepared:
        """Take in one frame and return what the network is given of it."""
        joints = finite_array('joints_m', frame.joints_m, (29, 3))[None]
        sigma = finite_array('sigma', frame.sigma_200mm, (29,))[None]
        given = None if frame.betas is None else finite_array('betas', frame.betas, (10,))[None]
        twist = None if frame.twist_cos_sin is None else np.asarray(frame.twist_cos_sin)[None]
        joints, sigma, twist, given = solver_input(joints, sigma, twist, given)
        joints, sigma = reject_implausible_joints(
            joints, sigma, self._solver.skeleton.rest_joints_m)
        passed_ns = 0 if self._stamp_ns is None else frame.stamp_ns - self._stamp_ns
        if not 0 <= passed_ns <= GAP_NS:
            self.past, self._filter = None, JointFilter()
        self._stamp_ns = frame.stamp_ns
        if given is None:
            given, information = shape_information(joints, sigma, self._solver.skeleton)
            shape = _Shape(given, size_sigma(information))
        else:
            shape = _Shape(given, np.zeros(1))
        raw = joints, sigma
        if self._solver.temporal:
            rest = self._solver.skeleton.rest(shape.betas)
            points = joints - trunk_frame(joints, sigma, rest).origin_m[:, None]
            dt_s = max(passed_ns * 1e-9, 1e-3)
            if frame.has_correlated_errors:
                sigma = sigma_per_image(sigma, dt_s)
            joints, sigma = self._filter.step(points, sigma, dt_s)
        return _Prepared(joints, sigma, twist, shape, raw)
