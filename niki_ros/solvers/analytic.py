"""
Closed-form inverse kinematics by swing and twist, as in HybrIK (Li et al. 2021, naive variant).

Pelvis and spine3, which have three children, are fitted by weighted least squares. Every other
rotation is the swing from the bone at rest to the observed bone, after the known twist, if any.
"""

from typing import Optional

from niki_ros.body.confidence import confidence_from_sigma
from niki_ros.body.kinematics import CHILDREN, forward_kinematics, LEVELS
from niki_ros.body.rotations import rotmat_from_point_sets, rotmat_from_rotvec, swing_rotmat, unit
from niki_ros.body.shape import betas_from_joints
from niki_ros.body.skeleton import JOINT, open_skeleton, PARENTS_29, Skeleton
from niki_ros.body.solution import Solution
from niki_ros.common.checks import solver_input
from niki_ros.solvers.solver import IndependentSolver
import numpy as np

_SPINE3 = JOINT['spine3']
# per level of the tree: body joints, their parents, their first children
_SWING_LEVELS = tuple(
    (joints[joints < 24], parents[joints < 24],
     np.array([CHILDREN[joint][0] for joint in joints[joints < 24]]))
    for joints, parents in LEVELS if (joints < 24).any())
_MIN_SIGMA_200MM = 0.05  # added to sigma in the weight 1 / sigma² of a joint


def local_rotations(joints_m, sigma, offsets_m, twist_cos_sin=None) -> np.ndarray:
    """
    Return local rotations (N, 24, 3, 3) with which the bones have the observed directions.

    :param joints_m: (N, 29, 3), camera axes. :param offsets_m: (N, 29, 3) bones at rest.
    :param sigma: (N, 29) expected error per coordinate, units of 200 mm.
    :param twist_cos_sin: (N, 23, 2) cosine and sine of the twist of joints 1 … 23, or None.
    """
    bones = joints_m - joints_m[:, np.maximum(PARENTS_29, 0)]
    weights = 1.0 / (_MIN_SIGMA_200MM + sigma) ** 2
    local = np.empty((len(joints_m), 24, 3, 3))
    world = np.empty_like(local)
    local[:, 0] = world[:, 0] = _fit_children(0, bones, offsets_m, weights)
    for joints, parents, children in _SWING_LEVELS:
        observed = np.einsum('njba,njb->nja', world[:, parents], bones[:, children])
        rest = offsets_m[:, children]
        local[:, joints] = swing_rotmat(rest, observed)
        if twist_cos_sin is not None:
            angle = np.arctan2(*np.moveaxis(twist_cos_sin[:, joints - 1], -1, 0)[::-1])
            local[:, joints] = local[:, joints] @ rotmat_from_rotvec(
                unit(rest) * angle[..., None])
        if _SPINE3 in joints:
            observed = np.einsum('nba,njb->nja', world[:, PARENTS_29[_SPINE3]], bones)
            local[:, _SPINE3] = _fit_children(_SPINE3, observed, offsets_m, weights)
        world[:, joints] = world[:, parents] @ local[:, joints]
    return local


def _fit_children(joint, bones, offsets_m, weights):
    """Return the rotation (N, 3, 3) of a joint that fits the bones to its children best."""
    children = CHILDREN[joint]
    return rotmat_from_point_sets(offsets_m[:, children], bones[:, children],
                                  weights[:, children])


class AnalyticSolver(IndependentSolver):
    """Closed-form swing and twist on the open skeleton."""

    name = 'analytic'
    refine = False

    def __init__(self, skeleton: Optional[Skeleton] = None):
        self.skeleton = skeleton or open_skeleton()

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """Return the solution of N people; see :meth:`niki_ros.solvers.solver.Solver.solve`."""
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints = joints - joints[:, :1]
        if betas is None:
            betas = betas_from_joints(joints, sigma, self.skeleton)
        offsets = self.skeleton.offsets(betas)
        rotmat = local_rotations(joints, sigma, offsets, twist)
        posed, _ = forward_kinematics(rotmat, offsets)
        residual = np.linalg.norm(posed - joints, axis=-1)
        return Solution(
            rotmat.astype(np.float32), posed.astype(np.float32),
            confidence_from_sigma(sigma)[:, :24].astype(np.float32),
            residual.astype(np.float32), betas.astype(np.float32))

    def describe(self) -> dict:
        return {'solver': self.name, 'backend': 'numpy', 'precision': 'fp64'}
