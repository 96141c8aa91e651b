"""Confidence of joints: the probability that a joint is within 150 mm of its true position."""

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINT
import numpy as np
from scipy.special import gammainc

CONFIDENT_WITHIN_M = 0.15  # a confidence is the probability of an error below this distance


def confidence_from_sigma(sigma) -> np.ndarray:
    """
    Return the probability (...) that a joint is within 150 mm, for a Gaussian error in 3D.

    :param sigma: (...) expected error per coordinate in units of 200 mm; 1 = unobserved gives 0.
    """
    sigma = np.asarray(sigma, dtype=np.float64)
    ratio = CONFIDENT_WITHIN_M / np.maximum(SIGMA_UNIT_M * sigma, 1e-6)
    # the chi-square distribution with three degrees of freedom
    return np.where(sigma >= 1.0, 0.0, gammainc(1.5, ratio**2 / 2))


# Share of seen joints within 150 mm by sigma, over the confidence of the solver: 18,000 joints of
# 1,100 rendered frames of people who are not in the training data; landmarks-full with the peaks
# of its heat maps, the lifter that ships, and niki-temporal. Taken are nine tenths of the way from
# the shares before the peaks were used: on video seen joints are right more often still.
_SIGMA_KNOTS = (0.0, 0.12, 0.17, 0.20, 0.24, 0.28, 0.33, 0.39, 0.45, 0.54, 0.67, 0.93)
_WITHIN_RATIO = (1.0, 0.995, 0.99, 0.965, 0.915, 0.855, 0.785, 0.70, 0.61, 0.56, 0.51, 0.42)
# 1 = the errors of solver and front end are independent, 0 = only the larger one counts
_INDEPENDENT_RATIO = 0.8

_ELBOWS = [JOINT['left_elbow'], JOINT['right_elbow']]
_SHOULDERS = [JOINT['left_shoulder'], JOINT['right_shoulder']]
# of unseen elbows whose shoulders are seen 68 % are within 150 mm; an unseen joint never counts
# as much as a seen one
_ELBOW_BY_SHOULDER_RATIO = 0.5


def confidence_of_seen(solved, sigma) -> np.ndarray:
    """
    Return the probability (...) that a seen joint is within 150 mm of its true position.

    :param solved: (...) confidence of the solver. :param sigma: (...) of the front end, 200 mm.
    """
    within = np.interp(sigma, _SIGMA_KNOTS, _WITHIN_RATIO)
    return (_INDEPENDENT_RATIO * solved * within
            + (1.0 - _INDEPENDENT_RATIO) * np.minimum(solved, within))


def confidence_by_neighbours(confidence, hidden) -> np.ndarray:
    """
    Return confidences (24,), those of unseen elbows raised where the shoulder is seen.

    An upper arm is short, so that the elbow is near that of a hanging arm; legs are longer.

    :param confidence: (24,). :param hidden: (24,) bool, True where not seen.
    """
    known = np.array(confidence)
    hangs = hidden[_ELBOWS] & ~hidden[_SHOULDERS]
    known[_ELBOWS] = np.maximum(known[_ELBOWS], _ELBOW_BY_SHOULDER_RATIO * hangs)
    return known
