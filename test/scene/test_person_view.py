"""Views of a virtual camera that points at a person."""

import cv2
from niki_ros.common.errors import InputError
from niki_ros.images.pixels import rgb_of_view
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView, view_of_body
import numpy as np
import pytest

K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
CAMERAS = {
    'pinhole': Camera(K, 1280, 720),
    'plumb_bob': Camera(K, 1280, 720, np.array([-0.2, 0.05, 0.001, -0.001, 0])),
    'fisheye': Camera(K * [[0.5], [0.5], [1]] + [[0, 0, 320], [0, 0, 180], [0, 0, 0]], 1280, 720,
                      np.array([0.02, -0.01, 0.0, 0.0]), 'equidistant')}


@pytest.fixture(params=sorted(CAMERAS))
def camera(request):
    return CAMERAS[request.param]


def picture_of(camera, points_m, radius_px=6):
    """Draw white discs where points (n, 3) are seen."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    for x, y in camera.project(points_m):
        cv2.circle(image, (round(float(x) * 16), round(float(y) * 16)), radius_px * 16,
                   (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize('box', [(560, 200, 720, 560), (900, 100, 1150, 600),
                                 (200, 300, 340, 660)])
def test_a_box_is_centred_and_fits(camera, box):
    view = PersonView.around(box, camera, 1.25)
    middle = view.image_from_view(np.array([128.0, 128.0]), 256, camera)
    np.testing.assert_allclose(middle, [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2], atol=1e-3)
    corners = view.image_from_view(np.array([[0, 128.0], [256, 128.0], [128.0, 0], [128.0, 256]]),
                                   256, camera)
    assert corners[0, 0] < box[0] and corners[1, 0] > box[2]
    assert corners[2, 1] < box[1] and corners[3, 1] > box[3]


def test_pixels_are_directions_in_axes_of_the_view(camera):
    view = PersonView.towards([0.3, -0.1, 1.0], 0.8, roll_rad=0.6)
    in_view = np.array([0.15, -0.2, 1.0]) * 3.0
    picture = rgb_of_view(picture_of(camera, [view.camera_from_view @ in_view]), view, 256, camera)
    rows, columns = np.nonzero(picture[..., 0] > 127)
    expected = (in_view[:2] / in_view[2] / view.width + 0.5) * 256
    assert np.abs([columns.mean() - expected[0], rows.mean() - expected[1]]).max() < 0.6


def test_rays_and_image_positions_agree(camera):
    view = PersonView.towards([-0.3, 0.2, 1.0], 0.7, roll_rad=-1.0)
    pixels = np.random.default_rng(0).uniform(0, 256, (50, 2))
    np.testing.assert_allclose(camera.project(view.rays(pixels, 256)),
                               view.image_from_view(pixels, 256, camera))
    grid = view.pixel_map(256, camera)
    np.testing.assert_allclose(
        grid[40, 200], view.image_from_view(np.array([200.0, 40.0]), 256, camera), atol=0.3)


def test_homography_equals_pixel_map():
    camera = CAMERAS['pinhole']
    view = PersonView.towards([0.3, 0.1, 1.0], 0.5, roll_rad=0.4)
    pixel = np.array([30.0, 200.0, 1.0])
    mapped = view.homography(256, camera) @ pixel
    np.testing.assert_allclose(mapped[:2] / mapped[2],
                               view.image_from_view(pixel[:2], 256, camera), atol=1e-6)


@pytest.mark.parametrize('angle', [0.0, 0.7, np.pi / 2, np.pi, -2.0])
def test_the_next_view_is_upright_with_the_body(angle):
    hips, height = np.array([0.4, -0.2, 1.0]), 0.25
    up = np.array([np.sin(angle), -np.cos(angle), 0.0]) * height
    base = PersonView.towards(hips, 1.0)
    plane = base.camera_from_view.T @ hips
    top = base.camera_from_view @ (plane / plane[2] + up)
    view = view_of_body(hips, top, 1.25, 0.01)
    seen = view.camera_from_view.T @ top
    np.testing.assert_allclose(seen[:2] / seen[2], [0.0, -height], atol=1e-9)
    assert view.width == pytest.approx(2.5 * height)
    np.testing.assert_allclose(view.camera_from_view[:, 2], hips / np.linalg.norm(hips))


def test_border_is_repeated_outside_the_image(camera):
    image = np.full((720, 1280, 3), 90, np.uint8)
    view = PersonView.towards([0.9, 0.6, 1.0], 1.5)
    assert (rgb_of_view(image, view, 256, camera) == 90).all()


@pytest.mark.parametrize('box', [(10, 10, 10, 40), (50, 10, 20, 40), (0, 0, np.nan, 5)])
def test_invalid_boxes_are_refused(box):
    with pytest.raises(InputError):
        PersonView.around(box, CAMERAS['pinhole'], 1.25)
