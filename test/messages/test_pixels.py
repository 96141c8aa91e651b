"""One picture in every encoding that cameras send, deep and compressed ones too, over DDS."""

from __future__ import annotations

from array import array
import struct

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here')

import cv2  # noqa: E402, I100
from niki_ros.common.errors import InputError  # noqa: E402
from niki_ros.messages.encodings import ENCODINGS, find_encoding  # noqa: E402
from niki_ros.messages.image_decoding import rgb_from_compressed, rgb_from_image  # noqa: E402
from niki_ros.ros.conversions import stamp_from_ns  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from ros_fixtures import FRAME, running, T0, wait_for  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

WIDTH, HEIGHT = 96, 64
BLOCKS = np.random.default_rng(4).integers(0, 256, (4, 6, 3), dtype=np.uint8)
# 16 pixels of one colour: what two or four pixels share is the same for all of them
RGB = BLOCKS.repeat(16, axis=0).repeat(16, axis=1)
GREY = RGB[..., 1]
BAYER_AT = {'rggb': (0, 1, 1, 2), 'bggr': (2, 1, 1, 0), 'gbrg': (1, 2, 0, 1), 'grbg': (1, 0, 2, 1)}


def image(pixels, encoding, step=0, height=HEIGHT, big_endian=False):
    """Return an Image of rows of whatever there is."""
    pixels = np.ascontiguousarray(pixels)
    if big_endian:
        pixels = pixels.astype(pixels.dtype.newbyteorder('>'))
    out = Image(width=WIDTH, height=height, encoding=encoding, is_bigendian=int(big_endian),
                step=step or pixels.nbytes // height)
    out.data = array('B', pixels.tobytes())
    return out


def mosaic(pattern, kind):
    """Return the picture behind the filter of a sensor."""
    out = np.zeros((HEIGHT, WIDTH), kind)
    for at, channel in enumerate(BAYER_AT[pattern]):
        out[at // 2::2, at % 2::2] = RGB[at // 2::2, at % 2::2, channel]
    return out


def planes(kind):
    """Return brightness and colour of nv12 and its kin, rows of WIDTH bytes."""
    i420 = cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_I420)
    quarter = HEIGHT * WIDTH // 4
    bright, rest = i420[:HEIGHT], i420[HEIGHT:].ravel()
    u, v = rest[:quarter], rest[quarter:]
    colour = {'i420': [u, v], 'yv12': [v, u], 'nv12': [np.stack([u, v], 1)],
              'nv21': [np.stack([v, u], 1)],
              'nv24': [np.stack([u, v], 1).reshape(HEIGHT // 2, WIDTH // 2, 2)
                       .repeat(2, 0).repeat(2, 1)]}[kind]
    return np.concatenate([bright.ravel(), *(part.ravel() for part in colour)])


def padded(kind, step):
    """Return the same with rows of ``step`` bytes, those of half a width of half of that."""
    flat = planes(kind)
    bright = flat[:HEIGHT * WIDTH].reshape(HEIGHT, WIDTH)
    half = kind in ('i420', 'yv12')
    colour = flat[HEIGHT * WIDTH:].reshape(-1, WIDTH // 2 if half else WIDTH)
    wide = [np.pad(part, ((0, 0), (0, more - part.shape[1]))).ravel()
            for part, more in ((bright, step), (colour, step // 2 if half else step))]
    return np.concatenate(wide)


IMAGES = {
    **{f'{name} {"big" if big else "little"}': image(RGB.astype(np.uint16)[..., order] * 257, name,
                                                    big_endian=big)
       for name, order in (('rgb16', [0, 1, 2]), ('bgr16', [2, 1, 0]), ('rgba16', [0, 1, 2, 0]),
                           ('bgra16', [2, 1, 0, 0]), ('16UC3', [2, 1, 0]),
                           ('16UC4', [2, 1, 0, 0])) for big in (False, True)},
    '32FC3 0 … 1': image(RGB.astype(np.float32) / 255, '32FC3'),
    '32FC3 0 … 255': image(RGB.astype(np.float32), '32FC3'),
    '64FC3': image(RGB.astype(np.float64) / 255, '64FC3'),
    **{f'bayer_{name}16': image(mosaic(name, np.uint16) * 257, f'bayer_{name}16')
       for name in BAYER_AT},
    **{kind: image(planes(kind), kind, WIDTH)
       for kind in ('nv12', 'nv21', 'nv24', 'i420', 'yv12')},
    **{f'{kind} padded': image(padded(kind, WIDTH + 32), kind, WIDTH + 32)
       for kind in ('nv12', 'nv21', 'i420')},
    # depthai divides all bytes by the height
    'YUV420': image(planes('i420'), 'YUV420', WIDTH * 3 // 2),
    'yuv422_yuy2': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_YUY2), 'yuv422_yuy2'),
    'YUYV': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_YUY2), 'YUYV'),
    'UYVY': image(cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_UYVY), 'UYVY'),
    'RGB8': image(RGB, 'RGB8'), ' bgr8 ': image(RGB[..., ::-1], ' bgr8 '),
    'BGR24': image(RGB[..., ::-1], 'BGR24'), 'Bayer_RGGB8': image(mosaic('rggb', np.uint8),
                                                                  'Bayer_RGGB8'),
    '8uc3': image(RGB[..., ::-1], '8uc3')}


OVER_DDS = ('rgb16 little', 'bgr16 big', '32FC3 0 … 1', 'bayer_rggb16', 'nv12', 'nv21 padded',
            'YUV420', 'YUYV', '8uc3')


def off(picture, wanted=RGB):
    """Return how far a picture is off in the middle of its blocks, where colours do not mix."""
    difference = np.abs(picture.astype(int) - wanted)
    return difference.reshape(4, 16, 6, 16, 3)[:, 4:12, :, 4:12].max()


@pytest.mark.parametrize('name', IMAGES)
def test_every_encoding_is_the_same_picture(name):
    out = rgb_from_image(IMAGES[name])
    assert out.dtype == np.uint8 and out.flags['C_CONTIGUOUS'] and off(out) <= 4


DEEP = {
    'mono16': GREY.astype(np.uint16) * 257, '10 bit': GREY.astype(np.uint16) * 4,
    '12 bit': GREY.astype(np.uint16) * 16 + 7, '14 bit': GREY.astype(np.uint16) * 64,
    '8 bit in 16': GREY.astype(np.uint16),
    'hundredths of a kelvin': 29_315 + GREY.astype(np.uint16),
    'a tenth of that': 2900 + GREY.astype(np.uint16)}
FLOATS = {'unit': GREY / 255, 'degrees': 18 + GREY / 255 * 20, 'kelvin': 290 + GREY / 255 * 20,
          'below zero': GREY / 255 * 30 - 40, 'counts': GREY * 64.0, 'small': GREY * 1e-6}


def stretched_grey(picture):
    """Return by how much a picture differs from the grey one with its whole range used."""
    low, high = np.percentile(GREY, (1, 99))
    wanted = np.clip((GREY - low) / (high - low), 0, 1) * 255
    return min(np.abs(picture[..., 0] - wanted).max(), np.abs(picture[..., 0].astype(int)
                                                              - GREY).max())


@pytest.mark.parametrize('encoding, values', [
    *((encoding, values) for values in DEEP.values() for encoding in ('mono16', '16UC1')),
    *(('32FC1', values.astype(np.float32)) for values in FLOATS.values()),
    ('64FC1', FLOATS['kelvin']), ('16SC1', GREY.astype(np.int16) - 100),
    ('32SC1', GREY.astype(np.int32) * 1000), ('mono12', DEEP['12 bit'])])
def test_grey_of_any_range_can_be_seen(encoding, values):
    """Infrared and thermal cameras use a part of their type's range."""
    out = rgb_from_image(image(values, encoding))
    assert (out[..., 0] == out[..., 2]).all() and stretched_grey(out) <= 3


def compressed(data, said):
    """Return a CompressedImage."""
    out = CompressedImage(format=said)
    out.data = array('B', data)
    return out


def png(pixels) -> bytes:
    """Return the file."""
    return cv2.imencode('.png', np.ascontiguousarray(pixels))[1].tobytes()


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
    with pytest.raises(InputError, match='expected|data has'):
        rgb_from_image(message)


def observed_by(node) -> dict:
    """Return the pictures that the front end is given from now on, by their stamps."""
    pictures = {}
    observe = node.pipeline.observer.observe

    def noted(image_rgb, camera, stamp_ns, *others):
        pictures[stamp_ns] = image_rgb
        return observe(image_rgb, camera, stamp_ns, *others)
    node.pipeline.observer.observe = noted
    return pictures


def send(publisher, message, pictures, index):
    """Publish with growing stamps until one was given to the front end; return the picture."""
    for attempt in range(20):
        stamp_ns = T0 + index * 10**9 + attempt * 10**7
        message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), FRAME
        publisher.publish(message)
        if wait_for(lambda wanted=stamp_ns: wanted in pictures, 0.5):
            return pictures[stamp_ns]
    raise AssertionError(f'nothing was processed of {index}')


def test_over_dds_the_front_end_sees_the_picture():
    with running() as (node, client):
        pictures = observed_by(node)
        for index, name in enumerate(OVER_DDS):
            assert off(send(client.images, IMAGES[name], pictures, index)) <= 4, name
        assert 'niki_pose: values_stretched' not in client.diagnostics
        thermal = image(DEEP['hundredths of a kelvin'], 'mono16')
        assert stretched_grey(send(client.images, thermal, pictures, 1000)) <= 3
        assert wait_for(lambda: 'niki_pose: values_stretched' in client.diagnostics)
        status = client.diagnostics['niki_pose: values_stretched']
        assert status.level == b'\x00' and 'uint16 values 293' in status.message


@pytest.mark.parametrize('transport', ['compressed', 'raw'])
def test_over_dds_a_topic_that_is_compressed_already(transport):
    """The remap names …/compressed itself; what is no JPEG is told by the name of its format."""
    overrides = [Parameter('image_transport', value=transport)]
    arguments = ['--ros-args', '-r', 'image:=/cam/image_raw/compressed']
    with running(overrides=overrides, cli_args=arguments) as (node, client):
        pictures = observed_by(node)
        publisher = client.create_publisher(CompressedImage, '/cam/image_raw/compressed', 5)
        assert wait_for(lambda: publisher.get_subscription_count() > 0)
        message = compressed(png(RGB[..., ::-1]), 'rgb8; png compressed bgr8')
        assert off(send(publisher, message, pictures, 0)) == 0
        message = compressed(b'\0\0\0\1\x67' + bytes(200), 'h264')
        message.header.stamp = stamp_from_ns(T0 + 10**10)
        assert wait_for(lambda: publisher.publish(message)
                        or 'niki_pose: image_format_unknown' in client.diagnostics)
        assert "'h264'" in client.diagnostics['niki_pose: image_format_unknown'].message
