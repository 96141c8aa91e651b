"""
Kinematic refinement: from a solver's pose towards the joints that deserve trust.

Gauss-Newton on the rotations of the tree with the solver's pose as prior: exact where the
evidence is good, the solver's where it is not. Batched numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.core.kinematics import forward_kinematics
from niki_ros.core.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.core.skeleton import PARENTS_29
from niki_ros.core.types import SIGMA_UNIT_M
import numpy as np


@dataclass(frozen=True)
class RefineConfig:
    """
    How far the observation is followed.

    :param iterations: Gauss-Newton steps.
    :param floor_m: error of an observed joint even when its sigma is 0.
    :param gross_m: distance between the solver's pose and an exactly known joint from which on
        the joint is taken to be silently wrong.
    :param prior_rad: how far the solver's rotations are off per axis, at sigma 0.
    :param prior_gain: growth of that with the sigma of the joints around.
    """

    iterations: int = 4
    floor_m: float = 0.002
    gross_m: float = 0.08
    prior_rad: float = 0.12
    prior_gain: float = 0.0


def _ancestry() -> np.ndarray:
    """Return (29, 24): 1 where turning the second joint moves the first."""
    moves = np.zeros((29, 24))
    for joint in range(29):
        above = PARENTS_29[joint]
        while above >= 0:
            moves[joint, above] = 1
            above = PARENTS_29[above]
    return moves


_MOVES = _ancestry()


def refine(rotmat, offsets_m, joints_m, sigma, config: RefineConfig = RefineConfig(),
           weight=None):
    """
    Turn the joints of each body so that it meets its trusted observations.

    :param rotmat: (N, 24, 3, 3) local rotations of the solver, the prior.
    :param offsets_m: (N, 29, 3) bones at rest. :param joints_m: (N, 29, 3) observed joints.
    :param sigma: (N, 29) expected error per coordinate over 200 mm.
    :param weight: (N, 29) trust in each joint, 0 … 1; None = from the distance to the prior's pose.
    :return: rotmat (N, 24, 3, 3) and joints (N, 29, 3) relative to the pelvis.
    """
    prior = np.asarray(rotmat, dtype=np.float64)
    found, turned = forward_kinematics(prior, offsets_m)
    if weight is None:
        weight = trust(found, joints_m, sigma, config)
    spread = SIGMA_UNIT_M * np.asarray(sigma)
    information = weight / (spread**2 + config.floor_m**2)
    # nothing is said about a joint that is not observed at all
    information = information * (np.asarray(sigma) < 0.999)
    level = np.sum(information * spread, axis=1) / np.maximum(information.sum(axis=1), 1e-9)
    stiffness = 1 / (config.prior_rad + config.prior_gain * level)**2
    now, damping = prior, np.eye(72) * stiffness[:, None, None]
    for _ in range(config.iterations):
        step = _step(now, prior, turned, found, joints_m, information, damping)
        now = now @ rotmat_from_rotvec(step)
        found, turned = forward_kinematics(now, offsets_m)
    return now, found


def trust(found, joints_m, sigma, config: RefineConfig = RefineConfig()) -> np.ndarray:
    """
    Return how much each observed joint is to be believed (N, 29), 0 … 1.

    Geman-McClure on the distance between the solver's joint and the observed one, beyond what the
    stated sigma explains: a silent error stands out because the solver did not follow it.
    """
    miss = _residual(found, joints_m, np.ones(found.shape[:2]))
    squared = np.einsum('nji,nji->nj', miss, miss)
    scale = config.gross_m**2 + 3 * (SIGMA_UNIT_M * np.asarray(sigma))**2
    return (scale / (scale + squared))**4


def _residual(found, joints_m, information) -> np.ndarray:
    """Observed minus posed joints (N, 29, 3), after the best shift: the root is noisy as well."""
    miss = joints_m - found
    total = np.maximum(information.sum(axis=1, keepdims=True), 1e-12)
    return miss - (np.einsum('nj,nji->ni', information, miss) / total)[:, None]


def _step(now, prior, turned, found, joints_m, information, damping) -> np.ndarray:
    """Solve one Gauss-Newton step: rotation vectors (N, 24, 3) in the joints' own axes."""
    total = np.maximum(information.sum(axis=1), 1e-12)
    lever = (found[:, :, None] - found[:, None, :24]) * _MOVES[..., None]
    # column of axis a of joint k: (R_k e_a) × lever; the axes are the columns of R_k
    axes = turned.swapaxes(-1, -2)[:, None]
    jacobian = np.cross(axes, lever[:, :, :, None]).reshape(len(now), 29, 72, 3)
    jacobian = jacobian.swapaxes(2, 3)
    mean = np.einsum('nj,njia->nia', information / total[:, None], jacobian)
    jacobian = (jacobian - mean[:, None]).reshape(len(now), 87, 72)
    weighted = jacobian.swapaxes(1, 2) * np.repeat(information, 3, axis=1)[:, None]
    residual = _residual(found, joints_m, information).reshape(-1, 87, 1)
    # where the pose has left the prior, the prior pulls it back
    back = rotvec_from_rotmat(now.swapaxes(-1, -2) @ prior).reshape(-1, 72, 1)
    pull = weighted @ residual + damping @ back
    return np.linalg.solve(weighted @ jacobian + damping, pull).reshape(-1, 24, 3)
