"""Fixtures of all tests of niki_ros."""

from __future__ import annotations

from niki_ros.scene.camera import Camera
import pytest
from scenes import shared_folder


@pytest.fixture
def shared():
    """Return the folder of real data."""
    return shared_folder()


@pytest.fixture
def camera():
    """Return a camera of 640x480 and 60 degrees."""
    return Camera.from_fov(640, 480, 60.0)
