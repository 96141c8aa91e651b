"""Robust estimate of a body's shape from the distances between its joints."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Optional

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import PARENTS_29, Skeleton
import numpy as np

# pairs of joints within one rigid part: hips and spine, collars and neck
_RIGID_PAIRS = ((1, 2), (1, 3), (2, 3), (12, 13), (12, 14), (13, 14))
PAIRS = np.asarray([(PARENTS_29[j], j) for j in range(1, 29)] + list(_RIGID_PAIRS))
"""(34, 2) indices of the joints whose distances tell the shape: every bone, and rigid pairs."""
_NEAR, _FAR = PAIRS.T.copy()
MIN_BODY_SCALE = 0.5
"""Size of the smallest body over that of the mean body."""


@dataclass(frozen=True)
class ShapeFitNumbers:
    """Numbers of the fit."""

    iterations: int = 6  # Gauss-Newton steps
    min_error_m: float = 0.001  # of a length even when its joints are exact
    robust_m: float = 0.03  # residual from which a length counts less, in the first step
    robust_shrink_ratio: float = 0.6  # by this ``robust_m`` becomes smaller from step to step,
    min_robust_m: float = 0.006  # down to this
    max_beta: float = 5.0  # limit of every shape value


class ShapePrior(NamedTuple):
    """What is known of one body's shape before its joints are seen."""

    betas: np.ndarray  # (10,)
    information: np.ndarray  # (10, 10) inverse covariance, with that of the prior N(0, I)


@dataclass(frozen=True)
class _Lengths:
    """The K squared lengths of a skeleton, which are quadratic in its B shape values."""

    rest_m: np.ndarray  # (K,) lengths at betas = 0
    squared: np.ndarray  # (K,) their squares, m²
    slope: np.ndarray  # (B, K) half the gradient of the squared lengths at betas = 0, m²
    bend: np.ndarray  # (B, B K) half their second derivatives, m²
    growth: float  # relative growth of the whole body per unit of the first shape value


@lru_cache(maxsize=8)
def _lengths_of(skeleton: Skeleton) -> _Lengths:
    bones = skeleton.rest_joints_m[_FAR] - skeleton.rest_joints_m[_NEAR]
    basis = skeleton.shape_basis_m[:, _FAR] - skeleton.shape_basis_m[:, _NEAR]
    squared = np.sum(bones**2, axis=-1)
    bend = np.einsum('aki,bki->abk', basis, basis).reshape(len(basis), -1)
    rest = skeleton.rest_joints_m
    growth = float(np.sum(skeleton.shape_basis_m[0] * rest) / np.sum(rest * rest))
    return _Lengths(np.sqrt(squared), squared, np.einsum('bki,ki->bk', basis, bones), bend, growth)


def betas_from_joints(joints_m, sigma, skeleton: Skeleton) -> np.ndarray:
    """Return the betas (N, 10) of :func:`shape_information`, 0 where nothing is observed."""
    return shape_information(joints_m, sigma, skeleton)[0]


def shape_information(joints_m, sigma, skeleton: Skeleton,
                      numbers: ShapeFitNumbers = ShapeFitNumbers()):
    """
    Return betas fitted to the distances between joints, and their information matrices.

    Maximum a posteriori with the prior N(0, I) and Geman-McClure weights on the residuals
    (iteratively reweighted Gauss-Newton from the median length ratio), so that joints with errors
    beyond their sigma do not count.

    :param joints_m: (N, 29, 3) metres, any axes.
    :param sigma: (N, 29) expected error per coordinate, units of 200 mm; 1 = unobserved.
    :return: betas (N, 10), and the information (N, 10, 10) of the lengths without the prior.
        Not to be averaged over frames: each estimate is drawn towards the mean body. Hand the
        lengths of the next frame to :func:`shape_from_lengths` with what is known as its prior.
    """
    length, variance = without_bias(
        lengths_between(joints_m), length_noise_m2(sigma), numbers=numbers)
    return shape_from_lengths(length, variance, skeleton, numbers)


