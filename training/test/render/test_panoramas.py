"""Panoramas as light and surroundings; drawing is skipped without moderngl and EGL."""

from types import SimpleNamespace

import cv2
from niki_ros.common.errors import BackendError, InputError
from niki_training.render import scene
from niki_training.render.opengl import OpenGLRenderer
from niki_training.render.panorama import Panorama, read_panoramas
import numpy as np
import pytest

_FORWARD, _LEFT, _RIGHT, _UP = (0, 0, -1), (-1, 0, 0), (1, 0, 0), (0, 1, 0)


def _halves() -> Panorama:
    """Return red in front, green to the right of it, blue to the left, white above, grey below."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, 48:80, 0] = 255
    picture[:, 80:, 1] = 255
    picture[:, :48, 2] = 255
    picture[:8], picture[56:] = 255, 40
    return Panorama(picture)


def test_columns_go_from_left_to_right():
    panorama = _halves()
    assert [panorama.colours(ray).tolist() for ray in (_FORWARD, _RIGHT, _LEFT, _UP)] == [
        [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    turned = panorama.turned(np.pi / 2)
    seen = [tuple(turned.colours(ray)) for ray in (_FORWARD, _RIGHT, _LEFT, (0, 0, 1))]
    assert len(set(seen)) == 3 and seen[0] != (255, 0, 0)


@pytest.mark.parametrize('heading_rad', [0.0, 1.3])
def test_the_main_light_comes_from_the_sun(heading_rad):
    picture = np.full((128, 256, 3), 60, np.uint8)
    picture[28:36, 60:68] = 255
    panorama = Panorama(picture, heading_rad)
    lights = panorama.lights(np.random.default_rng(0))
    sun = lights['light_to'][0]
    assert np.isclose(np.linalg.norm(sun), 1) and sun[1] > 0.5
    assert panorama.colours(sun).min() == 255
    assert lights['light_colour'][0].mean() > 3 * lights['light_colour'][1].mean()


def test_light_is_as_bright_and_coloured_as_the_surroundings():
    dark, bright, warm = (
        Panorama(np.tile(np.array(colour, np.uint8), (64, 128, 1))).lights(
            np.random.default_rng(0)) for colour in ((40,) * 3, (160,) * 3, (160, 110, 60)))
    assert bright['sky'].mean() > 2 * dark['sky'].mean()
    assert warm['sky'][0] > 1.3 * warm['sky'][2]
    assert all((light['ground'] < light['sky']).all() for light in (dark, bright, warm))


def test_the_drawn_background_is_what_the_camera_looks_at():
    size, matrix = (64, 48), np.array([[50.0, 0, 32], [0, 50.0, 24], [0, 0, 1]])
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(
        0, 255, (128, 256, 3), dtype=np.uint8), (0, 0), 6)
    panorama = Panorama(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), 0.7)
    try:
        pytest.importorskip('moderngl', reason='needs moderngl')
        renderer = OpenGLRenderer(SimpleNamespace(
            faces=np.zeros((1, 3), int), vertex_weights=np.zeros((1, 4)),
            vertex_bones=np.zeros((1, 4), int)), *size)
    except BackendError as error:
        pytest.skip(str(error))
    renderer.load([], np.zeros((1, 128, 128), np.uint8), panorama)
    camera_from_world = scene.look_at(
        np.zeros(3), np.array([1.0, 0.2, 0.5]), np.array([32.0, 24.0]), matrix, 0.1)
    lights = scene.lights_in_camera(
        scene.draw_lights(np.random.default_rng(0)), camera_from_world)
    drawn, _, _ = renderer.draw(matrix, lights, np.zeros((0, 24, 3, 4)), with_depth=False,
                                camera_from_world=camera_from_world)
    renderer.close()
    u, v = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    rays = np.stack([u, v, np.ones_like(u)], axis=-1) @ np.linalg.inv(matrix).T
    seen = panorama.colours(rays @ camera_from_world).astype(int)
    assert np.abs(drawn.astype(int) - seen).mean() < 4
    assert seen.std() > 20


def test_pictures_of_another_shape_are_refused(tmp_path):
    with pytest.raises(InputError, match='no panoramas'):
        read_panoramas(tmp_path)
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.zeros((8, 16, 3), np.uint8))
    assert len(read_panoramas(tmp_path)) == 1
    cv2.imwrite(str(tmp_path / 'b.jpg'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match='b.jpg'):
        read_panoramas(tmp_path)
