"""Fixtures for tests with the real front end."""

from __future__ import annotations

from niki_ros.model_cache import fetch
import pytest


@pytest.fixture(scope='session')
def mediapipe_model():
    """Return the path of the default model, fetched where it is not cached yet."""
    pytest.importorskip('mediapipe')
    return fetch('full', report=print)
