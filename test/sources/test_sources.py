"""Videos and folders of images: stamps, rates, rotation, damaged files, errors."""

import struct

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.video_writer import VideoWriter
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from scenes import measured_clip, truncated

GREY_LEVELS = np.arange(20) * 12


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 25.0, 64, 48) as writer:
        for level in GREY_LEVELS:
            writer.write(np.full((48, 64, 3), level, np.uint8))
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'images'
    path.mkdir()
    for name, level in (('b.png', 80), ('c.JPG', 160), ('a.jpg', 0)):
        cv2.imwrite(str(path / name), np.full((20, 30, 3), level, np.uint8))
    (path / 'notes.txt').write_text('not an image')
    return path


def test_video_gives_every_frame_with_stamps_from_its_rate(video):
    with open_source(video) as source:
        assert (source.rate_hz, source.frame_count) == (25.0, 20)
        assert (source.width, source.height, source.live) == (64, 48, False)
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.stamp_ns for frame in frames] == [40_000_000 * i for i in range(20)]
    assert all(f.image_rgb.shape == (48, 64, 3) and f.image_rgb.dtype == np.uint8 for f in frames)
    assert np.allclose([f.image_rgb.mean() for f in frames], GREY_LEVELS, atol=4)


def test_colours_are_rgb(tmp_path):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 230
    with VideoWriter(tmp_path / 'red.mp4', 10, 32, 32) as writer:
        writer.write(red)
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'red.png'), red[..., ::-1])
    for spec in ('red.mp4', 'images'):
        image = next(iter(open_source(tmp_path / spec))).image_rgb
        assert image[16, 16, 0] > 200 and image[16, 16, 1:].max() < 30


def test_rotation_tag_is_applied(video, tmp_path):
    """An upright phone stores landscape images and a rotation in the matrix of the track."""
    data = bytearray(video.read_bytes())
    matrix = data.index(b'tkhd') + 4 + 40
    one = 1 << 16
    struct.pack_into('>9i', data, matrix, 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    turned = tmp_path / 'turned.mp4'
    turned.write_bytes(data)
    source = open_source(turned)
    assert (source.width, source.height) == (48, 64)
    assert next(iter(source)).image_rgb.shape == (64, 48, 3)


def test_loop_continues_index_and_stamps(video):
    source = open_source(video, loop=True, max_frames=50)
    frames = list(source)
    assert source.frame_count == len(frames) == 50
    assert np.array_equal(np.diff([f.stamp_ns for f in frames]), np.full(49, 40_000_000))
    assert np.array_equal(frames[3].image_rgb, frames[43].image_rgb)
    assert open_source(video, loop=True).frame_count is None


def test_a_source_can_be_read_twice(video):
    source = open_source(video)
    assert len(list(source)) == len(list(source)) == 20


def test_rate_is_overridden(video, folder):
    assert [f.stamp_ns for f in open_source(video, rate_hz=3, max_frames=3)] == [
        0, 333_333_333, 666_666_667]
    assert open_source(folder, rate_hz=7).rate_hz == 7


def test_folder_in_the_order_of_names(folder):
    source = open_source(folder)
    assert (source.frame_count, source.rate_hz, source.width, source.height) == (3, 30.0, 30, 20)
    assert [round(float(f.image_rgb.mean())) for f in source] == [0, 80, 160]


def test_truncated_video_yields_its_frames_before_the_error(tmp_path):
    cut = truncated(measured_clip('cam01.mp4'), tmp_path / 'cut.mp4')
    frames = []
    with pytest.raises(SourceError, match=r'cut\.mp4 .* of 100'):
        for frame in open_source(cut):
            frames.append(frame)
    assert 10 < len(frames) < 95
    readable = len(frames)
    assert len(list(open_source(cut, max_frames=readable))) == readable


@pytest.mark.parametrize('content, fact', [
    (None, 'rtsp://'), (b'', '0 bytes'), (b'no video' * 99, 'ffprobe'),
    ('folder', 'png'), ('truncated', 'thing.mp4')])
def test_refused_with_path_and_reason(tmp_path, video, content, fact):
    path = tmp_path / 'thing.mp4'
    if content == 'folder':
        path.mkdir()
    elif content is not None:
        path.write_bytes(video.read_bytes()[:300] if content == 'truncated' else content)
    with pytest.raises(SourceError, match=fact) as error:
        open_source(path)
    assert 'thing.mp4' in str(error.value)


def test_broken_or_odd_image_in_a_folder_is_named(folder):
    (folder / 'd.png').write_bytes(b'\x89PNG broken')
    with pytest.raises(SourceError, match=r'd\.png'):
        list(open_source(folder))
    cv2.imwrite(str(folder / 'd.png'), np.zeros((21, 30, 3), np.uint8))
    with pytest.raises(SourceError, match=r'd\.png .*30x21.* 30x20'):
        list(open_source(folder))


def test_missing_camera_is_refused():
    with pytest.raises(SourceError, match='/dev/video97'):
        open_source('/dev/video97')


@pytest.mark.parametrize('options, message', [
    ({'rate_hz': 0}, 'rate_hz is 0'), ({'rate_hz': float('nan')}, 'rate_hz is nan'),
    ({'max_frames': 0}, 'max_frames is 0')])
def test_invalid_options_are_refused(video, options, message):
    with pytest.raises(SourceError, match=message):
        open_source(video, **options)
