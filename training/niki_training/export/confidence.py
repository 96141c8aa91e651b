"""Fit the confidence: when is an observed joint right, told from residual, sigma and error."""

from __future__ import annotations

from niki_ros.body.confidence import CONFIDENT_WITHIN_M
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.solvers.niki_confidence import confidence_features
import numpy as np
from scipy.optimize import minimize

from niki_training.corrupt.protocol import corrupt_for_row, PROTOCOL_ROWS


def fit_confidence(solver, poses, rows=PROTOCOL_ROWS, seed: int = 3) -> dict:
    """
    Fit a logistic model of "the answer and the observation are as near as confidence says".

    :param solver: whose unrefined answers are judged. :param poses: held-out truth.
    :return: ``weight`` (6,) and ``bias`` for the manifest.
    """
    features, right = [], []
    _, joints, _ = poses
    refined, solver.refine = solver.refine, False
    for row in rows:
        rng = np.random.default_rng([seed, PROTOCOL_ROWS.index(row)])
        noisy, sigma, _ = corrupt_for_row(row, joints, rng)
        noisy, sigma, truth = noisy[:, 0], sigma[:, 0], joints[:, 0]
        solution = solver.solve(noisy, sigma)
        offsets = solver.skeleton.offsets(solution.betas)
        found, _ = forward_kinematics(solution.rotmat, offsets)
        features.append(confidence_features(found, noisy, sigma, solution.error_z))
        # the observation is root-aligned to a noisy root: judge it by its best shift
        miss = noisy - truth
        miss = miss - np.median(miss, axis=1, keepdims=True)
        seen = np.linalg.norm(miss, axis=-1)[:, :24] < CONFIDENT_WITHIN_M
        error = np.linalg.norm(found - truth, axis=-1)[:, :24]
        right.append((error < CONFIDENT_WITHIN_M) & seen)
    solver.refine = refined
    return _logistic(np.concatenate(features).reshape(-1, 6), np.concatenate(right).ravel())


def _logistic(features, right) -> dict:
    """Maximum likelihood with a little ridge, L-BFGS."""
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)

    def cost(w):
        logit = x @ w
        p = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
        value = np.mean(np.logaddexp(0, logit) - right * logit) + 1e-4 * w @ w
        return value, x.T @ (p - right) / len(x) + 2e-4 * w

    w = minimize(cost, np.zeros(x.shape[1]), jac=True, method='L-BFGS-B').x
    return {'weight': [round(float(v), 5) for v in w[:-1]], 'bias': round(float(w[-1]), 5)}
