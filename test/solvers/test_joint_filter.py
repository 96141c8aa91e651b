"""Sigma of the joint filter at several rates."""

from niki_ros.solvers.joint_filter import FilterNumbers, JointFilter, sigma_of_correlated_errors
import numpy as np
import pytest


def known_after(seconds, rate_hz, errors_last):
    """Return the sigma that the filter reports of joints seen with 0.3 at ``rate_hz``."""
    joints, sigma, state = np.zeros((1, 29, 3)), np.full((1, 29), 0.3), JointFilter()
    for _ in range(round(seconds * rate_hz)):
        _, known = state.step(joints, sigma, 1 / rate_hz, errors_last)
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


def test_a_moving_joint_is_filtered_alike_at_every_rate():
    def last_m(rate_hz):
        state = JointFilter()
        for index in range(rate_hz + 1):
            joints = np.full((1, 29, 3), 0.3 * np.sin(4.0 * index / rate_hz))
            found, _ = state.step(joints, np.full((1, 29), 0.3), 1 / rate_hz, True)
        return found
    found = {rate_hz: last_m(rate_hz) for rate_hz in (60, 30, 20, 12)}
    for rate_hz in (30, 20, 12):
        assert np.abs(found[rate_hz] - found[60]).max() < 0.005, rate_hz


def test_a_hidden_joint_moves_on_alike_in_one_step_and_in_many():
    def after_m(steps):
        state, hidden = JointFilter(FilterNumbers(unobserved_error_m=1e3)), np.ones((1, 29))
        for index in range(10):
            state.step(np.full((1, 29, 3), 0.02 * index), np.full((1, 29), 0.05), 1 / 30)
        for _ in range(steps):
            found, sigma = state.step(np.zeros((1, 29, 3)), hidden, 0.2 / steps)
        return found, sigma
    (one, sigma_one), (many, sigma_many) = after_m(1), after_m(8)
    np.testing.assert_allclose(one, many, atol=1e-4)
    np.testing.assert_allclose(sigma_one, sigma_many, atol=1e-4)
