"""What an expected error means as a probability."""

from __future__ import annotations

from niki_ros.core.types import SIGMA_UNIT_M
import numpy as np
from scipy.special import gammainc

CONFIDENT_WITHIN_M = 0.15
"""A confidence is the probability that a joint lies within this distance of the truth."""


def confidence_from_sigma(sigma) -> np.ndarray:
    """
    Probability (...) that a joint with expected error ``sigma`` per coordinate is within 150 mm.

    For a Gaussian error in three dimensions: the chi-square distribution with three degrees of
    freedom. A sigma of 1 stands for "unobserved" and gives 0.
    """
    sigma = np.asarray(sigma, dtype=np.float64)
    ratio = CONFIDENT_WITHIN_M / np.maximum(SIGMA_UNIT_M * sigma, 1e-6)
    return np.where(sigma >= 1.0, 0.0, gammainc(1.5, ratio**2 / 2))
