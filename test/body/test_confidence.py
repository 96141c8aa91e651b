"""What is published as confidence: calibrated, and nothing claimed of legs that nobody sees."""

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


def test_of_seen_falls_with_sigma_and_rises_with_the_solver():
    sigma, solved = np.meshgrid(np.linspace(0, 0.95, 40), np.linspace(0, 1, 21))
    claimed = confidence_of_seen(solved, sigma)
    assert (np.diff(claimed, axis=1) <= 1e-12).all() and (np.diff(claimed, axis=0) > 0).all()
    assert claimed.min() == 0 and claimed.max() == pytest.approx(1)
    assert (claimed <= solved + 1e-12).all(), 'never surer than the solver'


@pytest.mark.parametrize('sigma, right', [(0.239, 0.82), (0.454, 0.4), (0.671, 0.245)])
def test_of_seen_is_what_came_true_on_rendered_people(sigma, right):
    """Midway between subjects learned from and others; the solver sure to 0.98 … 0.58."""
    solved = {0.239: 0.982, 0.454: 0.844, 0.671: 0.582}[sigma]
    assert abs(confidence_of_seen(solved, sigma) - right) < 0.06


def test_half_seen_is_more_often_right_than_a_gaussian_says():
    assert confidence_from_sigma(0.75) < 0.25 < 0.3 < confidence_of_seen(0.8, 0.75)


def test_an_unseen_elbow_hangs_from_a_seen_shoulder_only():
    hidden = np.ones(24, bool)
    hidden[LEFT_SHOULDER] = False
    known = confidence_by_neighbours(np.zeros(24), hidden)
    assert known[ELBOWS].tolist() == [0.5, 0.0]
    assert np.delete(known, ELBOWS).max() == 0, 'of all else nothing is claimed'
    sure = np.full(24, 0.9)
    assert (confidence_by_neighbours(sure, hidden) == sure).all(), 'it only adds'
    assert not confidence_by_neighbours(np.zeros(24), np.zeros(24, bool)).any(), 'seen ones stay'
