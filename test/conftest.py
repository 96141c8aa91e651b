"""Fixtures of all tests of niki_ros."""

from niki_ros.scene.camera import Camera
import pytest


@pytest.fixture
def camera():
    return Camera.from_fov(640, 480, 60.0)
