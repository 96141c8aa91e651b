"""Depth images, raw and as compressed_depth_image_transport writes them, and their pairing."""

import struct
import threading
import time
from types import SimpleNamespace as Record

import cv2
from niki_ros.common.errors import InputError
from niki_ros.messages.depth import depth_from_image, DepthSynchronizer
import numpy as np
import pytest

MS = 1_000_000


def image(stamp_ns=0, encoding='16UC1', values=((1000, 0), (2000, 3000)), big=False, pad=0):
    kind = {'32FC1': 'f4'}.get(encoding, 'u2')
    array = np.asarray(values, dtype=('>' if big else '<') + kind)
    lines = [row.tobytes() + b'\0' * pad for row in array]
    return Record(header=Record(stamp=Record(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)),
                  width=array.shape[1], height=array.shape[0], encoding=encoding,
                  is_bigendian=int(big), step=len(lines[0]), data=b''.join(lines))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('pad', [0, 6])
def test_depth_of_both_encodings(big, pad):
    found = depth_from_image(image(big=big, pad=pad))
    assert found.dtype == np.uint16 and found.tolist() == [[1000, 0], [2000, 3000]]
    found = depth_from_image(image(encoding='32FC1', values=[[1.5, np.nan]], big=big, pad=pad))
    assert found.dtype == np.float32 and found[0, 0] == 1.5 and np.isnan(found[0, 1])


def test_what_is_no_depth_is_refused():
    message = image()
    message.encoding = 'rgb8'
    with pytest.raises(InputError, match='rgb8'):
        depth_from_image(message)
    message = image()
    message.data = message.data[:3]
    with pytest.raises(InputError):
        depth_from_image(message)


def test_the_nearest_depth_within_half_a_frame():
    pairing = DepthSynchronizer()
    assert pairing.match(5 * MS) is None
    for k in range(5):
        pairing.put(image(k * 33 * MS + 4 * MS))
    assert pairing.match(99 * MS).header.stamp.nanosec == 103 * MS
    assert pairing.match(130 * MS).header.stamp.nanosec == 136 * MS
    assert pairing.match(20 * MS) is None, 'that one is gone'
    assert pairing.match(900 * MS) is None, 'the stream has stopped'


def test_depth_that_comes_just_after_the_image_is_waited_for():
    pairing = DepthSynchronizer()
    for k in range(3):
        pairing.put(image(k * 33 * MS))
    later = threading.Timer(0.003, lambda: pairing.put(image(99 * MS)))
    later.start()
    assert pairing.match(99 * MS).header.stamp.nanosec == 99 * MS
    later.join()
    start = time.monotonic()
    assert pairing.match(132 * MS) is None
    assert time.monotonic() - start < 1.0, 'but not for long'


def scene():
    rng = np.random.default_rng(1)
    depth = (1500 + 40 * np.mgrid[:48, :64][1] + rng.integers(0, 30, (48, 64))).astype(np.uint16)
    depth[rng.random((48, 64)) < 0.2] = 0
    depth[:3] = 0
    return depth


def rvl(depth) -> bytes:
    """Compress as Wilson's paper has it, number by number."""
    nibbles, flat, previous, at = [], depth.ravel().astype(int), 0, 0

    def number(value):
        while True:
            low, value = value & 7, value >> 3
            nibbles.append(low | (8 if value else 0))
            if not value:
                return
    while at < flat.size:
        begin = at
        while at < flat.size and not flat[at]:
            at += 1
        number(at - begin)
        begin = at
        while at < flat.size and flat[at]:
            at += 1
        number(at - begin)
        for value in flat[begin:at]:
            delta, previous = value - previous, value
            number((delta << 1) ^ (delta >> 31))
    nibbles += [0] * (-len(nibbles) % 8)
    words = [sum(n << (28 - 4 * i) for i, n in enumerate(nibbles[at:at + 8]))
             for at in range(0, len(nibbles), 8)]
    return struct.pack(f'<2I{len(words)}I', depth.shape[1], depth.shape[0], *words)


def png(depth) -> bytes:
    return cv2.imencode('.png', depth)[1].tobytes()


def message(said, picture, a=0.0, b=0.0):
    return Record(format=said, data=struct.pack('<i2f', 0, a, b) + picture)


@pytest.mark.parametrize('said, pack', [
    ('16UC1; compressedDepth png', png), ('16UC1; compressedDepth', png), ('16UC1', png),
    ('16UC1; compressedDepth rvl', rvl), ('mono16; compressedDepth png', png)])
def test_millimetres(said, pack):
    depth = depth_from_image(message(said, pack(scene())))
    assert depth.dtype == np.uint16 and np.array_equal(depth, scene())


@pytest.mark.parametrize('how, pack', [('png', png), ('rvl', rvl)])
def test_metres_come_as_inverse_depth(how, pack):
    """To 1 cm at 3 m with the transport's default quantization of 100 and 10 m at most."""
    metres = scene().astype(np.float32) / 1000
    a = 100.0 * 101.0
    b = 1.0 - a / 10.0
    with np.errstate(divide='ignore'):
        inverse = np.where(metres > 0, a / metres + b, 0).astype(np.uint16)
    depth = depth_from_image(message(f'32FC1; compressedDepth {how}', pack(inverse), a, b))
    assert depth.dtype == np.float32 and np.isnan(depth[metres == 0]).all()
    assert np.abs(depth - metres)[metres > 0].max() < 0.01


def test_png_of_the_transport_compressed():
    one = Record(format='16UC1; png compressed ', data=png(scene()))
    assert np.array_equal(depth_from_image(one), scene())


@pytest.mark.parametrize('said, data, word', [
    ('16UC1; compressedDepth png', b'', '0 bytes'),
    ('16UC1; compressedDepth png', bytes(12), '12 bytes'),
    ('16UC1; compressedDepth png', bytes(400), 'not a readable'),
    ('16UC1; compressedDepth png', bytes(12) + png(scene().astype(np.uint8)), 'uint8'),
    ('16UC1; compressedDepth rvl', bytes(20), 'RVL depth of 8 bytes|at least 12'),
    ('16UC1; compressedDepth rvl', bytes(12) + struct.pack('<2I', 64, 48) + bytes(100), 'damaged'),
    ('16UC1; compressedDepth rvl', bytes(12) + rvl(scene())[:400], 'ends|damaged|says'),
    ('16UC1; compressedDepth rvl',
     bytes(12) + struct.pack('<2I', 2**31, 2**31) + bytes(100), 'says that it is'),
    ('16UC1; compressedDepth rvl',
     bytes(12) + struct.pack('<2I', 8, 8) + b'\xff' * 64, 'damaged|end'),
    ('16UC1; compressedDepth rvl',
     bytes(12) + struct.pack('<2I', 8, 8) + b'\xff' * 16 + bytes(4), '32 bits')])
def test_damaged(said, data, word):
    with pytest.raises(InputError, match=word):
        depth_from_image(Record(format=said, data=data))
