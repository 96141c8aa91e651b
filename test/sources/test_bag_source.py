"""``niki run BAG`` and its source: both storages, choice of topics, malformed messages."""

import json

from bags import (
    CAMERA,
    camera_messages,
    header,
    image,
    info,
    jpeg,
    picture,
    pixel_pipeline,
    STEP_NS,
    T0,
    TYPES,
    write_bag,
)
import cv2
from niki_ros.cli import main as cli
from niki_ros.common.errors import SourceError
from niki_ros.images.pixels import rgb_from_jpeg
from niki_ros.loading.process_source import body_record
from niki_ros.scene.camera import Camera
from niki_ros.sources.open import open_source
import numpy as np
import pytest


def run(monkeypatch, *words) -> int:
    monkeypatch.setattr('niki_ros.load_pipeline', lambda **settings: pixel_pipeline())
    return cli.main(['run', *map(str, words)])


def lines_of(path):
    return [json.loads(line) for line in path.read_text('utf-8').splitlines()]


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
def test_run_equals_the_pipeline_on_the_same_images(tmp_path, monkeypatch, storage, encoding):
    bag = write_bag(tmp_path / 'bag', camera_messages(12, encoding), storage)
    assert run(monkeypatch, bag, '--json', tmp_path / 'out.jsonl') == 0
    pipeline = pixel_pipeline()
    wanted = []
    for index in range(12):
        stamp_ns = T0 + index * STEP_NS
        bodies = pipeline.process(picture(index), CAMERA, stamp_ns)
        wanted.append({'stamp_ns': stamp_ns, 'bodies': [body_record(body) for body in bodies]})
    assert lines_of(tmp_path / 'out.jsonl') == wanted
    # the path of the file in the folder gives the same
    file = next(path for path in bag.iterdir() if path.suffix in ('.db3', '.mcap'))
    assert run(monkeypatch, file, '--json', tmp_path / 'again.jsonl', '--quiet') == 0
    assert (tmp_path / 'again.jsonl').read_bytes() == (tmp_path / 'out.jsonl').read_bytes()


def test_properties_of_a_source(tmp_path):
    with open_source(write_bag(tmp_path / 'bag', camera_messages(9)), max_frames=5) as source:
        frames = list(source)
        assert (source.width, source.height, source.live) == (320, 240, False)
        assert source.frame_count == len(frames) == 5
        assert source.rate_hz == pytest.approx(25, rel=0.1)
        assert [frame.index for frame in frames] == list(range(5))
        assert [frame.stamp_ns for frame in frames] == [T0 + i * STEP_NS for i in range(5)]
        assert np.array_equal(frames[4].image_rgb, picture(4))
        assert np.array_equal(frames[4].camera.matrix, CAMERA.matrix)
        assert source.remarks() == [
            'images of /camera/image_raw, calibration of /camera/camera_info']
        assert len(list(source)) == 5


def test_compressed_images(tmp_path):
    messages = [('/cam/image/compressed', jpeg(picture(7), T0)), ('/cam/camera_info', info(T0))]
    frame, = open_source(write_bag(tmp_path / 'bag', messages))
    assert np.array_equal(frame.image_rgb, rgb_from_jpeg(bytes(messages[0][1].data)))
    # drivers send the calibration after the first image
    assert np.array_equal(frame.camera.distortion, CAMERA.distortion)


