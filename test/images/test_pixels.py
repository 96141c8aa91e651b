"""Overlay, JPEG and PNG."""

import struct
import zlib

import cv2
from niki_ros.body.body import Body, OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.common.errors import InputError
from niki_ros.images.overlay import confidence_rgb, draw_overlay
from niki_ros.images.pixels import encoded_size, jpeg_from_rgb, rgb_from_jpeg
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import observe_body, random_pose

CAMERA = Camera.from_fov(640, 480, 60.0)


def body_at(root_m, status=OBSERVED, confidence=1.0, seed=0, id=1):  # noqa: A002
    root_m = np.asarray(root_m, dtype=float)
    rotmat = random_pose(np.random.default_rng(seed), spread_rad=0.2)[0]
    seen = observe_body(rotmat, root_m, CAMERA)
    return Body(id=id, stamp_ns=0, rotmat=rotmat, betas=np.zeros(10), root_m=root_m,
                joints_m=seen.joints_m + root_m, confidence=np.full(24, confidence),
                status=np.full(24, status, np.uint8), angular_velocity_rad_s=np.zeros((24, 3)),
                root_velocity_m_s=np.zeros(3), keypoints_px=seen.keypoints_px)


@pytest.fixture
def image():
    return np.full((480, 640, 3), 128, np.uint8)


def changed(before, after):
    return (before != after).any(-1)


def test_draws_where_the_camera_sees_the_joints_and_leaves_its_input(image):
    body = body_at([0, 0, 4])
    drawn = draw_overlay(image, [body], CAMERA)
    assert (image == 128).all()
    pixels = np.round(CAMERA.project(body.joints_m)).astype(int)
    assert all(changed(image, drawn)[v, u] for u, v in pixels)
    low, high = pixels.min(0) - 60, pixels.max(0) + 30
    mask = changed(image, drawn)
    mask[low[1]:high[1], low[0]:high[0]] = False
    assert not mask.any()


def test_scaled_image_moves_the_drawing_along(image):
    body = body_at([0.3, 0, 4])
    small = draw_overlay(np.full((240, 320, 3), 128, np.uint8), [body], CAMERA)
    pixels = np.round(CAMERA.project(body.joints_m) / 2).astype(int)
    assert all((small[v, u] != 128).any() for u, v in pixels)


def test_colour_of_a_confidence():
    assert confidence_rgb(0) == confidence_rgb(np.nan) == confidence_rgb(-1) == (213, 94, 0)
    assert confidence_rgb(1) == confidence_rgb(7) == (86, 180, 233)
    blues = [confidence_rgb(c)[2] for c in np.linspace(0, 1, 11)]
    assert blues == sorted(blues)


def test_uncertain_bones_are_thinner(image):
    ink = [changed(image, draw_overlay(image, [body_at([0, 0, 3], status)], CAMERA)).sum()
           for status in (OBSERVED, PREDICTED, UNOBSERVED)]
    assert ink[0] > ink[1] > ink[2] > 0


def test_nearer_person_is_drawn_last(image):
    near, far = body_at([0, 0, 3], id=1), body_at([0, 0, 6], id=2, confidence=0.0)
    assert np.array_equal(draw_overlay(image, [near, far], CAMERA),
                          draw_overlay(image, [far, near], CAMERA))


@pytest.mark.parametrize('spoil', [
    lambda b: b.joints_m.__setitem__(4, np.nan),
    lambda b: b.joints_m.fill(np.nan),
    lambda b: b.joints_m.__setitem__((slice(None), 2), -1.0),
    lambda b: b.joints_m.__setitem__(7, [1e9, -1e9, 1e-3]),
    lambda b: b.joints_m.__setitem__((slice(None), 0), 500.0),
    lambda b: b.root_m.fill(np.nan),
    lambda b: b.confidence.fill(np.nan)])
def test_invalid_numbers_are_not_drawn(image, spoil):
    body = body_at([0, 0, 3])
    spoil(body)
    for picture in (image, image[:5, :4], image[:1, :1]):
        assert draw_overlay(picture, [body], CAMERA).shape == picture.shape


def test_body_partly_outside_is_drawn(image):
    body = body_at([-1.6, 0.4, 3])
    pixels = CAMERA.project(body.joints_m)
    assert (pixels[:, 0] < 0).any() and (pixels[:, 0] > 0).any()
    assert changed(image, draw_overlay(image, [body], CAMERA)).any()


def test_image_without_bodies_is_unchanged(image):
    assert np.array_equal(draw_overlay(image, [], CAMERA), image)


@pytest.mark.parametrize('bad', [
    np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_than_images_are_refused(bad):
    for use in (lambda: draw_overlay(bad, [], CAMERA), lambda: jpeg_from_rgb(bad)):
        with pytest.raises(InputError, match=str(bad.dtype)):
            use()


def test_round_trip_of_jpeg_and_png():
    rows, columns = np.mgrid[0:48, 0:64]
    image = np.stack([rows * 5, columns * 4, np.full_like(rows, 30)], -1).astype(np.uint8)
    again = rgb_from_jpeg(jpeg_from_rgb(image))
    assert again.shape == image.shape and np.abs(again.astype(int) - image).mean() < 3
    assert len(jpeg_from_rgb(image, 20)) < len(jpeg_from_rgb(image, 95))
    png = cv2.imencode('.png', image[..., ::-1])[1].tobytes()
    assert np.array_equal(rgb_from_jpeg(png), image)


@pytest.mark.parametrize('data', [b'', b'\xff\xd8\xff', b'hello', b'\x00' * 500])
def test_broken_jpeg_is_refused(data):
    with pytest.raises(InputError, match=f'{len(data)} bytes'):
        rgb_from_jpeg(data)


def encoded(kind, width, height) -> bytes:
    return cv2.imencode(kind, np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def test_small_files_of_huge_images_are_not_decoded():
    """631 bytes of JPEG took 2.7 GB and 15 s; the size is in the header of the file."""
    jpeg = encoded('.jpg', 16, 16)
    at = jpeg.index(b'\xff\xc0')
    bomb = jpeg[:at + 5] + struct.pack('>HH', 30_000, 30_000) + jpeg[at + 9:]
    header = struct.pack('>IIBBBBB', 30_000, 30_000, 8, 2, 0, 0, 0)
    png = (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + b'IHDR' + header
           + struct.pack('>I', zlib.crc32(b'IHDR' + header)))
    for data in (bomb, png):
        assert len(data) < 1000
        with pytest.raises(InputError, match='30000x30000'):
            rgb_from_jpeg(data)


@pytest.mark.parametrize('data, size', [
    (encoded('.jpg', 33, 18), (33, 18)), (encoded('.png', 18, 33), (18, 33)),
    (b'\xff\xd8\xff\xff\xff' + encoded('.jpg', 5, 6)[3:], (5, 6)), (b'', None),
    (b'\xff\xd8', None), (b'\x89PNG\r\n\x1a\n', None), (b'\xff\xd8\xff\xe0\x00\x00' * 9, None),
    (b'\xff\xd8\xff\xda\x00\x08' + bytes(20), None), (encoded('.bmp', 8, 8), None)])
def test_size_in_the_header_of_a_file(data, size):
    """Fill bytes and segments are skipped as by libjpeg; other formats have no size."""
    assert encoded_size(data) == size
    if size:
        assert rgb_from_jpeg(data).shape == (*size[::-1], 3)
