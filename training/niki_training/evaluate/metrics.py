"""Scores of the evaluation protocol, numpy."""

from __future__ import annotations

from niki_ros.body.rotations import angle_rad
import numpy as np


def mpjpe_mm(found, truth) -> np.ndarray:
    """Mean distance (N,) of the 24 joints after root alignment, mm."""
    found, truth = found[..., :24, :], truth[..., :24, :]
    difference = (found - found[..., :1, :]) - (truth - truth[..., :1, :])
    return 1000 * np.linalg.norm(difference, axis=-1).mean(axis=-1)


def pa_mpjpe_mm(found, truth) -> np.ndarray:
    """Mean distance (N,) of the 24 joints after the best similarity (Procrustes), mm."""
    a, b = found[:, :24], truth[:, :24]
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    u, s, vt = np.linalg.svd(np.einsum('nji,njk->nik', b, a))
    sign = np.sign(np.linalg.det(u @ vt))
    s[:, 2] *= sign
    u[:, :, 2] *= sign[:, None]
    scale = s.sum(1) / np.maximum((a**2).sum((1, 2)), 1e-12)
    turned = np.einsum('nik,njk->nji', u @ vt, a) * scale[:, None, None]
    return 1000 * np.linalg.norm(turned - b, axis=-1).mean(axis=-1)


def rotation_deg(found, truth) -> np.ndarray:
    """Mean geodesic angle (N,) between the 24 local rotations, degrees."""
    return np.degrees(angle_rad(found, truth)).mean(axis=-1)


def acceleration_mm(found, truth) -> float:
    """Mean acceleration error of sequences (B, T, 29, 3), mm per frame squared."""
    def bend(x):
        x = x[:, :, :24] - x[:, :, :1]
        return x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    return float(1000 * np.linalg.norm(bend(found) - bend(truth), axis=-1).mean())


def auroc(score, positive) -> float:
    """Return the probability that a positive scores above a negative (rank statistic)."""
    score, positive = np.ravel(score), np.ravel(positive).astype(bool)
    if positive.all() or not positive.any():
        return float('nan')
    from scipy.stats import rankdata
    rank = rankdata(score)
    n = positive.sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))
