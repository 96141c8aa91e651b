"""NIKI at run time: the steps of its training before the graph, refinement after it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rot6d
from niki_ros.body.shape import body_scale, resized_betas, shape_information, size_sigma
from niki_ros.body.skeleton import Skeleton
from niki_ros.body.solution import Solution, TrackFrame
from niki_ros.body.trunk_frame import reject_implausible_joints, trunk_frame, TrunkFrame
from niki_ros.common.checks import finite_array, solver_input
from niki_ros.common.errors import ModelError
from niki_ros.common.replace import replace
from niki_ros.solvers.joint_filter import JointFilter
from niki_ros.solvers.niki_confidence import NikiConfidence
from niki_ros.solvers.past_frames import PastFrames
from niki_ros.solvers.refine import refine_rotations, RefineNumbers
from niki_ros.solvers.solver import describe_engine, skeleton_of
import numpy as np

_MAX_GAP_NS = 500_000_000  # after a longer time without a frame a track starts anew
_MIN_DT_S = 1e-3
_NO_TWIST = np.zeros((1, 23, 2))


@dataclass(frozen=True)
class _Bodies:
    """Input of the network for N bodies."""

    joints_m: np.ndarray  # (N, 29, 3), filtered where the model is temporal
    sigma: np.ndarray  # (N, 29) of ``joints_m``
    twist: Optional[np.ndarray]  # (N, 23, 2)
    betas: np.ndarray  # (N, 10)
    size_sigma: np.ndarray  # (N,) of the first shape value, 0 = betas are given
    observed_m: np.ndarray  # (N, 29, 3) joints before the filter, for the confidence
    observed_sigma: np.ndarray  # (N, 29) of ``observed_m``

    @classmethod
    def checked(cls, skeleton: Skeleton, joints_m, sigma, twist_cos_sin, betas) -> _Bodies:
        """Return checked input without implausible joints; betas from the joints where None."""
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints, sigma = reject_implausible_joints(joints, sigma, skeleton.rest_joints_m)
        if betas is not None:
            return cls(joints, sigma, twist, betas, np.zeros(len(betas)), joints, sigma)
        betas, information = shape_information(joints, sigma, skeleton)
        return cls(joints, sigma, twist, betas, size_sigma(information), joints, sigma)

    @classmethod
    def joined(cls, bodies: List[_Bodies]) -> _Bodies:
        """Return all bodies in one; a missing twist is 0 where another body has one."""
        parts = {field.name: [getattr(one, field.name) for one in bodies]
                 for field in fields(cls)}
        has_twist = any(one is not None for one in parts['twist'])
        parts['twist'] = [_NO_TWIST if one is None else one for one in parts['twist']]
        joined = cls(**{name: np.concatenate(values) for name, values in parts.items()})
        return joined if has_twist else replace(joined, twist=None)


class NikiSolver:
    """
    NIKI on the open skeleton: invertible network, then kinematic refinement.

    :param manifest: of the model folder. :param refine: run the kinematic refinement.
    :raises ModelError: for a graph without the inputs of NIKI.
    """

    def __init__(self, engine, manifest: dict, refine: bool = True):
        self.name = manifest['name']
        self.engine, self.refine = engine, refine
        self.skeleton: Skeleton = skeleton_of(manifest)
        self._refine_numbers = RefineNumbers(**manifest.get('refine', {}))
        self._confidence = NikiConfidence(manifest)
        shapes = {spec.name: spec.shape for spec in engine.inputs}
        missing = {'joints', 'sigma', 'condition', 'twist'} - set(shapes)
        if missing:
            raise ModelError(f'{self.name}: the graph lacks the inputs {sorted(missing)}; '
                             f'it has {sorted(shapes)}')
        self.temporal = 'past' in shapes
        # past frames, and values of one
        self.past_shape: Tuple[int, int] = shapes['past'][1:] if self.temporal else (0, 0)

    @classmethod
    def from_folder(cls, path, refine: bool = True, backend: str = 'onnxruntime',
                    precision: Optional[str] = None, **options) -> NikiSolver:
        """Load a model folder; ``options`` are those of the backend."""
        from niki_ros.backends import load_engine
        from niki_ros.models.model_folder import read_model_folder
        from niki_ros.solvers import NIKI_KINDS
        folder = read_model_folder(Path(path))
        if folder.manifest['kind'] not in NIKI_KINDS:
            raise ModelError(f'{path} is of kind {folder.manifest["kind"]!r}; expected one of '
                             f'{", ".join(NIKI_KINDS)}')
        options = {'threads': 1, **options} if backend == 'onnxruntime' else options
        return cls(load_engine(Path(path), backend, precision, **options), folder.manifest,
                   refine)

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """Return the solution of N people; see :meth:`niki_ros.solvers.solver.Solver.solve`."""
        bodies = _Bodies.checked(self.skeleton, joints_m, sigma, twist_cos_sin, betas)
        return self._solve(bodies, None)[0]

    def start_track(self) -> NikiTrack:
        return NikiTrack(self)

    def step_tracks(self, tracks, frames) -> List[Solution]:
        """Return the solution of one frame of each track, all in one batch of the graph."""
        if not tracks:
            return []
        bodies = _Bodies.joined([track.prepare(frame) for track, frame in zip(tracks, frames)])
        past = np.stack([track.past.before(frame.stamp_ns) for track, frame in
                         zip(tracks, frames)]) if self.temporal else None
        solution, past = self._solve(bodies, past)
        if past is not None:
            for track, frame, values in zip(tracks, frames, past[:, -1]):
                track.past.push(frame.stamp_ns, values)
        return [solution[i] for i in range(len(tracks))]

    def describe(self) -> Dict[str, str]:
        return describe_engine(self.name, self.engine)

    def _solve(self, bodies: _Bodies, past):
        """Return the solution, and the newest past of a temporal model, else None."""
        frame = trunk_frame(bodies.joints_m, bodies.sigma, self.skeleton.rest(bodies.betas))
        out = self._run(bodies, frame, past)
        rotmat = rotmat_from_rot6d(out['rot6d'].reshape(-1, 24, 6))
        rotmat[:, 0] = frame.camera_from_trunk @ rotmat[:, 0]
        log_size = out['size'][:, 0] * (bodies.size_sigma > 0)
        betas = resized_betas(bodies.betas, log_size, self.skeleton)
        offsets = self.skeleton.offsets(betas)
        joints_m, _ = posed = forward_kinematics(rotmat, offsets)
        confidence = self._confidence(joints_m, bodies.observed_m, bodies.observed_sigma,
                                      out['error_z'])
        if self.refine:
            rotmat, joints_m = refine_rotations(
                rotmat, offsets, bodies.joints_m, bodies.sigma, self._refine_numbers, posed)
        solution = Solution(
            rotmat.astype(np.float32), joints_m.astype(np.float32), confidence,
            out['error_z'], betas.astype(np.float32))
        return solution, out.get('past_out')

    def _run(self, bodies: _Bodies, frame: TrunkFrame, past) -> dict:
        """Return the outputs of the graph; its inputs are in the trunk's frame, scaled to size."""
        n = len(bodies.joints_m)
        scale = body_scale(bodies.betas, self.skeleton)
        inputs = {
            'joints': (frame.to_trunk(bodies.joints_m) / scale[:, None, None]).reshape(n, 87),
            'sigma': bodies.sigma,
            'condition': np.concatenate(
                [bodies.betas, frame.camera_axes(), bodies.size_sigma[:, None]], axis=-1),
            'twist': np.zeros((n, 46)) if bodies.twist is None else bodies.twist.reshape(n, 46),
        }
        if self.temporal:
            inputs['turn'] = frame.camera_from_trunk
            inputs['past'] = np.zeros((n, *self.past_shape)) if past is None else past
        out = self.engine.run({k: np.asarray(v, dtype=np.float32) for k, v in inputs.items()})
        if 'six' in out:  # the name in model folders of earlier versions
            out['rot6d'] = out.pop('six')
        return out


