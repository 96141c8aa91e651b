"""
The released NIKI, imported from a checkpoint that the user has downloaded (``niki-import niki``).

T-pose, axes and tree of SMPL are those of the open skeleton. The joints are those of the body in
the checkpoint, or of the open skeleton, with the size of the observed bones.
"""

from __future__ import annotations

from typing import Dict, Optional

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.shape import shape_information
from niki_ros.body.solution import Solution
from niki_ros.common.checks import solver_input
from niki_ros.common.errors import ModelError
from niki_ros.solvers.refine import refine_rotations
from niki_ros.solvers.solver import describe_engine, IndependentSolver, skeleton_of
import numpy as np

KINDS = ('released_one_stage', 'released_twist_swing')


class ReleasedSolver(IndependentSolver):
    """
    One- or two-stage NIKI as released, with its input pad at zero.

    :param refine: run the kinematic refinement, which the release does not have.
    :raises ModelError: for a graph with other inputs or outputs.
    """

    # the betas of frames are of another body model than SMPL
    tracks_use_betas = False

    def __init__(self, engine, manifest: dict, refine: bool = False):
        self.name = manifest['name']
        self.engine, self.refine = engine, refine
        self.skeleton = skeleton_of(manifest)
        self._inputs = {spec.name for spec in engine.inputs}
        outputs = {spec.name for spec in engine.outputs}
        if not {'joints', 'sigma'} <= self._inputs or 'rotmat' not in outputs:
            raise ModelError(f'{self.name}: the graph has inputs {sorted(self._inputs)}; expected '
                             'one made by niki-import niki')

    @classmethod
    def from_folder(cls, path, refine: bool = False, backend: str = 'onnxruntime',
                    precision: Optional[str] = None, **options) -> ReleasedSolver:
        """Load a model folder; ``options`` are those of the backend."""
        from niki_ros.backends import load_engine
        from niki_ros.models.model_folder import read_model_folder
        manifest = read_model_folder(path).manifest
        if manifest['kind'] not in KINDS:
            raise ModelError(f'{path} is of kind {manifest["kind"]!r}; expected one of '
                             f'{", ".join(KINDS)}, as made by niki-import niki')
        return cls(load_engine(path, backend, precision, **options), manifest, refine)

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """Return the solution of N people; ``betas`` (N, 10) are of SMPL, None = the mean body."""
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints = joints - joints[:, :1]
        out = self.engine.run(self._graph_inputs(joints, sigma, twist, betas))
        rotmat = out['rotmat'].astype(np.float64)
        own_betas, _ = shape_information(joints, sigma, self.skeleton)
        offsets = self.skeleton.offsets(own_betas)
        posed, _ = forward_kinematics(rotmat, offsets)
        confidence = _confidence(posed, joints, sigma)
        if self.refine:
            rotmat, posed = refine_rotations(rotmat, offsets, joints, sigma)
        z = [out[name] for name in ('swing_error_z', 'twist_error_z', 'error_z') if name in out]
        return Solution(rotmat.astype(np.float32), posed.astype(np.float32), confidence,
                        np.concatenate(z, axis=-1), own_betas.astype(np.float32))

    def describe(self) -> Dict[str, str]:
        return describe_engine(self.name, self.engine)

    def _graph_inputs(self, joints, sigma, twist, betas) -> dict:
        n = len(joints)
        if twist is None:
            twist = np.tile([1.0, 0.0], (n, 23, 1))
        twist = twist / np.maximum(np.linalg.norm(twist, axis=-1, keepdims=True), 1e-8)
        inputs = {'joints': joints, 'sigma': sigma, 'twist_cos_sin': twist,
                  'betas': np.zeros((n, 10)) if betas is None else betas,
                  # only the camera network of the release uses these, and its output is not used
                  'uv': np.zeros((n, 29, 2)), 'camera_guess': np.zeros((n, 3))}
        return {name: inputs[name].astype(np.float32) for name in self._inputs}


def _confidence(posed, joints, sigma) -> np.ndarray:
    """Return (N, 24): high where sigma is small and the solved joint is at the observed one."""
    miss = np.linalg.norm(posed - joints, axis=-1)[:, :24] / SIGMA_UNIT_M
    confidence = np.clip(1 - sigma[:, :24], 0, 1) * np.clip(1 - miss, 0, 1)
    return confidence.astype(np.float32)
