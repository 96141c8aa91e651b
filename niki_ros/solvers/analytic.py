"""
Closed-form inverse kinematics by swing and twist: the baseline, and a solver without a model.

The tree is walked from the pelvis, as in HybrIK (Li et al. 2021, naive variant): rotations of the
pelvis and of spine3, which have three children, by SVD; every other one is the swing that turns
the bone at rest onto the observed bone, after the twist, where one is known.
"""

from __future__ import annotations

from typing import List, Optional

from niki_ros.body.confidence import confidence_from_sigma
from niki_ros.body.kinematics import forward_kinematics, LEVELS
from niki_ros.body.rotations import rotmat_from_point_sets, rotmat_from_rotvec, swing_rotmat, unit
from niki_ros.body.shape import betas_from_joints
from niki_ros.body.skeleton import JOINT, open_skeleton, PARENTS_29, Skeleton
from niki_ros.body.solution import Solution
from niki_ros.common.checks import solver_input
from niki_ros.solvers import step_one_by_one
import numpy as np

CHILDREN = tuple(
    tuple(c for c in range(29) if PARENTS_29[c] == joint) for joint in range(24))
_SPINE3 = JOINT['spine3']
# per level of the tree: joints, their parents, their (first) children
_SWING_LEVELS = tuple(
    (joints[joints < 24], parents[joints < 24],
     np.array([CHILDREN[joint][0] for joint in joints[joints < 24]]))
    for joints, parents in LEVELS if (joints < 24).any())
# a trusted joint weighs this much more than one that is off by 200 mm
_WEIGHT_FLOOR = 0.05


def local_rotations(joints_m, sigma, offsets_m, twist_cos_sin=None) -> np.ndarray:
    """
    Local rotations (N, 24, 3, 3) whose bones point as the observed ones do.

    :param joints_m: (N, 29, 3), camera axes. :param sigma: (N, 29).
    :param offsets_m: (N, 29, 3) bones at rest.
    :param twist_cos_sin: (N, 23, 2) cosine and sine of the twist of joints 1 … 23, or None.
    """
    bones = joints_m - joints_m[:, np.maximum(PARENTS_29, 0)]
    weights = 1.0 / (_WEIGHT_FLOOR + sigma) ** 2
    local = np.empty((len(joints_m), 24, 3, 3))
    turned = np.empty_like(local)
    local[:, 0] = turned[:, 0] = _from_children(0, bones, offsets_m, weights)
    for joints, parents, children in _SWING_LEVELS:
        inside = np.einsum('njba,njb->nja', turned[:, parents], bones[:, children])
        rest = offsets_m[:, children]
        local[:, joints] = swing_rotmat(rest, inside)
        if twist_cos_sin is not None:
            angle = np.arctan2(*np.moveaxis(twist_cos_sin[:, joints - 1], -1, 0)[::-1])
            local[:, joints] = local[:, joints] @ rotmat_from_rotvec(
                unit(rest) * angle[..., None])
        if _SPINE3 in joints:
            inside = np.einsum('nba,njb->nja', turned[:, PARENTS_29[_SPINE3]], bones)
            local[:, _SPINE3] = _from_children(_SPINE3, inside, offsets_m, weights)
        turned[:, joints] = turned[:, parents] @ local[:, joints]
    return local


def _from_children(joint, bones, offsets_m, weights):
    """Rotation of a joint with several children, by weighted SVD of their bones."""
    children = list(CHILDREN[joint])
    return rotmat_from_point_sets(offsets_m[:, children], bones[:, children], weights[:, children])


class AnalyticSolver:
    """Closed-form swing and twist on the open skeleton; see the module."""

    name = 'analytic'
    temporal = False
    refine = False

    def __init__(self, skeleton: Optional[Skeleton] = None):
        """Use ``skeleton``, or the one that ships."""
        self.skeleton = skeleton or open_skeleton()

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """
        Solve N people or frames.

        :param joints_m: (N, 29, 3) root-relative, camera axes, metres. :param sigma: (N, 29).
        :param twist_cos_sin: (N, 23, 2) or None. :param betas: (N, 10), None = from the joints.
        :raises InputError: naming the value that is not as expected.
        """
        joints, sigma, twist, betas = solver_input(joints_m, sigma, twist_cos_sin, betas)
        joints = joints - joints[:, :1]
        if betas is None:
            betas = betas_from_joints(joints, sigma, self.skeleton)
        offsets = self.skeleton.offsets(betas)
        rotmat = local_rotations(joints, sigma, offsets, twist)
        solved, _ = forward_kinematics(rotmat, offsets)
        residual = np.linalg.norm(solved - joints, axis=-1)
        return Solution(
            rotmat.astype(np.float32), solved.astype(np.float32),
            confidence_from_sigma(sigma)[:, :24].astype(np.float32),
            residual.astype(np.float32), betas.astype(np.float32))

    def start_track(self) -> AnalyticTrack:
        """Return a track; this solver has no memory."""
        return AnalyticTrack(self)

    def step_tracks(self, tracks, frames) -> List[Solution]:
        """Step several tracks by one :class:`niki_ros.body.solution.TrackFrame` each."""
        return step_one_by_one(tracks, frames)

    def describe(self) -> dict:
        """Return what runs, for diagnostics."""
        return {'solver': self.name, 'backend': 'numpy', 'precision': 'fp64'}


class AnalyticTrack:
    """One person; every frame is solved by itself."""

    def __init__(self, solver: AnalyticSolver):
        """Solve with ``solver``."""
        self._solver = solver

    def step(self, joints_m, sigma, stamp_ns, betas=None, twist_cos_sin=None) -> Solution:
        """Solve one frame: joints_m (29, 3), sigma (29,), betas (10,), twist_cos_sin (23, 2)."""
        twist, betas = (None if one is None else np.asarray(one)[None]
                        for one in (twist_cos_sin, betas))
        return self._solver.solve(
            np.asarray(joints_m)[None], np.asarray(sigma)[None], twist, betas)[0]
