"""
The released NIKI, imported from a checkpoint that the user has downloaded (``niki-import niki``).

Its rotations are SMPL's, which the open skeleton shares: the T-pose, axes and tree are the same.
Joints are those of the body that the checkpoint carried, or of the open skeleton, sized by the
bones that were seen.
"""

from __future__ import annotations

from typing import List, Optional

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.shape import shape_information
from niki_ros.body.skeleton import open_skeleton, Skeleton
from niki_ros.body.solution import Solution
from niki_ros.common.checks import solver_input
from niki_ros.common.errors import ModelError
from niki_ros.solvers import step_one_by_one
import numpy as np

KINDS = ('released_one_stage', 'released_twist_swing')


class ReleasedSolver:
    """
    One- or two-stage NIKI as released, its input pad at zero.

    :param engine: runs the graph. :param manifest: of the model folder.
    """

    temporal = False

    def __init__(self, engine, manifest: dict, refine: bool = False):
        """Check that the graph is an imported one."""
        self.name = manifest['name']
        self.engine, self.refine = engine, refine
        data = manifest.get('skeleton')
        self.skeleton = Skeleton.from_dict(data) if isinstance(data, dict) else open_skeleton()
        self._inputs = {spec.name for spec in engine.inputs}
        outputs = {spec.name for spec in engine.outputs}
        if not {'joints', 'sigma'} <= self._inputs or 'rotmat' not in outputs:
            raise ModelError(f'{self.name}: the graph has inputs {sorted(self._inputs)}; expected '
                             'one made by niki-import niki')

    @classmethod
    def from_folder(cls, path, refine: bool = False, backend: str = 'onnxruntime',
                    precision: Optional[str] = None, **options) -> ReleasedSolver:
        """Load a model folder; ``options`` go to the backend."""
        from niki_ros.backends import load_engine
        from niki_ros.models.model_folder import read_model_folder
        manifest = read_model_folder(path).manifest
        if manifest['kind'] not in KINDS:
            raise ModelError(f'{path}: kind {manifest["kind"]!r} is no released NIKI')
        return cls(load_engine(path, backend, precision, **options), manifest, refine)

    def describe(self) -> dict:
        """Return what runs, for diagnostics."""
        facts = {name: str(value) for name, value in self.engine.describe().items()}
        return {'solver': self.name, 'backend': facts['library'], **facts}

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """
        Solve N people or frames, each on its own.

        :param joints_m: (N, 29, 3), camera axes, metres. :param sigma: (N, 29).
        :param twist_cos_sin: (N, 23, 2); None = no twist. :param betas: (N, 10) of SMPL.
        :raises InputError: naming the value that is not as expected.
        """
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints = joints - joints[:, :1]
        out = self.engine.run(self._given(joints, sigma, twist, betas))
        rotmat = out['rotmat'].astype(np.float64)
        own, _ = shape_information(joints, sigma, self.skeleton)
        offsets = self.skeleton.offsets(own)
        found, _ = forward_kinematics(rotmat, offsets)
        confidence = _confidence(found, joints, sigma)
        if self.refine:
            from niki_ros.solvers.refine import refine
            rotmat, found = refine(rotmat, offsets, joints, sigma)
        z = [out[name] for name in ('swing_error_z', 'twist_error_z', 'error_z') if name in out]
        return Solution(rotmat.astype(np.float32), found.astype(np.float32), confidence,
                        np.concatenate(z, axis=-1), own.astype(np.float32))

    def start_track(self) -> ReleasedTrack:
        """Return the state for one person; the release has no memory."""
        return ReleasedTrack(self)

    def step_tracks(self, tracks, frames) -> List[Solution]:
        """Step several tracks by one :class:`niki_ros.body.solution.TrackFrame` each."""
        return step_one_by_one(tracks, frames)

    def _given(self, joints, sigma, twist, betas) -> dict:
        """Return the inputs that this graph has; the release aligns and normalises like this."""
        n = len(joints)
        if twist is None:
            twist = np.tile([1.0, 0.0], (n, 23, 1))
        twist = twist / np.maximum(np.linalg.norm(twist, axis=-1, keepdims=True), 1e-8)
        given = {'joints': joints, 'sigma': sigma, 'twist_cos_sin': twist,
                 'betas': np.zeros((n, 10)) if betas is None else betas,
                 # only the camera network reads these two, and nothing here reads its answer
                 'uv': np.zeros((n, 29, 2)), 'camera_guess': np.zeros((n, 3))}
        return {name: given[name].astype(np.float32) for name in self._inputs}


class ReleasedTrack:
    """One person; every frame is solved by itself."""

    def __init__(self, solver: ReleasedSolver):
        """Keep the solver."""
        self._solver = solver

    def step(self, joints_m, sigma, stamp_ns: int, betas=None, twist_cos_sin=None) -> Solution:
        """Solve one frame: (29, 3), (29,), (23, 2); a Solution without leading axis."""
        twist = None if twist_cos_sin is None else np.asarray(twist_cos_sin)[None]
        return self._solver.solve(np.asarray(joints_m)[None], np.asarray(sigma)[None], twist)[0]


def _confidence(found, joints, sigma) -> np.ndarray:
    """Return (N, 24): sure where the joint was sharp and the answer is where it was seen."""
    miss = np.linalg.norm(found - joints, axis=-1)[:, :24] / SIGMA_UNIT_M
    sure = np.clip(1 - sigma[:, :24], 0, 1) * np.clip(1 - miss, 0, 1)
    return sure.astype(np.float32)
