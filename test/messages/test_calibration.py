"""Cameras from CameraInfo: every description of one camera gives the same camera."""

from camera_infos import DOUBTED, FOCAL, info, K, SAME, WIDE
from niki_ros.common.errors import InputError
from niki_ros.messages.calibration import (
    calibration_from_info,
    camera_from_calibration,
    is_rectified_topic,
)
from niki_ros.scene.camera import Camera
import numpy as np
import pytest


def camera(message, **options):
    return camera_from_calibration(calibration_from_info(message), 640, 480, **options)


@pytest.mark.parametrize('name', SAME)
def test_every_way_of_saying_it_is_the_same_camera(name):
    found, faults = camera(SAME[name])
    assert not faults and (found.width, found.height) == (640, 480)
    assert np.allclose(found.matrix.ravel(), K, atol=1e-6)


@pytest.mark.parametrize('fault, message', [
    (fault, message) for fault, messages in DOUBTED.items() for message in messages])
def test_a_good_k_is_kept(fault, message):
    found, faults = camera(message)
    assert list(faults) == [fault] and len(faults[fault]) < 500
    assert np.allclose(found.matrix.ravel(), K, atol=1.0)


def test_a_lens_with_12_or_14_numbers_is_that_of_8():
    """OAK-D W; and the same under the name plumb_bob, as OpenCV counts them."""
    points = np.array([[1.2, 0.5, 1.0], [-0.7, -0.6, 1.0]])
    wanted = Camera(np.reshape(K, (3, 3)), 640, 480, np.array(WIDE[:8]),
                    'rational_polynomial').project(points)
    for count, model in ((8, 'rational_polynomial'), (12, 'rational_polynomial'),
                         (14, 'rational_polynomial'), (14, 'plumb_bob'), (8, 'Plumb Bob')):
        found, faults = camera(info(d=WIDE[:count], model=model))
        assert not faults and np.allclose(found.project(points), wanted, atol=1e-9)


@pytest.mark.parametrize('model', ['equidistant', 'fisheye', 'Kannala Brandt4', 'KANNALA_BRANDT'])
def test_names_of_a_fisheye(model):
    found, faults = camera(info(d=[0.1, -0.02, 0.003, -0.001, 0.0], model=model))
    assert not faults and found.model == 'equidistant'
    assert np.array_equal(found.distortion, [0.1, -0.02, 0.003, -0.001])


def test_rectified_images_go_by_p():
    """K and D are those of the raw image; where P is empty K is the better guess."""
    p = [500.0, 0, 330, -40, 0, 500, 250, 0, 0, 0, 1, 0]
    raw = info(d=[0.3, -0.1, 0, 0, 0], p=p)
    found, faults = camera(raw, rectified=True)
    assert not faults and not found.distortion.any()
    assert np.array_equal(found.matrix, [[500, 0, 330], [0, 500, 250], [0, 0, 1]])
    assert camera(raw)[0].distortion.any()
    raw.p = [0.0] * 12
    found, faults = camera(raw, rectified=True)
    assert np.allclose(found.matrix.ravel(), K) and not found.distortion.any()


@pytest.mark.parametrize('value', [float('nan'), -1.0, float('inf')])
def test_what_is_no_camera_gives_way_to_what_is_one(value):
    """K and P are both sent: one of them that was filled with nonsense does not cost the other."""
    p = [FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]
    found, faults = camera(info([value] * 9, p=p))
    assert list(faults) == ['camera_info_invalid'] and np.allclose(found.matrix.ravel(), K)
    found, faults = camera(info(d=[0.3, -0.1, 0, 0, 0], p=[value] * 12), rectified=True)
    assert list(faults) == ['camera_info_invalid'] and np.allclose(found.matrix.ravel(), K)
    assert not found.distortion.any()
    with pytest.raises(InputError, match='K is'):
        camera(info([value] * 9, p=[value] * 12))


@pytest.mark.parametrize('topic, rectified', [
    ('/zed/zed_node/rgb/image_rect_color', True), ('/zed/zed_node/rgb/color/rect/image', True),
    ('/left/image_rect', True), ('/cam/image_rect/compressed', True),
    ('/camera/infra1/image_rect_raw', True), ('/camera/image_rectified', True),
    ('/camera/color/image_raw', False), ('/oak/rgb/image_raw', False), ('/image', False),
    ('/camera/image_unrectified', False), ('/direct/image', False), ('/rectangle/image', False)])
def test_topics_that_say_that_they_are_rectified(topic, rectified):
    assert is_rectified_topic(topic) is rectified
