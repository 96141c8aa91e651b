"""Fixtures of all tests of niki_ros."""

import signal

from niki_ros.scene.camera import Camera
import pytest

# a shell that runs the tests in the background ignores SIGINT, and so would every new process
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def camera():
    return Camera.from_fov(640, 480, 60.0)
