"""Sigma of the joint filter at several rates."""

from niki_ros.solvers.joint_filter import JointFilter, sigma_of_correlated_errors
import numpy as np
import pytest


def known_after(seconds, rate_hz, errors_last):
    """Return the sigma that the filter reports of joints seen with 0.3 at ``rate_hz``."""
    joints, sigma, state = np.zeros((1, 29, 3)), np.full((1, 29), 0.3), JointFilter()
    for _ in range(round(seconds * rate_hz)):
        given = sigma_of_correlated_errors(sigma, 1 / rate_hz) if errors_last else sigma
        _, known = state.step(joints, given, 1 / rate_hz)
    return float(known.mean())


def test_images_with_correlated_errors_count_by_time():
    same, fresh = ([known_after(1.5, rate, last) for rate in (60, 30, 20)]
                   for last in (True, False))
    assert max(same) / min(same) < 1.15
    assert max(fresh) / min(fresh) > 1.3


def test_unseen_joints_stay_unseen():
    sigma = np.array([0.0, 0.3, 0.9, 0.96, 1.0])
    for dt_s in (0.0, 0.008, 0.05, 0.5):
        per_image = sigma_of_correlated_errors(sigma, dt_s)
        assert per_image[0] == 0 and (per_image[3:] == sigma[3:]).all()
        assert (np.diff(per_image) > 0).all()
        assert per_image[2] < 0.95
    assert sigma_of_correlated_errors(np.float64(0.3), 1 / 60) == pytest.approx(0.3)
