"""Confidence of NIKI's joints: logistic in residual, sigma and latent error."""

from niki_ros.body.kinematics import CHILDREN
from niki_ros.body.skeleton import PARENTS_29
import numpy as np
from scipy.special import expit

# parent and first child of each body joint
_PARENT = np.maximum(np.asarray(PARENTS_29[:24]), 0)
_CHILD = np.asarray([children[0] for children in CHILDREN])
# of models whose manifest has none
_DEFAULT_WEIGHT, _DEFAULT_BIAS = np.asarray([-1.0, 0.0, -3.0, -1.0, 0.0, 0.0]), 3.0
# the confidence falls to 0 while the smallest sigma of a body rises over this range to 1
_FADE_SIGMA_200MM = 0.1


class NikiConfidence:
    """
    Probability that a joint is within 150 mm of its true position.

    ``confidence`` in the manifest has ``weight`` (6,) and ``bias``, fitted on held-out motion.
    """

    def __init__(self, manifest: dict):
        fitted = {k: np.asarray(v) for k, v in manifest.get('confidence', {}).items()}
        self._weight = fitted.get('weight', _DEFAULT_WEIGHT)
        self._bias = fitted.get('bias', _DEFAULT_BIAS)

    def __call__(self, posed_m, joints_m, sigma, error_z) -> np.ndarray:
        """Return confidences (N, 24) float32; arguments as of :func:`confidence_features`."""
        features = confidence_features(posed_m, joints_m, sigma, error_z)
        logit = features @ self._weight + self._bias
        observed = ((1.0 - sigma.min(axis=1)) / _FADE_SIGMA_200MM).clip(0.0, 1.0)
        return (expit(logit) * observed[:, None]).astype(np.float32)


def confidence_features(posed_m, joints_m, sigma, error_z) -> np.ndarray:
    """
    Return the features (N, 24, 6) of the confidence.

    Log residual of the joint, of its worst neighbour (parent or child) and of the whole body
    (decades over 10 mm), sigma of the joint, indicator of an unobserved joint, log of the latent
    error.

    :param posed_m: (N, 29, 3) solved joints. :param joints_m: (N, 29, 3) observed joints.
    :param sigma: (N, 29) units of 200 mm. :param error_z: (N, k) latent error.
    """
    miss = joints_m - posed_m
    miss = miss - np.sort(miss, axis=1)[:, 14:15]     # the median of 29
    residual = np.log10(np.sqrt(np.einsum('nji,nji->nj', miss, miss)) / 0.01 + 0.05)
    error = np.einsum('nk,nk->n', error_z, error_z) / error_z.shape[1]
    out = np.empty((len(residual), 24, 6))
    out[..., 0] = residual[:, :24]
    np.maximum(residual.take(_PARENT, 1), residual.take(_CHILD, 1), out=out[..., 1])
    out[..., 2] = np.add.reduce(residual, axis=1, keepdims=True) / 29
    sigma = np.minimum(sigma[:, :24], 1.0, out=out[..., 3])
    out[..., 4] = sigma > 0.95
    out[..., 5] = np.log10(np.sqrt(error) + 0.01)[:, None]
    return out
