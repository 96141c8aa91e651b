"""Decoding of images: every encoding, byte order and padding; contradictory fields are refused."""

from array import array
import struct

from camera_images import (
    compressed,
    DEEP,
    FLOATS,
    GREY,
    HEIGHT,
    image,
    IMAGES,
    mosaic,
    off,
    padded_image,
    planes,
    png,
    RGB,
    stretched_grey,
    WIDTH,
)
import cv2
from niki_ros.common.errors import InputError
from niki_ros.messages.encodings import ENCODINGS, find_encoding
from niki_ros.messages.image_decoding import rgb_from_compressed, rgb_from_image
import numpy as np
import pytest


@pytest.mark.parametrize('name', IMAGES)
def test_every_encoding_is_the_same_picture(name):
    out = rgb_from_image(IMAGES[name])
    assert out.dtype == np.uint8 and out.flags['C_CONTIGUOUS'] and off(out) <= 4


@pytest.mark.parametrize('encoding, values', [
    *((encoding, values) for values in DEEP.values() for encoding in ('mono16', '16UC1')),
    *(('32FC1', values.astype(np.float32)) for values in FLOATS.values()),
    ('64FC1', FLOATS['kelvin']), ('16SC1', GREY.astype(np.int16) - 100),
    ('32SC1', GREY.astype(np.int32) * 1000), ('mono12', DEEP['12 bit'])])
def test_grey_of_any_range_can_be_seen(encoding, values):
    """Infrared and thermal cameras use a part of their type's range."""
    out = rgb_from_image(image(values, encoding))
    assert (out[..., 0] == out[..., 2]).all() and stretched_grey(out) <= 3


@pytest.mark.parametrize('said, pixels', [
    ('16UC1; png compressed ', DEEP['12 bit']), ('png', DEEP['14 bit']), ('', DEEP['10 bit']),
    ('mono16; png compressed ', DEEP['hundredths of a kelvin'])])
def test_png_of_16_bits(said, pixels):
    assert stretched_grey(rgb_from_compressed(compressed(png(pixels), said))) <= 3


def test_png_of_colours():
    bgr = RGB[..., ::-1]
    for said, pixels in (('rgb16; png compressed bgr16', bgr.astype(np.uint16) * 257),
                         ('bgra8; png compressed bgr8', bgr), ('png', bgr),
                         ('rgb8; png compressed rgb8', RGB),
                         ('bayer_grbg8; png compressed ', mosaic('grbg', np.uint8))):
        assert off(rgb_from_compressed(compressed(png(pixels), said))) <= 2, said


