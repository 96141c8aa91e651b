"""
Kinematic refinement: from a solver's pose towards the joints that deserve trust.

Gauss-Newton on the rotations of the tree with the solver's pose as prior: exact where the
evidence is good, the solver's where it is not. Batched numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.core.kinematics import forward_kinematics
from niki_ros.core.rotations import rotmat_from_rotvec, rotvec_from_rotmat, skew
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
    :param prior_rad: how far the solver's rotations are off, per axis.
    """

    iterations: int = 2
    floor_m: float = 0.0015
    gross_m: float = 0.06
    prior_rad: float = 0.08


def _ancestry() -> np.ndarray:
    """Return the pairs (K, 2) of a joint and one above it: turning the second moves the first."""
    pairs = []
    for joint in range(29):
        above = PARENTS_29[joint]
        while above >= 0:
            pairs.append((joint, above))
            above = PARENTS_29[above]
    return np.asarray(pairs)


_MOVED, _TURNED = _ancestry().T


def refine(rotmat, offsets_m, joints_m, sigma, config: RefineConfig = RefineConfig(),
           posed=None):
    """
    Turn the joints of each body so that it meets its trusted observations.

    :param rotmat: (N, 24, 3, 3) local rotations of the solver, the prior.
    :param offsets_m: (N, 29, 3) bones at rest. :param joints_m: (N, 29, 3) observed joints.
    :param sigma: (N, 29) expected error per coordinate over 200 mm.
    :param posed: what forward kinematics gave for ``rotmat``, where that is known.
    :return: rotmat (N, 24, 3, 3) and joints (N, 29, 3) relative to the pelvis.
    """
    now = prior = np.asarray(rotmat, dtype=np.float64)
    found, turned = posed or forward_kinematics(prior, offsets_m)
    sigma = np.asarray(sigma)
    # nothing is said about a joint that is not observed at all
    information = trust(found, joints_m, sigma, config) * (sigma < 0.999) / (
        (SIGMA_UNIT_M * sigma)**2 + config.floor_m**2)
    stiffness = 1 / config.prior_rad**2
    for i in range(config.iterations):
        back = np.zeros((len(now), 72)) if i == 0 else rotvec_from_rotmat(
            now.swapaxes(-1, -2) @ prior).reshape(-1, 72)
        step = _step(turned, found, joints_m, information, stiffness, back)
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


def _step(turned, found, joints_m, information, stiffness, back) -> np.ndarray:
    """
    Solve one Gauss-Newton step: rotation vectors (N, 24, 3) in the joints' own axes.

    :param back: (N, 72) from the pose to the prior: the prior pulls there.
    """
    n = len(found)
    # turning joint k by w in its own axes moves joint j by (R_k w) × (p_j − p_k)
    lever = skew(found[:, _TURNED] - found[:, _MOVED])
    jacobian = np.zeros((n, 29, 24, 3, 3))
    jacobian[:, _MOVED, _TURNED] = lever @ turned[:, _TURNED]
    jacobian = jacobian.swapaxes(2, 3).reshape(n, 29, 216)
    total = np.maximum(information.sum(axis=1, keepdims=True), 1e-12)
    jacobian -= (information / total)[:, None] @ jacobian
    jacobian = jacobian.reshape(n, 87, 72)
    weighted = (jacobian * np.repeat(information, 3, axis=1)[..., None]).swapaxes(1, 2)
    residual = _residual(found, joints_m, information).reshape(n, 87, 1)
    pull = weighted @ residual + stiffness * back[..., None]
    normal = weighted @ jacobian
    normal[:, range(72), range(72)] += stiffness
    return np.linalg.solve(normal, pull).reshape(n, 24, 3)
