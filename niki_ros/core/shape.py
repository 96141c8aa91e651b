"""The body's shape from one observation: robust, because some of the joints may be wrong."""

from __future__ import annotations

from niki_ros.core.skeleton import PARENTS_29, Skeleton
from niki_ros.core.types import SIGMA_UNIT_M
import numpy as np

# every bone, and the pairs that one rigid part holds together (hips and spine, collars and neck)
_RIGID = ((1, 2), (1, 3), (2, 3), (12, 13), (12, 14), (13, 14))
PAIRS = np.asarray([(PARENTS_29[j], j) for j in range(1, 29)] + list(_RIGID))
_FLOOR_M = 0.001
_ITERATIONS = 6


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
    near, far = PAIRS.T
    bones = skeleton.rest_joints_m[far] - skeleton.rest_joints_m[near]
    basis = skeleton.shape_basis_m[:, far] - skeleton.shape_basis_m[:, near]
    rows, flat = basis.transpose(1, 2, 0), basis.reshape(len(basis), -1)
    betas = _start(length, variance, bones, skeleton)
    robust = 0.03
    for _ in range(_ITERATIONS):
        vector = bones + (betas @ flat).reshape(-1, *bones.shape)
        fitted = np.sqrt(np.einsum('nki,nki->nk', vector, vector))
        jacobian = np.matmul((vector / fitted[..., None]).swapaxes(0, 1), rows).swapaxes(0, 1)
        residual = length - fitted
        scale = robust**2 + 4 * variance
        weight = (scale / (scale + residual**2))**2 / variance
        weighted = (jacobian * weight[..., None]).swapaxes(1, 2)
        information = weighted @ jacobian
        pull = (weighted @ residual[..., None])[..., 0] - betas
        step = np.linalg.solve(information + np.eye(len(basis)), pull[..., None])[..., 0]
        betas = np.clip(betas + step, -5.0, 5.0)
        robust = max(robust * 0.6, 0.006)
    return betas, information


def _measured_lengths(joints_m, sigma):
    """Return the lengths (N, K) between the pairs, noise bias removed, and their variances."""
    joints, sigma = np.asarray(joints_m, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    near, far = PAIRS.T
    between = joints[:, far] - joints[:, near]
    raw = np.sqrt(np.einsum('nki,nki->nk', between, between))
    # a joint that is not observed has no useful upper limit of its error: weight nearly nothing
    spread = SIGMA_UNIT_M * sigma + 100.0 * np.maximum(sigma - 0.95, 0.0)
    noise = spread[:, near]**2 + spread[:, far]**2
    # E|b + n| is about |b| + noise / |b|: two coordinates across the bone, each adds half of it
    length = raw - np.minimum(noise / np.maximum(raw, 0.05), 0.5 * raw)
    # long bones under large noise: the correction itself is uncertain
    variance = _FLOOR_M**2 + noise + (noise / np.maximum(raw, 0.05))**2
    return length, variance


def _start(length, variance, bones, skeleton: Skeleton) -> np.ndarray:
    """Return betas (N, 10) of a mean body scaled by the weighted median of the length ratios."""
    rest = np.sqrt(np.einsum('ki,ki->k', bones, bones))
    ratio = length / rest
    weight = rest**2 / variance
    order = np.argsort(ratio, axis=1)
    total = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    middle = np.argmax(total >= 0.5 * total[:, -1:], axis=1)[:, None]
    median = np.take_along_axis(np.take_along_axis(ratio, order, axis=1), middle, axis=1)[:, 0]
    betas = np.zeros((len(length), len(skeleton.shape_basis_m)))
    betas[:, 0] = np.clip((median - 1) / scale_per_beta(skeleton), -4, 4)
    # little is known: stay at the mean body
    known = total[:, -1] * scale_per_beta(skeleton)**2
    betas[:, 0] *= known / (known + 1)
    return betas


def size_doubt(information) -> np.ndarray:
    """Return the standard deviation (N,) of the first shape value, 1 where nothing is known."""
    width = information.shape[-1]
    covariance = np.linalg.inv(information + np.eye(width))
    return np.sqrt(covariance[..., 0, 0])


def resized(betas, log_size, skeleton: Skeleton) -> np.ndarray:
    """Return the betas (N, 10) of the same bodies made exp(``log_size``) (N,) times as large."""
    factor = np.exp(np.asarray(log_size))[..., None]
    out = np.asarray(betas) * factor
    out[..., 0] += (factor[..., 0] - 1) / scale_per_beta(skeleton)
    return out


def scale_per_beta(skeleton: Skeleton) -> float:
    """Return the relative growth of the whole body per unit of the first shape value."""
    rest = skeleton.rest_joints_m
    return float(np.sum(skeleton.shape_basis_m[0] * rest) / np.sum(rest * rest))


def body_scale(betas, skeleton: Skeleton) -> np.ndarray:
    """Return the size (N,) of each body relative to the mean body, 0.5 or more."""
    return np.maximum(1 + scale_per_beta(skeleton) * np.asarray(betas)[..., 0], 0.5)
