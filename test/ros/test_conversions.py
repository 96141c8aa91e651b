"""Conversions to messages and back."""

from camera_images import padded_image
import cv2
from niki_ros.messages.calibration import camera_from_info
from niki_ros.messages.image_decoding import rgb_from_image
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.conversions import image_from_rgb, info_from_camera
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from sensor_msgs.msg import Image


@pytest.fixture
def rgb():
    return np.random.default_rng(1).integers(0, 256, (6, 16, 3), dtype=np.uint8)


def test_image_round_trip(rgb):
    image = image_from_rgb(rgb, 1_700_000_000_123_456_789, 'cam')
    assert np.array_equal(rgb_from_image(image), rgb)
    assert ns_from_stamp(image.header.stamp) == 1_700_000_000_123_456_789


def test_camera_round_trip():
    camera = Camera(np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]), 640, 480,
                    np.array([0.1, -0.05, 0.001, 0.002, 0.01]))
    info = info_from_camera(camera, 5, 'cam')
    back = camera_from_info(info, 1, 1)
    assert np.array_equal(back.matrix, camera.matrix) and (back.width, back.height) == (640, 480)
    assert np.array_equal(back.distortion, camera.distortion)


def test_agrees_with_cv_bridge(rgb):
    cv_bridge = pytest.importorskip('cv_bridge', reason='cv_bridge is not installed')
    bridge = cv_bridge.CvBridge()
    for encoding, pixels in (('rgb8', rgb), ('bgr8', rgb), ('mono8', rgb[..., 0]),
                             ('bayer_rggb8', rgb[..., 0])):
        image = Image(**vars(padded_image(pixels, encoding, padding=6)))
        theirs = cv2.cvtColor(bridge.imgmsg_to_cv2(image, 'bgr8'), cv2.COLOR_BGR2RGB)
        assert np.array_equal(rgb_from_image(image), theirs), encoding
