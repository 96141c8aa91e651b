"""Filters over time: steady at rest, no lag behind steady motion, no step past a bound."""

from niki_ros.body.rotations import angle_rad, rotmat_from_rotvec
from niki_ros.people.motion_filter import PointFilter, RotationsFilter
from niki_ros.people.stages.smooth_root import limit_distance_change
import numpy as np
import pytest

DT = 1 / 30


def test_noise_at_rest_shrinks():
    rng = np.random.default_rng(0)
    noisy = rotmat_from_rotvec(rng.normal(size=(300, 4, 3)) * 0.05)
    smooth = RotationsFilter(4)
    out = np.stack([smooth.step(r, DT, 1.0, 0.1).copy() for r in noisy])
    step_in = angle_rad(noisy[50:-1], noisy[51:]).mean()
    step_out = angle_rad(out[50:-1], out[51:]).mean()
    assert step_out < 0.35 * step_in


def test_a_steady_turn_is_followed_without_lag_and_its_velocity_known():
    smooth = RotationsFilter(1)
    for i in range(90):
        true = rotmat_from_rotvec(np.array([[0, 0, 3.0 * i * DT]]))
        out = smooth.step(true, DT, 1.5, 0.0)
    assert angle_rad(out, true)[0] < 1e-3
    assert abs(smooth.velocity_rad_s[0, 2] - 3.0) < 0.2


def test_a_point_in_steady_motion_is_followed_without_lag():
    smooth = PointFilter()
    for i in range(90):
        out = smooth.step(np.array([1.5, -0.5, 0.2]) * i * DT, DT, 2.0, 0.0)
    np.testing.assert_allclose(out, np.array([1.5, -0.5, 0.2]) * 89 * DT, atol=1e-3)


def test_after_a_sudden_stop_the_filter_comes_to_rest_soon():
    smooth, out = PointFilter(), []
    for i in range(90):
        out.append(smooth.step(np.array([1.5 * min(i, 45) * DT]), DT, 3.0, 0.0)[0])
    off = np.array(out) - 1.5 * 45 * DT
    assert off.max() < 0.05 and np.abs(off[45 + 10:]).max() < 0.005


@pytest.mark.parametrize('rate_hz', [30, 20, 12])
def test_a_moving_point_is_smoothed_alike_at_every_rate(rate_hz):
    def smoothed(rate_hz):
        smooth = PointFilter()
        for index in range(rate_hz + 1):
            found = smooth.step(np.array([np.sin(3.0 * index / rate_hz)]), 1 / rate_hz, 2.0, 0.5)
        return found[0]
    assert smoothed(rate_hz) == pytest.approx(smoothed(120), abs=0.01)


def test_no_joint_turns_faster_than_allowed():
    smooth = RotationsFilter(2)
    start = smooth.step(np.broadcast_to(np.eye(3), (2, 3, 3)), DT, 1e6, 0.0).copy()
    far = np.broadcast_to(np.diag([1.0, -1.0, -1.0]), (2, 3, 3))
    out = smooth.step(far, DT, 1e6, 0.0, np.array([0.1, 0.2]))
    np.testing.assert_allclose(angle_rad(start, out), [0.1, 0.2], atol=1e-6)


def test_after_a_gap_the_filter_starts_afresh():
    smooth = PointFilter()
    smooth.step(np.zeros(3), 0.0, 1.0, 0.0)
    np.testing.assert_array_equal(smooth.step(np.ones(3), 5.0, 1.0, 0.0), np.ones(3))


def test_the_distance_is_held_on_its_ray_as_far_as_the_body_is_hidden():
    root, last = np.array([0.5, 0.2, 5.0]), np.array([0.3, 0.1, 3.0])
    nothing, everything = np.zeros(24, bool), np.ones(24, bool)
    np.testing.assert_allclose(limit_distance_change(root, None, everything, 1 / 30), root)
    kept = limit_distance_change(root, last, everything, 1 / 30)
    assert abs(kept[2] - 3.0) < 0.03
    np.testing.assert_allclose(kept / kept[2], root / root[2])
    assert limit_distance_change(root, last, nothing, 1 / 30)[2] > 3.25
