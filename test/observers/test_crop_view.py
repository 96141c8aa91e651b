"""Camera of a crop: axes, scale, and conversion to metres and back."""

from niki_ros.observers.crop import Crop
from niki_ros.observers.crop_view import CropView
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

CAMERA = Camera(np.array([[500.0, 0, 320], [0, 480, 240], [0, 0, 1]]), 640, 480)
LENS = Camera(CAMERA.matrix, 640, 480, np.array([-0.2, 0.05, 0.001, 0, 0]))


@pytest.mark.parametrize('camera', [CAMERA, LENS])
@pytest.mark.parametrize('center', [(320, 240), (600, 60), (20, 400)])
def test_round_trip_of_the_pelvis(camera, center):
    view = CropView.of(Crop(np.array(center, float), 210.0), camera)
    root = camera.rays(np.add(center, (25, -40))) * 3.0
    uv, log_scale = view.uv_and_log_scale(root)
    np.testing.assert_allclose(uv, [25 / 210, -40 / 210], atol=1e-6)
    np.testing.assert_allclose(view.root_m(uv, log_scale), root, rtol=1e-6)


@pytest.mark.parametrize('center', [(320, 240), (590, 400)])
def test_axis_and_scale_of_the_view(center):
    view = CropView.of(Crop(np.array(center, float), 100.0), CAMERA)
    ahead = view.camera_from_view[:, 2]
    np.testing.assert_allclose(CAMERA.project(ahead * 4), center, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(view.camera_from_view), 1)
    # a small square across the ray covers as many pixels as the scale says
    step = view.camera_from_view @ np.array([[1, 0, 0], [0, 1, 0]]).T * 0.01
    moved = CAMERA.project(ahead * 4 + step.T) - center
    area = abs(np.linalg.det(moved))
    _, log_scale = view.uv_and_log_scale(ahead * 4)
    assert area == pytest.approx((0.01 * np.exp(log_scale) * 100) ** 2, rel=2e-2)


def test_projection_equals_the_cameras():
    view = CropView.of(Crop(np.array([500.0, 100]), 150.0), CAMERA)
    points = np.random.default_rng(0).normal(size=(9, 3)) * 0.3 + (0, 0, 3)
    seen = points @ view.projection().T
    pixels = CAMERA.project(points @ view.camera_from_view.T)
    np.testing.assert_allclose(view.crop.image_from_uv(seen[:, :2] / seen[:, 2:]), pixels)
