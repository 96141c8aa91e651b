"""Scores of estimated joints and rotations against the ground truth."""

from niki_ros.body.rotations import angle_rad
import numpy as np

_CONFIDENCE_BINS = 10


def mpjpe_mm(found, truth) -> np.ndarray:
    """Return the mean distance (N,) of the 24 joints of (N, 29, 3) after root alignment, mm."""
    found, truth = found[..., :24, :], truth[..., :24, :]
    difference = (found - found[..., :1, :]) - (truth - truth[..., :1, :])
    return 1000 * np.linalg.norm(difference, axis=-1).mean(axis=-1)


def pa_mpjpe_mm(found, truth) -> np.ndarray:
    """Return the mean distance (N,) of the 24 joints after :func:`procrustes_aligned`, mm."""
    found, truth = found[:, :24], truth[:, :24]
    off_m = procrustes_aligned(found, truth) - truth
    return 1000 * np.linalg.norm(off_m, axis=-1).mean(axis=-1)


def procrustes_aligned(found, truth) -> np.ndarray:
    """Return ``found`` (..., n, 3) after the best similarity onto ``truth`` (Umeyama 1991)."""
    a, b = found - found.mean(-2, keepdims=True), truth - truth.mean(-2, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(b, -1, -2) @ a)
    flip = np.ones(s.shape)
    flip[..., 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotmat = (u * flip[..., None, :]) @ vt
    scale = (s * flip).sum(-1) / np.maximum((a**2).sum((-1, -2)), 1e-12)
    rotated = a @ np.swapaxes(rotmat, -1, -2) * scale[..., None, None]
    return rotated + truth.mean(-2, keepdims=True)


def rotation_deg(found, truth) -> np.ndarray:
    """Return the mean geodesic angle (N,) between local rotations (N, 24, 3, 3), degrees."""
    return np.degrees(angle_rad(found, truth)).mean(axis=-1)


def acceleration_error_mm_frame2(found, truth) -> float:
    """Return the mean acceleration error of sequences (B, T, 29, 3), mm per frame squared."""
    def acceleration(x):
        x = x[:, :, :24] - x[:, :, :1]
        return x[:, 2:] - 2 * x[:, 1:-1] + x[:, :-2]
    off_m = acceleration(found) - acceleration(truth)
    return float(1000 * np.linalg.norm(off_m, axis=-1).mean())


def auroc(score, positive) -> float:
    """Return the probability that a positive scores above a negative (rank statistic)."""
    score, positive = np.ravel(score), np.ravel(positive).astype(bool)
    if positive.all() or not positive.any():
        return float('nan')
    from scipy.stats import rankdata
    rank = rankdata(score)
    n = positive.sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def mean_or_none(values):
    """Return the mean as a float; None where there are no values."""
    return float(np.mean(values)) if np.size(values) else None


def calibration(confidence, right) -> dict[str, list[float]]:
    """Return mean confidence, share of right joints, and share of all joints in each bin."""
    bins = _CONFIDENCE_BINS
    index = np.minimum((np.asarray(confidence) * bins).astype(int), bins - 1)
    count = np.bincount(index.ravel(), minlength=bins)
    safe = np.maximum(count, 1)
    return {'claimed': (np.bincount(index.ravel(), np.ravel(confidence), bins) / safe).tolist(),
            'true': (np.bincount(index.ravel(), np.ravel(right), bins) / safe).tolist(),
            'share': (count / count.sum()).tolist()}


def calibration_error_percent(table: dict[str, list[float]]) -> float:
    """Return the expected calibration error of :func:`calibration`."""
    claimed, true, share = (np.asarray(table[key]) for key in ('claimed', 'true', 'share'))
    return float(100 * (share * np.abs(claimed - true)).sum())