def test_choice_of_topics(tmp_path):
    """Raw is preferred to compressed; depth and overlay are ignored; two cameras need a name."""
    one = write_bag(tmp_path / 'one', [
        ('/a/image', image(picture(1), T0)), ('/a/image/compressed', jpeg(picture(2), T0)),
        ('/a/depth/image', image(picture(3), T0)), ('/overlay', image(picture(4), T0)),
        ('/b/camera_info', info(T0))])
    frame, = open_source(one)
    assert np.array_equal(frame.image_rgb, picture(1)) and frame.camera is not None
    frame, = open_source(one, image_topic='a/depth/image')
    assert np.array_equal(frame.image_rgb, picture(3))
    two = write_bag(tmp_path / 'two', [
        ('/left/image', image(picture(1), T0)), ('/right/image', image(picture(2), T0)),
        ('/left/camera_info', info(T0)),
        ('/right/camera_info', info(T0, Camera.from_fov(320, 240, 40)))])
    with pytest.raises(SourceError, match='/left/image, /right/image; .*--image-topic'):
        open_source(two)
    frame, = open_source(two, image_topic='/right/image')
    assert frame.camera.matrix[0, 0] == Camera.from_fov(320, 240, 40).matrix[0, 0]
    frame, = open_source(two, image_topic='/right/image', info_topic='/left/camera_info')
    assert np.array_equal(frame.camera.matrix, CAMERA.matrix)
    with pytest.raises(SourceError, match='/no/such'):
        open_source(two, image_topic='/left/image', info_topic='/no/such')
    with pytest.raises(SourceError, match='sensor_msgs/Image'):
        open_source(write_bag(tmp_path / 'none', [('/left/camera_info', info(T0))]))


def test_malformed_images_are_counted_and_named(tmp_path, monkeypatch, capsys):
    good = picture(0)
    messages = [
        ('/image', image(good, T0 + 1)),
        ('/image', image(good, T0 + 2, step=7)),
        ('/image', image(good, T0 + 3, encoding='x264')),
        ('/image', image(good, T0 + 4, width=0, height=0)),
        ('/image', image(good, 0)),
        ('/image', image(good, T0 + 1)),
        ('/image', b'\x00\x01\x00\x00 no message'),
        ('/image', b''),
        ('/image', image(good, T0 + 5, data=np.zeros(9, np.uint8))),
        ('/image', image(picture(1, 64, 48), T0 + 10**9)),
        ('/image', image(good, T0 + 9))]
    bag = write_bag(tmp_path / 'bag', messages)
    source = open_source(bag)
    assert [frame.stamp_ns for frame in source] == [T0 + 1, T0 + 10**9, T0 + 9]
    assert source.skipped == {
        'image_invalid': 2, 'encoding_unknown': 1, 'image_empty': 1, 'stamp_zero': 1,
        'stamp_repeated': 1, 'message_unreadable': 2}
    assert run(monkeypatch, bag, '--overlay', tmp_path / 'overlay.mp4') == 0
    said = capsys.readouterr().err
    assert 'skipped 1: encoding_unknown' in said and "'x264'" in said
    assert 'skipped 2: image_invalid' in said and '7 bytes' in said
    assert 'warned 3: camera_info_missing' in said
    assert 'stamp_jumped_back:' in said and '1.000 s' in said
    overlay = open_source(tmp_path / 'overlay.mp4')
    assert (overlay.width, overlay.height, len(list(overlay))) == (320, 240, 3)


