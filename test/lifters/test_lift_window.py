"""Keypoints of one person at fixed ages."""

from niki_ros.body.keypoints import KeypointRays, KEYPOINTS
from niki_ros.lifters.window import AGES_S, LiftWindow
import numpy as np
import pytest

COUNT = len(KEYPOINTS)


def points(x: float, seen: float = 1.0) -> KeypointRays:
    rays = np.stack([np.full(COUNT, x), np.linspace(0, 0.4, COUNT), np.ones(COUNT)], 1)
    rays[1] = rays[0]
    return KeypointRays(rays, np.full(COUNT, seen), np.stack([rays[:, 0] * 0, rays[:, 1],
                                                              rays[:, 1]], 1))


def walked(rate_hz: float, seconds: float = 2.0, speed: float = 0.1) -> LiftWindow:
    """Return the window of a person who crosses the view at ``speed`` tangents per second."""
    window = LiftWindow()
    for i in range(int(seconds * rate_hz) + 1):
        window.push(int(i / rate_hz * 1e9), points(speed * i / rate_hz - speed * seconds))
    return window


@pytest.mark.parametrize('rate_hz', [5, 7.3, 24, 30, 59.94, 120])
def test_the_window_does_not_depend_on_the_rate(rate_hz):
    seconds = int(2.0 * rate_hz) / rate_hz
    window = walked(rate_hz, seconds).at_ages()
    assert window.seen.min() == 1.0
    # the newest hips are straight ahead, the others where they were
    assert np.abs(window.rays[:, 0, 0] + 0.1 * AGES_S).max() < 2e-3
    assert np.abs(window.rays[0, 0]).max() < 1e-9


def test_ages_before_the_first_image_are_unknown():
    window = walked(30, 0.5).at_ages()
    assert (window.seen[AGES_S < 0.5] == 1).all() and (window.seen[AGES_S > 0.55] == 0).all()
    one = walked(30, 0.0).at_ages()
    assert (one.seen[0] == 1).all() and (one.seen[1:] == 0).all()
    assert np.isfinite(one.rays).all()


def test_ages_in_a_gap_are_unknown():
    window = walked(30, 1.0)
    window.push(int(1.8e9), points(0.0))
    seen = window.at_ages().seen[:, 0]
    assert (seen[(AGES_S > 0.05) & (AGES_S < 0.75)] == 0).all()
    assert (seen[AGES_S > 0.82] == 1).all()


def test_earlier_stamp_starts_a_new_window():
    window = walked(30, 1.0)
    window.push(0, points(0.3))
    assert (window.at_ages().seen[1:] == 0).all()


def test_axes_of_the_view():
    window = LiftWindow()
    window.push(0, points(0.5))
    now = window.at_ages()
    ahead = now.camera_from_view @ [0, 0, 1]
    assert np.allclose(ahead[:2] / ahead[2], [0.5, 0.0])
    assert np.allclose(now.heading, [0.5, 0.0])
    assert np.allclose(now.rays[0, 0], 0.0)
