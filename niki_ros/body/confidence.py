"""What an expected error means as a probability, and what is published of each joint."""

from __future__ import annotations

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINT
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


# Share of seen joints within 150 mm by sigma, over the confidence of the solver: 60,000 joints of
# 3,465 rendered frames of training subjects and 18,000 of 1,162 frames of others, which are 0.03
# to 0.2 lower: midway; landmarks-full, the lifter that ships, and niki-temporal.
_SIGMA_KNOTS = (0.0, 0.12, 0.17, 0.20, 0.24, 0.28, 0.33, 0.39, 0.45, 0.54, 0.67, 0.93)
_WITHIN = (1.0, 0.965, 0.955, 0.925, 0.835, 0.785, 0.65, 0.54, 0.47, 0.43, 0.41, 0.34)
# the two doubts are nearly independent: 1 = they are, 0 = only the larger one counts
_INDEPENDENT = 0.8

_ELBOWS = [JOINT['left_elbow'], JOINT['right_elbow']]
_SHOULDERS = [JOINT['left_shoulder'], JOINT['right_shoulder']]
# of unseen elbows whose shoulders are seen 68 % are within 150 mm; what is not seen never counts
# as much as what is
_ELBOW_BY_SHOULDER = 0.5


def confidence_of_seen(solved, sigma) -> np.ndarray:
    """
    Probability (...) that a seen joint is within 150 mm of the truth.

    :param solved: (...) the solver's confidence. :param sigma: (...) the front end's.
    """
    within = np.interp(sigma, _SIGMA_KNOTS, _WITHIN)
    return _INDEPENDENT * solved * within + (1.0 - _INDEPENDENT) * np.minimum(solved, within)


def confidence_by_neighbours(confidence, hidden) -> np.ndarray:
    """
    Return confidences (24,) with what a seen joint tells of an unseen one beside it.

    An upper arm is short: an elbow is never far from where a seen shoulder lets it hang. Legs are
    longer, and of those that nobody sees nothing is claimed.

    :param hidden: (24,) bool, True where not seen.
    """
    known = np.array(confidence)
    hangs = hidden[_ELBOWS] & ~hidden[_SHOULDERS]
    known[_ELBOWS] = np.maximum(known[_ELBOWS], _ELBOW_BY_SHOULDER * hangs)
    return known