def shape_from_lengths(length, variance, skeleton: Skeleton,
                       numbers: ShapeFitNumbers = ShapeFitNumbers(),
                       prior: Optional[ShapePrior] = None):
    """
    Return the same as :func:`shape_information` for measured distances.

    :param length: (N, 34) between the joints of :data:`PAIRS`, metres. :param variance: (N, 34).
    :param prior: of all N bodies; None = N(0, I).
    """
    tables = _lengths_of(skeleton)
    if prior is None:
        betas = _initial_betas(length, variance, tables)
        prior = ShapePrior(np.zeros(betas.shape[1]), np.eye(betas.shape[1]))
    else:
        betas = np.tile(prior.betas, (len(length), 1))
    (count, width), variance4 = betas.shape, 4 * variance
    # rows of the Jacobian, transposed, and the residual below them
    rows = np.empty((count, width + 1, len(PAIRS)))
    robust_m = numbers.robust_m
    for _ in range(numbers.iterations):
        slope = (betas @ tables.bend).reshape(count, width, -1) + tables.slope
        squared = (betas[:, None] @ (slope + tables.slope))[:, 0] + tables.squared
        fitted = np.sqrt(np.maximum(squared, 1e-6))
        np.divide(slope, fitted[:, None], out=rows[:, :-1])
        residual = np.subtract(length, fitted, out=rows[:, -1])
        scale = robust_m**2 + variance4
        weight = (scale / (scale + residual**2))**2 / variance
        system = (rows[:, :-1] * weight[:, None]) @ rows.swapaxes(1, 2)
        information = system[..., :-1]
        back = (betas - prior.betas) @ prior.information
        step = np.linalg.solve(information + prior.information,
                               system[..., -1:] - back[..., None])[..., 0]
        betas = np.minimum(np.maximum(betas + step, -numbers.max_beta), numbers.max_beta)
        robust_m = max(robust_m * numbers.robust_shrink_ratio, numbers.min_robust_m)
    return betas, information


def lengths_between(joints_m) -> np.ndarray:
    """Return the distances (N, 34) between the joints (N, 29, 3) of :data:`PAIRS`, metres."""
    joints_m = np.asarray(joints_m, dtype=np.float64)
    between = joints_m.take(_FAR, 1) - joints_m.take(_NEAR, 1)
    return np.sqrt(np.einsum('nki,nki->nk', between, between))


def length_noise_m2(sigma) -> np.ndarray:
    """
    Return the variance (N, 34) of the vectors between the joints of :data:`PAIRS`, per coordinate.

    :param sigma: (N, 29) expected error per coordinate, units of 200 mm; 1 = unobserved.
    """
    sigma = np.asarray(sigma, dtype=np.float64)
    # the error of an unobserved joint has no useful upper limit: its weight is nearly 0
    joint_variance = (SIGMA_UNIT_M * sigma + 100.0 * np.maximum(sigma - 0.95, 0.0))**2
    return joint_variance.take(_NEAR, 1) + joint_variance.take(_FAR, 1)


def without_bias(length, noise, new_share: float = 1.0,
                 numbers: ShapeFitNumbers = ShapeFitNumbers()):
    """
    Return lengths (N, 34), metres, without the bias of noise, and their variances (N, 34), m².

    E|b + n| is about |b| + noise / |b|: each of the two coordinates across the bone adds half.

    :param length: (N, 34) as measured. :param noise: (N, 34) of :func:`length_noise_m2`.
    :param new_share: part of ``noise`` that is new in every image, so that it makes lengths longer
        on average; an error that lasts makes one as often shorter.
    """
    bias = noise / np.maximum(length, 0.05)
    # where the noise is large the correction itself is uncertain
    return (length - np.minimum(new_share * bias, 0.5 * length),
            numbers.min_error_m**2 + noise + bias**2)


def _initial_betas(length, variance, tables: _Lengths) -> np.ndarray:
    """Return betas (N, B) of the mean body, scaled by the weighted median of the length ratios."""
    ratio = length / tables.rest_m
    order = np.argsort(ratio, axis=1)
    people = np.arange(len(ratio))[:, None]
    total = np.cumsum((tables.squared / variance)[people, order], axis=1)
    middle = np.argmax(total >= 0.5 * total[:, -1:], axis=1)
    median = ratio[people[:, 0], order[people[:, 0], middle]]
    # the prior N(0, 1) keeps the mean body where the lengths tell little
    known = total[:, -1] * tables.growth**2
    betas = np.zeros((len(ratio), len(tables.bend)))
    scaled = np.minimum(np.maximum((median - 1) / tables.growth, -4), 4)
    betas[:, 0] = scaled * (known / (known + 1))
    return betas


def size_sigma(information) -> np.ndarray:
    """Return the standard deviation (N,) of the first beta, by information (N, 10, 10)."""
    covariance = np.linalg.inv(information + np.eye(information.shape[-1]))
    return np.sqrt(covariance[..., 0, 0])


def resized_betas(betas, log_size, skeleton: Skeleton) -> np.ndarray:
    """Return betas (N, 10) of the same bodies, scaled by exp(``log_size``) (N,)."""
    factor = np.exp(np.asarray(log_size))[..., None]
    out = np.asarray(betas) * factor
    out[..., 0] += (factor[..., 0] - 1) / scale_per_beta(skeleton)
    return out


def scale_per_beta(skeleton: Skeleton) -> float:
    """Return the relative growth of the whole body per unit of the first shape value."""
    return _lengths_of(skeleton).growth


def body_scale(betas, skeleton: Skeleton) -> np.ndarray:
    """Return the size (N,) of bodies over that of the mean body, at least MIN_BODY_SCALE."""
    return np.maximum(1 + scale_per_beta(skeleton) * np.asarray(betas)[..., 0], MIN_BODY_SCALE)
