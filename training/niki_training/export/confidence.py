"""Fits the confidence of a solver: the probability that an observed joint is correct."""

from niki_ros.body.confidence import CONFIDENT_WITHIN_M
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.solvers.niki_confidence import confidence_features
import numpy as np
from scipy.optimize import minimize

from niki_training.corrupt.protocol import corrupt_for_row, PROTOCOL_ROWS

_RIDGE = 1e-4


def fit_confidence(solver, poses, rows=PROTOCOL_ROWS, seed: int = 3) -> dict:
    """
    Fit a logistic model of the event that solution and observation are both near the truth.

    Near means within ``CONFIDENT_WITHIN_M``. The features are residual, sigma and error, see
    :func:`niki_ros.solvers.niki_confidence.confidence_features`.

    :param solver: the solver, measured without refinement.
    :param poses: rotations, joints (n, 1, 29, 3) in metres and betas of held-out motion.
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
        # the observation is aligned at a noisy root: measure it after its best translation
        miss = noisy - truth
        miss = miss - np.median(miss, axis=1, keepdims=True)
        seen = np.linalg.norm(miss, axis=-1)[:, :24] < CONFIDENT_WITHIN_M
        error = np.linalg.norm(found - truth, axis=-1)[:, :24]
        right.append((error < CONFIDENT_WITHIN_M) & seen)
    solver.refine = refined
    return _logistic(np.concatenate(features).reshape(-1, 6), np.concatenate(right).ravel())


def _logistic(features, right) -> dict:
    """Return the maximum-likelihood fit with a ridge of ``_RIDGE``, by L-BFGS."""
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)

    def cost(w):
        logit = x @ w
        p = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
        value = np.mean(np.logaddexp(0, logit) - right * logit) + _RIDGE * w @ w
        return value, x.T @ (p - right) / len(x) + 2 * _RIDGE * w

    w = minimize(cost, np.zeros(x.shape[1]), jac=True, method='L-BFGS-B').x
    return {'weight': [round(float(v), 5) for v in w[:-1]], 'bias': round(float(w[-1]), 5)}
