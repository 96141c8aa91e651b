"""Depth as compressed_depth_image_transport writes it, read back; damaged ones are refused."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import cv2
from niki_ros.common.errors import InputError
from niki_ros.messages.side_inputs import depth_from_image
import numpy as np
import pytest


def scene():
    """Return millimetres with holes, as a depth camera has them."""
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
    """Return the file."""
    return cv2.imencode('.png', depth)[1].tobytes()


def message(said, picture, a=0.0, b=0.0):
    """Return what has the fields of a CompressedImage."""
    return SimpleNamespace(format=said, data=struct.pack('<i2f', 0, a, b) + picture)


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
    one = SimpleNamespace(format='16UC1; png compressed ', data=png(scene()))
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
        depth_from_image(SimpleNamespace(format=said, data=data))
