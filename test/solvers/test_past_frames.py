"""Past frames of a network with memory at several rates of the camera."""

from niki_ros.solvers.past_frames import FRAME_PERIOD_S, PastFrames
import numpy as np
import pytest


def past_at_1s(rate_hz):
    """Return the past of an image at 1 s, of a value that is the time."""
    past = PastFrames(15, 2)
    for index in range(rate_hz):
        past.push(round(index * 1e9 / rate_hz), [index / rate_hz, 1.0])
    return past.before(1_000_000_000)


@pytest.mark.parametrize('rate_hz', [120, 60, 30, 25, 12])
def test_the_past_is_that_of_the_same_times_at_every_rate(rate_hz):
    found = past_at_1s(rate_hz)
    times_s = 1.0 - FRAME_PERIOD_S * np.arange(15, 0, -1)
    # nothing is newer than the last image
    np.testing.assert_allclose(found[:, 0], np.minimum(times_s, 1.0 - 1 / rate_hz), atol=1e-6)
    assert (found[:, 1] == 1).all()


def test_what_was_before_the_first_image_is_absent():
    past = PastFrames(15, 2)
    assert not past.before(0).any()
    for index in range(4):
        past.push(index * 33_333_333, [5.0, 1.0])
    found = past.before(4 * 33_333_333)
    assert (found[-4:] == [5.0, 1.0]).all() and not found[:-4].any()
