"""Every encoding, rows padded, either byte order; and messages that contradict themselves."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here')

import cv2  # noqa: E402, I100
from niki_ros.common.errors import InputError  # noqa: E402
from niki_ros.messages.calibration import camera_from_info, is_uncalibrated  # noqa: E402
from niki_ros.messages.image_decoding import rgb_from_image  # noqa: E402
from niki_ros.messages.stamps import ns_from_stamp  # noqa: E402
from niki_ros.ros.conversions import image_from_rgb, info_from_camera  # noqa: E402
from niki_ros.scene.camera import Camera  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

WIDTH, HEIGHT = 16, 6


def message(pixels, encoding, padding=0, big_endian=False):
    """Return an Image of (H, W, C) pixels whose rows end in ``padding`` bytes of rubbish."""
    pixels = np.ascontiguousarray(pixels)
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    rows = [row.tobytes() + b'\xab' * padding for row in pixels]
    out = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                is_bigendian=int(big_endian), step=len(rows[0]))
    out.data = array('B', b''.join(rows))
    return out


@pytest.fixture
def rgb():
    """Return an image in which every channel of every pixel differs."""
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 7, 64])
@pytest.mark.parametrize('encoding, order', [
    ('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0]), ('8UC3', [2, 1, 0]),
    ('rgba8', [0, 1, 2, 1]), ('bgra8', [2, 1, 0, 1])])
def test_colour(rgb, encoding, order, padding):
    """Channels come out as RGB, padding is left out, the result is contiguous."""
    out = rgb_from_image(message(rgb[..., order], encoding, padding))
    assert out.dtype == np.uint8 and out.flags['C_CONTIGUOUS']
    assert np.array_equal(out, rgb)


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1', '32FC1'])
def test_grey(rgb, encoding, big_endian, padding):
    """Grey values of every width and byte order become the same 8 bits, thrice."""
    grey = rgb[..., 0]
    values = {'8': grey, '1': grey.astype(np.uint16) * 257,
              '3': grey.astype(np.float32) / 255}
    depth = {'mono8': '8', '8UC1': '8', 'mono16': '1', '16UC1': '1', '32FC1': '3'}[encoding]
    out = rgb_from_image(
        message(values[depth], encoding, padding, big_endian))
    assert np.array_equal(out, np.repeat(grey[..., None], 3, axis=2))


def test_float_nan_and_range():
    """What is no number does not become random, and does not count for the range."""
    values = np.array([[np.nan, -np.inf, 0.0, 0.25, 0.5, 1.0, np.inf]], dtype=np.float32)
    out = rgb_from_image(message(values, '32FC1'))
    assert out[0, :, 0].tolist() == [0, 0, 0, 64, 128, 255, 255]


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer(pattern, padding):
    """A plain colour in a mosaic comes back in every pixel."""
    colour = {'r': 200, 'g': 90, 'b': 30}
    tile = np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(tile, (HEIGHT // 2, WIDTH // 2))
    out = rgb_from_image(message(mosaic, f'bayer_{pattern}8', padding))
    assert np.abs(out.astype(int) - [200, 90, 30]).max() <= 1


@pytest.mark.parametrize('padding', [0, 10])
@pytest.mark.parametrize('encoding, luma', [('yuv422', 1), ('uyvy', 1), ('yuv422_yuy2', 0)])
def test_yuv(encoding, luma, padding):
    """A grey ramp keeps its order, and red is red."""
    yuv = np.full((HEIGHT, WIDTH, 2), 128, np.uint8)
    yuv[..., luma] = np.linspace(20, 230, WIDTH)
    out = rgb_from_image(message(yuv, encoding, padding)).astype(int)
    assert (np.diff(out[0, :, 1]) > 0).all() and np.ptp(out, axis=2).max() <= 2
    yuv[..., luma] = 100
    yuv[:, 1::2, 1 - luma] = 255
    red = rgb_from_image(message(yuv, encoding, padding)).astype(int)
    assert (red[..., 0] > red[..., 2] + 20).all()


def test_last_row_may_lack_its_padding(rgb):
    """Some drivers do not send the bytes after the last pixel."""
    image = message(rgb, 'rgb8', padding=10)
    image.data = image.data[:-10]
    assert np.array_equal(rgb_from_image(image), rgb)


@pytest.mark.parametrize('change, word', [
    ({'width': 0}, '0x6'), ({'height': 0}, '16x0'), ({'encoding': 'nv99'}, 'nv99'),
    ({'step': 3}, 'step is 3'), ({'height': 600}, 'data has'),
    ({'width': 4000000000, 'height': 4000000000, 'step': 4000000000}, '4000000000'),
    ({'encoding': 'mono16', 'step': 17}, 'step is 17'), ({'encoding': ''}, 'encoding')])
def test_refused(rgb, change, word):
    """A message that contradicts itself is refused with the number that is wrong."""
    image = message(rgb, 'rgb8')
    for name, value in change.items():
        setattr(image, name, value)
    with pytest.raises(InputError, match=word):
        rgb_from_image(image)


def test_odd_yuv_is_refused():
    """Two pixels share their colour."""
    with pytest.raises(InputError, match='even'):
        rgb_from_image(message(np.zeros((4, 5, 2), np.uint8), 'yuv422'))


def test_empty_data(rgb):
    """No bytes at all."""
    image = message(rgb, 'rgb8')
    image.data = array('B')
    with pytest.raises(InputError, match='0 bytes'):
        rgb_from_image(image)


def test_image_round_trip(rgb):
    """Array → message → array."""
    image = image_from_rgb(rgb, 1_700_000_000_123_456_789, 'cam')
    assert np.array_equal(rgb_from_image(image), rgb)
    assert ns_from_stamp(image.header.stamp) == 1_700_000_000_123_456_789


def test_camera_round_trip():
    """Camera → CameraInfo → Camera, with distortion."""
    camera = Camera(np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]), 640, 480,
                    np.array([0.1, -0.05, 0.001, 0.002, 0.01]))
    info = info_from_camera(camera, 5, 'cam')
    back = camera_from_info(info, 1, 1)
    assert np.array_equal(back.matrix, camera.matrix) and (back.width, back.height) == (640, 480)
    assert np.array_equal(back.distortion, camera.distortion)


def test_camera_info_of_drivers():
    """Zero K is noticed; a size of 0 is the image's; without distortion any model will do."""
    info = CameraInfo()
    assert is_uncalibrated(info)
    info.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
    assert camera_from_info(info, 640, 480).width == 640
    info.distortion_model = 'unheard_of'
    assert camera_from_info(info, 640, 480).matrix[0, 0] == 500.0


def test_agrees_with_cv_bridge(rgb):
    """Where cv_bridge is installed, it says the same."""
    cv_bridge = pytest.importorskip('cv_bridge', reason='cv_bridge is not installed')
    bridge = cv_bridge.CvBridge()
    for encoding, pixels in (('rgb8', rgb), ('bgr8', rgb), ('mono8', rgb[..., 0]),
                             ('bayer_rggb8', rgb[..., 0])):
        image = message(pixels, encoding, padding=6)
        theirs = cv2.cvtColor(bridge.imgmsg_to_cv2(image, 'bgr8'), cv2.COLOR_BGR2RGB)
        assert np.array_equal(rgb_from_image(image), theirs), encoding
