"""
Kinematic refinement: Gauss-Newton on the rotations, from a solver's pose to the observed joints.

The solver's pose is the prior. The result is exact where the observation is good, and the solver's
pose where it is not.
"""

from dataclasses import dataclass

from niki_ros.body.kinematics import ANCESTORS, forward_kinematics
from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.rotations import cross, rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs


@dataclass(frozen=True)
class RefineNumbers:
    """Numbers of the refinement; a manifest may replace them."""

    iterations: int = 2  # Gauss-Newton steps
    floor_m: float = 0.0015  # error of an observed joint even when its sigma is 0
    gross_m: float = 0.06  # an exact joint farther from the solver's joint counts less
    prior_rad: float = 0.08  # expected error of the solver's rotations, per axis


_BODIES_PER_BATCH = 4  # the normal matrices of so many bodies fit into the cache together
# (24, 29) 1 where the rotation of the first joint moves the second
_DESCENDANTS = ANCESTORS.T.copy()


def refine_rotations(rotmat, offsets_m, joints_m, sigma, numbers: RefineNumbers = RefineNumbers(),
                     posed=None):
    """
    Return rotations and joints of each body, fitted to its observed joints.

    The unknowns are small rotations of every joint about the axes of the world. In these axes a
    joint moves by rotation × lever alone, and the prior has the same stiffness about every axis.

    :param rotmat: (N, 24, 3, 3) local, the prior. :param offsets_m: (N, 29, 3) bones at rest.
    :param joints_m: (N, 29, 3) observed, relative to the pelvis as the result.
    :param sigma: (N, 29) expected error per coordinate, units of 200 mm; 1 = unobserved.
    :param posed: forward kinematics of ``rotmat``, where known.
    """
    now = prior = np.asarray(rotmat, dtype=np.float64)
    posed_m, world = posed or forward_kinematics(prior, offsets_m)
    sigma = np.asarray(sigma)
    information = _robust_weights(posed_m, joints_m, sigma, numbers) * (sigma < 0.999) / (
        (SIGMA_UNIT_M * sigma)**2 + numbers.floor_m**2)
    stiffness = 1 / numbers.prior_rad**2
    step = None
    for i in range(numbers.iterations):
        moments = _moments(posed_m, joints_m, information)
        if step is not None:
            to_prior = -step if i == 1 else rotvec_from_rotmat(now.swapaxes(-1, -2) @ prior)
            moments += stiffness * (world @ to_prior[..., None])[..., 0]
        rotvec = _solve_normal_equations(posed_m, information, stiffness, moments)
        step = (rotvec[..., None, :] @ world)[..., 0, :]
        now = now @ rotmat_from_rotvec(step)
        posed_m, world = forward_kinematics(now, offsets_m)
    return now, posed_m


def _robust_weights(posed_m, joints_m, sigma, numbers: RefineNumbers) -> np.ndarray:
    """
    Return the weight (N, 29), 0 … 1, of each observed joint.

    Geman-McClure on the distance between the solver's joint and the observed one, beyond the
    stated sigma: the solver does not follow a joint whose error is larger than its sigma.
    """
    miss = joints_m - posed_m
    miss = miss - np.add.reduce(miss, axis=1, keepdims=True) / miss.shape[1]
    squared = np.einsum('nji,nji->nj', miss, miss)
    scale = numbers.gross_m**2 + 3 * (SIGMA_UNIT_M * sigma)**2
    return (scale / (scale + squared))**4


def _moments(posed_m, joints_m, information) -> np.ndarray:
    """Return the moments (N, 24, 3) about each joint, the right side of the normal equations."""
    miss = joints_m - posed_m
    total = np.maximum(information.sum(axis=1, keepdims=True), 1e-12)
    # without the best common shift, because the root is noisy as well
    miss = miss - (information / total)[:, None] @ miss
    force = miss * information[..., None]
    return _DESCENDANTS @ cross(posed_m, force) - cross(posed_m[:, :24], _DESCENDANTS @ force)


def _normal_matrices(posed_m, information, stiffness) -> np.ndarray:
    """
    Return the normal matrices (N, 72, 72); unknowns are ordered axis by axis, not joint by joint.

    A joint moves by w × a for the rotation w of a joint above it, with the lever a between the
    two. Because (v × a) · (w × b) = (v · w) (a · b) - (v · b) (a · w), all entries are sums of
    products of levers.
    """
    count = len(posed_m)
    positions = posed_m.swapaxes(1, 2)
    lever = (positions[:, :, None] - positions[:, :, :24, None]).reshape(
        count, 3, 24, 29) * _DESCENDANTS
    lever = lever.reshape(count, 72, 29)
    total = np.maximum(information.sum(axis=1), 1e-12)[:, None]
    lever -= (lever @ (information / total)[..., None])
    lever *= np.sqrt(information)[:, None]
    products = (lever @ lever.swapaxes(1, 2)).reshape(count, 3, 24, 3, 24)
    normal = np.negative(products.swapaxes(1, 3), order='C')
    trace = products[:, 0, :, 0] + products[:, 1, :, 1] + products[:, 2, :, 2]
    trace.reshape(count, -1)[:, ::25] += stiffness
    for axis in range(3):
        normal[:, axis, :, axis] += trace
    return normal.reshape(count, 72, 72)


def _solve_normal_equations(posed_m, information, stiffness, moments) -> np.ndarray:
    """Return rotation vectors (N, 24, 3), world axes, radians, by Cholesky decomposition."""
    rotvec = np.empty((len(moments), 72))
    right = moments.swapaxes(1, 2).reshape(-1, 72)
    for begin in range(0, len(rotvec), _BODIES_PER_BATCH):
        batch = np.s_[begin:begin + _BODIES_PER_BATCH]
        matrices = _normal_matrices(posed_m[batch], information[batch], stiffness)
        for i, matrix in enumerate(matrices, begin):
            factor, _ = dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
            rotvec[i] = dpotrs(factor, right[i], lower=1)[0]
    return rotvec.reshape(-1, 3, 24).swapaxes(1, 2)
