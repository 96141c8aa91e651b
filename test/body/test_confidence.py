"""Confidence of joints is calibrated."""

from niki_ros.body.confidence import (
    confidence_by_neighbours,
    confidence_from_sigma,
    confidence_of_seen,
)
from niki_ros.body.skeleton import JOINT
import numpy as np
import pytest

ELBOWS = [JOINT['left_elbow'], JOINT['right_elbow']]
LEFT_SHOULDER = JOINT['left_shoulder']


def test_confidence_of_seen_joints_is_monotonic():
    sigma, solved = np.meshgrid(np.linspace(0, 0.95, 40), np.linspace(0, 1, 21))
    claimed = confidence_of_seen(solved, sigma)
    assert (np.diff(claimed, axis=1) <= 1e-12).all() and (np.diff(claimed, axis=0) > 0).all()
    assert claimed.min() == 0 and claimed.max() == pytest.approx(1)
    assert (claimed <= solved + 1e-12).all(), 'not above the solver'


@pytest.mark.parametrize('sigma, right', [(0.219, 0.932), (0.418, 0.588), (0.591, 0.390)])
def test_confidence_of_seen_joints_on_rendered_people(sigma, right):
    """People who are not in the training data; confidence of the solver 0.99 … 0.63."""
    solved = {0.219: 0.988, 0.418: 0.875, 0.591: 0.631}[sigma]
    assert abs(confidence_of_seen(solved, sigma) - right) < 0.06


def test_uncertain_joints_are_better_than_gaussian():
    assert confidence_from_sigma(0.75) < 0.25 < 0.3 < confidence_of_seen(0.8, 0.75)


def test_unseen_elbow_of_a_seen_shoulder():
    hidden = np.ones(24, bool)
    hidden[LEFT_SHOULDER] = False
    known = confidence_by_neighbours(np.zeros(24), hidden)
    assert known[ELBOWS].tolist() == [0.5, 0.0]
    assert np.delete(known, ELBOWS).max() == 0, 'no other joint changes'
    sure = np.full(24, 0.9)
    assert (confidence_by_neighbours(sure, hidden) == sure).all(), 'confidence only rises'
    assert not confidence_by_neighbours(np.zeros(24), np.zeros(24, bool)).any(), 'seen joints stay'