def test_late_images_are_skipped_and_counted(tmp_path, monkeypatch, capsys):
    """A driver may send images out of order; the limit is a setting."""
    offsets_ms = (0, 33, 100, 66, 133, 130, 166)
    bag = write_bag(tmp_path / 'bag', [
        ('/image', image(picture(0, 64, 48), T0 + ms * 1_000_000)) for ms in offsets_ms])
    source = open_source(bag)
    assert [(f.stamp_ns - T0) // 1_000_000 for f in source] == [0, 33, 100, 133, 166]
    assert source.skipped == {'stamp_late': 2}
    assert run(monkeypatch, bag) == 0
    said = capsys.readouterr().err
    assert 'skipped 2: stamp_late' in said and '0.034 s' in said and '5 frames' in said
    assert run(monkeypatch, bag, '--set', 'tracking.late_s=0.01') == 0
    assert 'skipped 1: stamp_late' in capsys.readouterr().err


def test_camera_without_calibration(tmp_path, monkeypatch):
    """With K of zeros, the field of view of the settings is assumed, and a fault is counted."""
    bag = write_bag(tmp_path / 'bag', [
        ('/camera_info', info(T0, None)), ('/image', image(picture(0), T0))])
    source = open_source(bag, fov_deg=70.0)
    frame, = source
    assert frame.camera is None and source.warned == {'camera_info_zeroed': 1}
    assert 'camera.fov_deg = 70°' in source.remarks()[1]


@pytest.mark.parametrize('first', ['image', 'depth'])
def test_depth_is_paired_by_stamp(tmp_path, monkeypatch, first):
    """The order in the bag does not matter; an invalid depth image is counted."""
    def depth(index, **fields):
        values = np.full((240, 320), 2000 + 10 * index, np.uint16)
        raw = np.frombuffer(values.tobytes(), np.uint8)
        return image(picture(0), T0 + index * STEP_NS, **{
            'encoding': '16UC1', 'step': 640, 'data': raw, **fields})
    messages = [('/camera_info', info(T0))]
    for index in range(6):
        pair = [('/image', image(picture(index), T0 + index * STEP_NS)),
                ('/depth', depth(index, **({'encoding': 'rgb9'} if index == 3 else {})))]
        messages += pair if first == 'image' else pair[::-1]
    bag = write_bag(tmp_path / 'bag', messages)
    source = open_source(bag, depth_topic='depth')
    frames = list(source)
    assert [None if frame.depth_m is None else int(frame.depth_m[7, 9]) for frame in frames] == [
        2000, 2010, 2020, None, 2040, 2050]
    assert source.warned == {'depth_invalid': 1} and 'depth of /depth' in source.remarks()[0]
    assert all(frame.depth_m is None for frame in open_source(bag))
    assert run(monkeypatch, bag, '--depth-topic', '/depth', '--json', tmp_path / 'a.jsonl') == 0
    assert run(monkeypatch, bag, '--json', tmp_path / 'b.jsonl') == 0
    near, far = (lines_of(tmp_path / name)[-1]['bodies'][0]['root_m'][2]
                 for name in ('a.jsonl', 'b.jsonl'))
    assert near < 2.5 < far
    with pytest.raises(SourceError, match='/depth, /image; /no '):
        open_source(bag, depth_topic='/no')


def test_compressed_depth_and_rectified_images(tmp_path):
    """The name of the topic marks rectified images: P is used, without distortion."""
    lens = info(T0)
    lens.p[:] = [280.0, 0, 160, 0, 0, 280, 120, 0, 0, 0, 1, 0]
    flat = cv2.imencode('.png', np.full((240, 320), 2500, np.uint16))[1]
    packed = TYPES['sensor_msgs/msg/CompressedImage'](
        header(T0), '16UC1; compressedDepth png',
        np.concatenate([np.zeros(12, np.uint8), flat.ravel()]))
    bag = write_bag(tmp_path / 'bag', [
        ('/cam/camera_info', lens), ('/cam/depth/compressedDepth', packed),
        ('/cam/image_rect', image(picture(0), T0))])
    frame, = open_source(bag, depth_topic='/cam/depth/compressedDepth')
    assert frame.camera.matrix[0, 0] == 280.0 and not frame.camera.distortion.any()
    assert frame.depth_m.shape == (240, 320) and (frame.depth_m == 2500).all()
    raw, = open_source(bag, images='raw')
    assert raw.camera.matrix[0, 0] == 300.0 and raw.camera.distortion.any()


@pytest.mark.parametrize('damage, message', [
    (lambda bag: next(bag.glob('*.mcap')).write_bytes(b'no bag'), 'mcap recover'),
    (lambda bag: next(bag.glob('*.mcap')).unlink(), 'cannot be read as a bag')])
def test_damaged_bag_is_refused(tmp_path, damage, message, capsys, monkeypatch):
    bag = write_bag(tmp_path / 'bag', camera_messages(4))
    damage(bag)
    assert run(monkeypatch, bag, '--json', tmp_path / 'out.jsonl') == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out.jsonl').exists()


@pytest.mark.parametrize('words, message', [
    (['--rate-hz', '10'], 'stamps'), (['--image-topic', '/x'], '/camera/image_raw; /x')])
def test_options_that_bags_do_not_have(tmp_path, words, message, monkeypatch, capsys):
    bag = write_bag(tmp_path / 'bag', camera_messages(2))
    assert run(monkeypatch, bag, *words) == 1
    assert message in capsys.readouterr().err


def test_a_topic_needs_a_bag(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, tmp_path, '--image-topic', '/x') == 1
    assert '--image-topic' in capsys.readouterr().err