def test_jpeg_that_was_made_of_12_bits_is_stretched():
    """The transport divides by 257; 16 shades are left."""
    data = cv2.imencode('.jpg', (DEEP['12 bit'] // 257).astype(np.uint8),
                        [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    seen = rgb_from_compressed(compressed(data, '16UC1; jpeg compressed mono8'))[..., 0]
    assert np.ptp(seen) > 200 and np.corrcoef(seen.ravel(), GREY.ravel())[0, 1] > 0.98
    assert np.ptp(rgb_from_compressed(compressed(data, 'mono8; jpeg compressed mono8'))) < 40


def exif_jpeg(orientation):
    """Return a JPEG that asks to be turned, as phones and some drivers write it."""
    data = cv2.imencode('.jpg', RGB[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
    tag = (b'Exif\0\0MM\0*\0\0\0\x08\0\x01'
           + struct.pack('>HHIHHI', 0x0112, 3, 1, orientation, 0, 0))
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(tag) + 2) + tag + data[2:]


@pytest.mark.parametrize('orientation', [3, 6, 8])
def test_exif_does_not_turn_a_stream(orientation):
    """The camera_info, and the raw topic, are those of the pixels as they are stored."""
    data = exif_jpeg(orientation)
    assert off(rgb_from_compressed(compressed(data, 'jpeg'))) < 30
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert turned.shape != RGB.shape or off(turned) > 100, 'the tag must be a true one'


@pytest.mark.parametrize('text, meant', [
    ('RGB8', 'rgb8'), ('YUV422_YUY2', 'yuv422_yuy2'), ('yuyv422', 'yuv422_yuy2'), ('NV12', 'nv12'),
    ('16uc1', '16UC1'), ('32fc1', '32FC1'), ('bayer-rggb8', 'bayer_rggb8'), ('8UC', 'mono8'),
    ('BayerRG8', 'bayer_rggb8'), ('BayerGB12', 'bayer_gbrg16'), ('CV_16UC1', '16UC1'),
    ('bayer_bggr12', 'bayer_bggr16'), ('rgb9', None), ('', None), ('x264', None),
    ('16UC2', None)])
def test_spellings(text, meant):
    assert find_encoding(text) == meant
    assert all(find_encoding(name) == name for name in ENCODINGS)


@pytest.mark.parametrize('change', [
    {'data': array('B', bytes(WIDTH * HEIGHT))}, {'height': HEIGHT + 1}, {'width': WIDTH - 1},
    {'height': 2**31}])
@pytest.mark.parametrize('kind', ['nv12', 'nv24', 'i420'])
def test_planes_that_do_not_fit_are_refused(kind, change):
    message = image(planes(kind), kind, WIDTH)
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(InputError, match=r'image (is|data has) \d+|\d+x\d+'):
        rgb_from_image(message)


@pytest.fixture
def rgb():
    return np.random.default_rng(1).integers(0, 256, (6, 16, 3), dtype=np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 7, 64])
@pytest.mark.parametrize('encoding, order', [
    ('rgb8', [0, 1, 2]), ('bgr8', [2, 1, 0]), ('8UC3', [2, 1, 0]),
    ('rgba8', [0, 1, 2, 1]), ('bgra8', [2, 1, 0, 1])])
def test_colour(rgb, encoding, order, padding):
    out = rgb_from_image(padded_image(rgb[..., order], encoding, padding))
    assert out.dtype == np.uint8 and out.flags['C_CONTIGUOUS']
    assert np.array_equal(out, rgb)


@pytest.mark.parametrize('padding', [0, 4])
@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1', '32FC1'])
def test_grey(rgb, encoding, big_endian, padding):
    grey = rgb[..., 0]
    values = {'8': grey, '1': grey.astype(np.uint16) * 257,
              '3': grey.astype(np.float32) / 255}
    depth = {'mono8': '8', '8UC1': '8', 'mono16': '1', '16UC1': '1', '32FC1': '3'}[encoding]
    out = rgb_from_image(
        padded_image(values[depth], encoding, padding, big_endian))
    assert np.array_equal(out, np.repeat(grey[..., None], 3, axis=2))


def test_float_nan_and_range():
    """What is no number does not become random, and does not count for the range."""
    values = np.array([[np.nan, -np.inf, 0.0, 0.25, 0.5, 1.0, np.inf]], dtype=np.float32)
    out = rgb_from_image(padded_image(values, '32FC1'))
    assert out[0, :, 0].tolist() == [0, 0, 0, 64, 128, 255, 255]


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer(pattern, padding):
    colour = {'r': 200, 'g': 90, 'b': 30}
    tile = np.array([colour[c] for c in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(tile, (3, 8))
    out = rgb_from_image(padded_image(mosaic, f'bayer_{pattern}8', padding))
    assert np.abs(out.astype(int) - [200, 90, 30]).max() <= 1


@pytest.mark.parametrize('padding', [0, 10])
@pytest.mark.parametrize('encoding, luma', [('yuv422', 1), ('uyvy', 1), ('yuv422_yuy2', 0)])
def test_yuv(encoding, luma, padding):
    """A grey ramp keeps its order, and red is red."""
    yuv = np.full((6, 16, 2), 128, np.uint8)
    yuv[..., luma] = np.linspace(20, 230, 16)
    out = rgb_from_image(padded_image(yuv, encoding, padding)).astype(int)
    assert (np.diff(out[0, :, 1]) > 0).all() and np.ptp(out, axis=2).max() <= 2
    yuv[..., luma] = 100
    yuv[:, 1::2, 1 - luma] = 255
    red = rgb_from_image(padded_image(yuv, encoding, padding)).astype(int)
    assert (red[..., 0] > red[..., 2] + 20).all()


def test_last_row_may_lack_its_padding(rgb):
    """Some drivers do not send the bytes after the last pixel."""
    image = padded_image(rgb, 'rgb8', padding=10)
    image.data = image.data[:-10]
    assert np.array_equal(rgb_from_image(image), rgb)


@pytest.mark.parametrize('change, word', [
    ({'width': 0}, '0x6'), ({'height': 0}, '16x0'), ({'encoding': 'nv99'}, 'nv99'),
    ({'step': 3}, 'step is 3'), ({'height': 600}, 'data has'),
    ({'width': 4000000000, 'height': 4000000000, 'step': 4000000000}, '4000000000'),
    ({'encoding': 'mono16', 'step': 17}, 'step is 17'), ({'encoding': ''}, 'encoding'),
    ({'data': array('B')}, '0 bytes')])
def test_refused(rgb, change, word):
    image = padded_image(rgb, 'rgb8')
    for name, value in change.items():
        setattr(image, name, value)
    with pytest.raises(InputError, match=word):
        rgb_from_image(image)


def test_odd_yuv_is_refused():
    """Two pixels share their colour."""
    with pytest.raises(InputError, match='5 pixels wide'):
        rgb_from_image(padded_image(np.zeros((4, 5, 2), np.uint8), 'yuv422'))
