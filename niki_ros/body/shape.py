"""The body's shape from one observation: robust, because some of the joints may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import PARENTS_29, Skeleton
import numpy as np

# every bone, and the pairs that one rigid part holds together (hips and spine, collars and neck)
_RIGID = ((1, 2), (1, 3), (2, 3), (12, 13), (12, 14), (13, 14))
PAIRS = np.asarray([(PARENTS_29[j], j) for j in range(1, 29)] + list(_RIGID))
_NEAR, _FAR = PAIRS.T.copy()
_FLOOR_M = 0.001
_ITERATIONS = 6


@dataclass(frozen=True)
class _Lengths:
    """
    The K squared lengths of a skeleton, which are quadratic in its B shape values.

    :param rest_m: (K,) lengths at betas = 0. :param squared: (K,) their squares.
    :param slope: (B, K) half the gradient of the squared lengths at betas = 0.
    :param bend: (B, B K) half their second derivatives.
    :param growth: relative growth of the whole body per unit of the first shape value.
    """

    rest_m: np.ndarray
    squared: np.ndarray
    slope: np.ndarray
    bend: np.ndarray
    growth: float


@lru_cache(maxsize=8)
def _lengths_of(skeleton: Skeleton) -> _Lengths:
    """Return the tables of a skeleton, made once."""
    bones = skeleton.rest_joints_m[_FAR] - skeleton.rest_joints_m[_NEAR]
    basis = skeleton.shape_basis_m[:, _FAR] - skeleton.shape_basis_m[:, _NEAR]
    squared = np.sum(bones**2, axis=-1)
    bend = np.einsum('aki,bki->abk', basis, basis).reshape(len(basis), -1)
    rest = skeleton.rest_joints_m
    growth = float(np.sum(skeleton.shape_basis_m[0] * rest) / np.sum(rest * rest))
    return _Lengths(np.sqrt(squared), squared, np.einsum('bki,ki->bk', basis, bones), bend, growth)


def betas_from_joints(joints_m, sigma, skeleton: Skeleton) -> np.ndarray:
    """
    Estimate the shape of each body from its observed joints alone.

    :param joints_m: (N, 29, 3) metres, any axes.
    :param sigma: (N, 29) expected error per coordinate over 200 mm; 1 = unobserved.
    :return: betas (N, 10); 0 where nothing is observed.
    """
    return shape_information(joints_m, sigma, skeleton)[0]


def shape_information(joints_m, sigma, skeleton: Skeleton):
    """
    Fit betas to the lengths between joints, and say how much is known about them.

    Maximum a posteriori with the prior N(0, I) and Geman-McClure weights on the residuals
    (iteratively reweighted Gauss-Newton from the median length ratio), so that joints that are
    silently wrong do not count.

    :return: betas (N, 10), and the information (N, 10, 10) of the lengths without the prior:
        estimates of several frames are joined by summing information and information · betas.
    """
    length, variance = _measured_lengths(joints_m, sigma)
    return shape_from_lengths(length, variance, skeleton)


def shape_from_lengths(length, variance, skeleton: Skeleton):
    """
    Fit betas to measured distances; otherwise as :func:`shape_information`.

    :param length: (N, 34) metres between the joints of :data:`PAIRS`.
    :param variance: (N, 34) of each, square metres.
    """
    tables = _lengths_of(skeleton)
    betas = _start(length, variance, tables)
    (count, width), doubled = betas.shape, 4 * variance
    rows = np.empty((count, width + 1, len(PAIRS)))     # the Jacobian's, and the residual below it
    one = np.eye(width)
    robust = 0.03
    for _ in range(_ITERATIONS):
        slope = (betas @ tables.bend).reshape(count, width, -1) + tables.slope
        squared = (betas[:, None] @ (slope + tables.slope))[:, 0] + tables.squared
        fitted = np.sqrt(np.maximum(squared, 1e-6))
        np.divide(slope, fitted[:, None], out=rows[:, :-1])
        residual = np.subtract(length, fitted, out=rows[:, -1])
        scale = robust**2 + doubled
        weight = (scale / (scale + residual**2))**2 / variance
        system = (rows[:, :-1] * weight[:, None]) @ rows.swapaxes(1, 2)
        information = system[..., :-1]
        step = np.linalg.solve(information + one, system[..., -1:] - betas[..., None])[..., 0]
        betas = np.minimum(np.maximum(betas + step, -5.0), 5.0)
        robust = max(robust * 0.6, 0.006)
    return betas, information


def _measured_lengths(joints_m, sigma):
    """Return the lengths (N, K) between the pairs, noise bias removed, and their variances."""
    joints, sigma = np.asarray(joints_m, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    between = joints.take(_FAR, 1) - joints.take(_NEAR, 1)
    raw = np.sqrt(np.einsum('nki,nki->nk', between, between))
    # a joint that is not observed has no useful upper limit of its error: weight nearly nothing
    spread = (SIGMA_UNIT_M * sigma + 100.0 * np.maximum(sigma - 0.95, 0.0))**2
    noise = spread.take(_NEAR, 1) + spread.take(_FAR, 1)
    # E|b + n| is about |b| + noise / |b|: two coordinates across the bone, each adds half of it
    bias = noise / np.maximum(raw, 0.05)
    # long bones under large noise: the correction itself is uncertain
    return raw - np.minimum(bias, 0.5 * raw), _FLOOR_M**2 + noise + bias**2


def _start(length, variance, tables: _Lengths) -> np.ndarray:
    """Return betas (N, B) of a mean body scaled by the weighted median of the length ratios."""
    ratio = length / tables.rest_m
    order = np.argsort(ratio, axis=1)
    people = np.arange(len(ratio))[:, None]
    total = np.cumsum((tables.squared / variance)[people, order], axis=1)
    middle = np.argmax(total >= 0.5 * total[:, -1:], axis=1)
    median = ratio[people[:, 0], order[people[:, 0], middle]]
    # little is known: stay at the mean body
    known = total[:, -1] * tables.growth**2
    betas = np.zeros((len(ratio), len(tables.bend)))
    scaled = np.minimum(np.maximum((median - 1) / tables.growth, -4), 4)
    betas[:, 0] = scaled * (known / (known + 1))
    return betas


def size_sigma(information) -> np.ndarray:
    """Return the standard deviation (N,) of the first shape value, 1 where nothing is known."""
    width = information.shape[-1]
    covariance = np.linalg.inv(information + np.eye(width))
    return np.sqrt(covariance[..., 0, 0])


def resized_betas(betas, log_size, skeleton: Skeleton) -> np.ndarray:
    """Return the betas (N, 10) of the same bodies made exp(``log_size``) (N,) times as large."""
    factor = np.exp(np.asarray(log_size))[..., None]
    out = np.asarray(betas) * factor
    out[..., 0] += (factor[..., 0] - 1) / scale_per_beta(skeleton)
    return out


def scale_per_beta(skeleton: Skeleton) -> float:
    """Return the relative growth of the whole body per unit of the first shape value."""
    return _lengths_of(skeleton).growth


def body_scale(betas, skeleton: Skeleton) -> np.ndarray:
    """Return the size (N,) of each body relative to the mean body, 0.5 or more."""
    return np.maximum(1 + scale_per_beta(skeleton) * np.asarray(betas)[..., 0], 0.5)
