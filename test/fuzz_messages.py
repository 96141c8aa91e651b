"""Strategies for malformed and hostile traffic: images, calibrations, parameters."""

from array import array

from builtin_interfaces.msg import Time
import cv2
from hypothesis import strategies as st
from niki_ros.messages.encodings import BAYER, ENCODINGS, PACKED, YUV422, YUV_PLANES
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

SIZES = st.one_of(st.integers(1, 40), st.sampled_from(
    [0, 1, 2, 3, 64, 4096, 65_535, 100_000, 2**31 - 1, 2**31, 2**32 - 1]))
BYTES_PER_PIXEL = {
    **{name: np.dtype(one.dtype).itemsize * one.channels for name, one in PACKED.items()},
    **{name: np.dtype(kind).itemsize for name, (kind, _) in BAYER.items()},
    **dict.fromkeys(YUV422, 2), **dict.fromkeys(YUV_PLANES, 1)}
NAMES = st.one_of(
    st.sampled_from(['', 'camera_optical_frame', '/camera', '//', ' ', 'a' * 5000, '../../etc',
                     '<link name="x">&', 'caméra 📷', 'a\nb\t\x01', '{}%s%n', 'body_1']),
    st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=30))
MAX_DATA = 20_000
JPEG, PNG = (cv2.imencode(kind, np.random.default_rng(3).integers(
    0, 255, (24, 32, 3), np.uint8))[1].tobytes() for kind in ('.jpg', '.png'))
NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -1.0, 1.0, 1e-300, 1e300, 320.0, 500.0, float('nan'), float('inf')]),
    st.floats(-10, 10))


@st.composite
def headers(draw):
    """Stamps that jump, are zero or negative, or have too many nanoseconds; odd names."""
    near = Time(sec=1_700_000_000 + draw(st.integers(0, 3)),
                nanosec=draw(st.integers(0, 999_999_999)))
    far = Time(sec=draw(st.sampled_from([0, 1, -1, -2**31, 2**31 - 1])),
               nanosec=draw(st.sampled_from([0, 1, 10**9, 2**32 - 1])))
    stamp = near if draw(st.integers(0, 3)) else far
    return Header(stamp=stamp, frame_id=draw(NAMES))


@st.composite
def images(draw):
    """Images of which most contradict themselves."""
    encoding = draw(st.one_of(st.sampled_from(ENCODINGS), st.sampled_from(ENCODINGS), NAMES))
    width, height = draw(SIZES), draw(SIZES)
    row = width * BYTES_PER_PIXEL.get(encoding, 1)
    step = draw(st.sampled_from([row, row, row, row + 5, row - 1, 0, 1, 2**32 - 1]))
    right = step * height
    if encoding in YUV_PLANES:  # colour lies below the brightness
        right = right * 3 // (1 if encoding == 'nv24' else 2)
    length = draw(st.sampled_from([right, right, right, right - 1, right + 7, right // 2, 0, 1]))
    data = _bytes(draw, min(max(length, 0), MAX_DATA))
    return Image(header=draw(headers()), width=width, height=height, encoding=encoding,
                 step=min(max(step, 0), 2**32 - 1), data=data,
                 is_bigendian=draw(st.sampled_from([0, 1, 255])))


@st.composite
def compressed_images(draw):
    """JPEG and PNG files cut, with bytes exchanged, or claiming to be gigantic."""
    data = bytearray(draw(st.sampled_from([JPEG, JPEG, PNG, b'', b'\xff\xd8', b'BM' + bytes(60)])))
    for _ in range(draw(st.integers(0, 4)) if data else 0):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    start = data.find(b'\xff\xc0')
    if start > 0 and draw(st.integers(0, 3)) == 0:
        data[start + 5:start + 9] = draw(st.sampled_from(
            [b'\xff\xff\xff\xff', b'\x75\x30\x75\x30', bytes(4), b'\x00\x01\xff\xff']))
    cut = draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))
    return CompressedImage(header=draw(headers()), format=draw(NAMES),
                           data=array('B', bytes(data[:cut])))


@st.composite
def camera_infos(draw):
    """Good calibrations in which up to four fields are exchanged for anything."""
    focal = draw(st.floats(10, 5000))
    message = CameraInfo(
        header=draw(headers()), width=640, height=480,
        k=[focal, 0.0, 320.0, 0.0, focal, 240.0, 0.0, 0.0, 1.0],
        d=draw(st.lists(st.floats(-1, 1), max_size=5)), distortion_model=draw(
            st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', ''])))
    for part in draw(st.lists(st.integers(0, 4), max_size=4)):
        if part == 0:
            message.k[draw(st.integers(0, 8))] = draw(NUMBERS)
        elif part == 1:
            message.d = draw(st.lists(NUMBERS, max_size=14))
        elif part == 2:
            message.distortion_model = draw(NAMES)
        else:
            setattr(message, draw(st.sampled_from(['width', 'height'])), draw(SIZES))
    return message


def parameter_values(item):
    """Values for one setting: of its type, of others, at and beyond its range."""
    inside = [st.just(item.default)]
    if item.choices and isinstance(item.default, tuple):
        inside.append(st.lists(st.sampled_from([*item.choices, 'none of them']), max_size=3))
    elif item.choices:
        inside.append(st.sampled_from(item.choices))
    elif isinstance(item.default, float) and item.low is not None:
        inside.append(st.floats(item.low, item.high))
    elif type(item.default) is int:
        inside.append(st.integers(item.low, item.high))
    edges = [edge for bound in (item.low, item.high) if bound is not None
             for edge in (bound, bound - 1, bound + 1, -bound)]
    wrong = st.one_of(
        st.sampled_from([*edges, 0, -1, 2**63 - 1, -2**63, True, '', 'nan', 'a' * 10_000]),
        st.floats(allow_nan=True, allow_infinity=True), st.integers(-2**63, 2**63 - 1), NAMES,
        st.lists(st.floats(), max_size=3), st.lists(st.booleans(), max_size=3), st.binary())
    return st.one_of(*inside, wrong)


def _bytes(draw, count: int) -> array:
    """Random bytes of a drawn seed: hypothesis is slow at drawing them one by one."""
    seed = draw(st.integers(0, 2**16))
    kind = draw(st.integers(0, 3))
    data = np.random.default_rng(seed).bytes(count) if kind else b'\xff' * count
    return array('B', data)