class NikiTrack:
    """Causal state of one person; for a temporal model joints are filtered, as in training."""

    def __init__(self, solver: NikiSolver):
        self._solver = solver
        self._stamp_ns: Optional[int] = None
        self._start()

    def step(self, joints_m, sigma, stamp_ns: int, betas=None, twist_cos_sin=None) -> Solution:
        """Return the solution of one frame; see :meth:`niki_ros.solvers.solver.Track.step`."""
        frame = TrackFrame(joints_m, sigma, stamp_ns, betas, twist_cos_sin)
        return self._solver.step_tracks([self], [frame])[0]

    def prepare(self, frame: TrackFrame) -> _Bodies:
        """Return the input of the network for one frame, and advance the filter."""
        joints = finite_array('joints_m', frame.joints_m, (29, 3))[None]
        sigma = finite_array('sigma', frame.sigma_200mm, (29,))[None]
        betas = None if frame.betas is None else finite_array('betas', frame.betas, (10,))[None]
        twist = None if frame.twist_cos_sin is None else np.asarray(frame.twist_cos_sin)[None]
        bodies = _Bodies.checked(self._solver.skeleton, joints, sigma, twist, betas)
        gap_ns = 0 if self._stamp_ns is None else frame.stamp_ns - self._stamp_ns
        if not 0 <= gap_ns <= _MAX_GAP_NS:
            self._start()
        self._stamp_ns = frame.stamp_ns
        if not self._solver.temporal:
            return bodies
        return self._filtered(bodies, max(gap_ns * 1e-9, _MIN_DT_S), frame.has_correlated_errors)

    def _start(self) -> None:
        self.past = PastFrames(*self._solver.past_shape)
        self._filter = JointFilter()

    def _filtered(self, bodies: _Bodies, dt_s: float, has_correlated_errors: bool) -> _Bodies:
        joints, sigma = bodies.joints_m, bodies.sigma
        rest = self._solver.skeleton.rest(bodies.betas)
        points = joints - trunk_frame(joints, sigma, rest).origin_m[:, None]
        joints, sigma = self._filter.step(points, sigma, dt_s, has_correlated_errors)
        return replace(bodies, joints_m=joints, sigma=sigma)
