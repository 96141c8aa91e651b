"""
Kinematic refinement: from a solver's pose towards the joints that deserve trust.

Gauss-Newton on the rotations of the tree with the solver's pose as prior: exact where the
evidence is good, the solver's where it is not. Batched numpy.
"""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.kinematics import ANCESTORS, forward_kinematics
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.rotations import cross, rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs


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


_TOGETHER = 4
# (24, 29) 1 where the rotation of the first joint moves the second
_DESCENDANTS = ANCESTORS.T.copy()


def refine(rotmat, offsets_m, joints_m, sigma, config: RefineConfig = RefineConfig(),
           posed=None):
    """
    Turn the joints of each body so that it meets its trusted observations.

    Unknown are small rotations about the axes of the world, one for each joint: the prior is as
    stiff about every axis, and in these axes a joint moves by rotation × lever alone.

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
    step = None
    for i in range(config.iterations):
        pull = _pull(found, joints_m, information)
        if step is not None:
            back = -step if i == 1 else rotvec_from_rotmat(now.swapaxes(-1, -2) @ prior)
            pull += stiffness * (turned @ back[..., None])[..., 0]
        turn = _turn(found, information, stiffness, pull)
        step = (turn[..., None, :] @ turned)[..., 0, :]
        now = now @ rotmat_from_rotvec(step)
        found, turned = forward_kinematics(now, offsets_m)
    return now, found


def trust(found, joints_m, sigma, config: RefineConfig = RefineConfig()) -> np.ndarray:
    """
    Return how much each observed joint is to be believed (N, 29), 0 … 1.

    Geman-McClure on the distance between the solver's joint and the observed one, beyond what the
    stated sigma explains: a silent error stands out because the solver did not follow it.
    """
    miss = joints_m - found
    miss = miss - np.add.reduce(miss, axis=1, keepdims=True) / miss.shape[1]
    squared = np.einsum('nji,nji->nj', miss, miss)
    scale = config.gross_m**2 + 3 * (SIGMA_UNIT_M * np.asarray(sigma))**2
    return (scale / (scale + squared))**4


def _pull(found, joints_m, information) -> np.ndarray:
    """Return the moments (N, 24, 3) about each joint of what pulls at the joints below it."""
    miss = joints_m - found
    total = np.maximum(information.sum(axis=1, keepdims=True), 1e-12)
    # after the best shift: the root is noisy as well
    miss = miss - (information / total)[:, None] @ miss
    force = miss * information[..., None]
    return _DESCENDANTS @ cross(found, force) - cross(found[:, :24], _DESCENDANTS @ force)


def _normal(found, information, stiffness) -> np.ndarray:
    """
    Return the normal matrix (N, 72, 72); unknowns are ordered axis by axis, not joint by joint.

    A joint moves by w × a for the turn w of a joint above it, with the lever a between the two;
    (v × a) · (w × b) = (v · w) (a · b) - (v · b) (a · w), so sums of products of levers are all
    that is needed.
    """
    count = len(found)
    place = found.swapaxes(1, 2)
    lever = (place[:, :, None] - place[:, :, :24, None]).reshape(count, 3, 24, 29) * _DESCENDANTS
    lever = lever.reshape(count, 72, 29)
    total = np.maximum(information.sum(axis=1), 1e-12)[:, None]
    lever -= (lever @ (information / total)[..., None])
    lever *= np.sqrt(information)[:, None]
    products = (lever @ lever.swapaxes(1, 2)).reshape(count, 3, 24, 3, 24)
    normal = np.negative(products.swapaxes(1, 3), order='C')
    both = products[:, 0, :, 0] + products[:, 1, :, 1] + products[:, 2, :, 2]
    both.reshape(count, -1)[:, ::25] += stiffness
    for axis in range(3):
        normal[:, axis, :, axis] += both
    return normal.reshape(count, 72, 72)


def _turn(found, information, stiffness, pull) -> np.ndarray:
    """Solve for the turns (N, 24, 3), a few bodies at a time: their matrices stay in the cache."""
    turn = np.empty((len(pull), 72))
    right = pull.swapaxes(1, 2).reshape(-1, 72)
    for begin in range(0, len(turn), _TOGETHER):
        few = np.s_[begin:begin + _TOGETHER]
        for i, matrix in enumerate(_normal(found[few], information[few], stiffness), begin):
            factor, _ = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
            turn[i] = dpotrs(factor, right[i], lower=1)[0]
    return turn.reshape(-1, 3, 24).swapaxes(1, 2)
