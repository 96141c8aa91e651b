"""Recognition of the kind of a source: damaged bags, links to cameras, pipes, addresses."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import os
import shutil
import threading
import time

from bags import CAMERA, camera_messages, picture, STEP_NS, T0, write_bag
import cv2
from niki_ros.common.errors import InputError, SourceError
from niki_ros.files.video_writer import VideoWriter
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.sources.open import open_source, source_files
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.typesys import get_typestore, Stores


def video(path, images=30):
    noise = np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    with VideoWriter(path, 25.0, 128, 96) as writer:
        for shift in range(images):
            writer.write(np.roll(noise, 5 * shift, axis=1))
    return path


def bag_of_ros_1(path, images=4):
    store = get_typestore(Stores.ROS1_NOETIC)
    kinds = store.types
    with Writer1(path) as writer:
        topics = {kind: writer.add_connection(topic, f'sensor_msgs/msg/{kind}', typestore=store)
                  for topic, kind in (('/cam/camera_info', 'CameraInfo'),
                                      ('/cam/image_raw/compressed', 'CompressedImage'))}
        for index in range(images):
            stamp_ns = T0 + index * STEP_NS
            header = kinds['std_msgs/msg/Header'](index, kinds['builtin_interfaces/msg/Time'](
                stamp_ns // 10**9, stamp_ns % 10**9), 'camera_optical_frame')
            info = kinds['sensor_msgs/msg/CameraInfo'](
                header, 240, 320, 'plumb_bob', CAMERA.distortion.astype(float),
                CAMERA.matrix.ravel(), np.eye(3).ravel(), np.zeros(12), 0, 0,
                kinds['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False))
            image = kinds['sensor_msgs/msg/CompressedImage'](
                header, 'rgb8; jpeg compressed bgr8',
                np.frombuffer(jpeg_from_rgb(picture(index)), np.uint8))
            for message in (info, image):
                kind = type(message).__name__.rpartition('__')[2]
                writer.write(topics[kind], stamp_ns,
                             store.serialize_ros1(message, f'sensor_msgs/msg/{kind}'))
    return path


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('about', [None, b'', b'rosbag2_bagfile_information:\n  version: 9\n'])
def test_a_bag_without_metadata(tmp_path, storage, about):
    """A recorder that was killed leaves no metadata.yaml, or a part of it."""
    bag = write_bag(tmp_path / 'bag', camera_messages(3), storage)
    (bag / 'metadata.yaml').unlink()
    if about is not None:
        (bag / 'metadata.yaml').write_bytes(about)
    source = open_source(bag)
    frames = list(source)
    assert [f.stamp_ns for f in frames] == [T0 + i * STEP_NS for i in range(3)]
    assert np.allclose(frames[0].camera.matrix, CAMERA.matrix)
    assert any('ros2 bag reindex' in line for line in source.remarks())
    assert set(source_files(bag)) == set(bag.iterdir())


def test_the_files_of_one_recording_are_read_in_order(tmp_path):
    folder = tmp_path / 'split'
    folder.mkdir()
    messages = camera_messages(6)
    for number, part in enumerate((messages[:4], messages[4:8], messages[8:])):
        bag = write_bag(tmp_path / f'part{number}', part, start_ns=T0 + number * 10**9)
        shutil.move(next(bag.glob('*.mcap')), folder / f'walk_{number}.mcap')
    assert len(list(open_source(folder))) == 6
    shutil.copy(folder / 'walk_0.mcap', folder / 'other_0.mcap')
    with pytest.raises(SourceError, match='2 recordings .*other_0.mcap.*walk_2.mcap'):
        open_source(folder)


@pytest.mark.parametrize('storage, name', [('mcap', 'walk.mcap'), ('sqlite3', 'walk.db3')])
def test_a_bag_with_another_suffix(tmp_path, storage, name):
    bag = write_bag(tmp_path / 'bag', camera_messages(2), storage)
    shutil.copy(next(one for one in bag.iterdir() if one.suffix != '.yaml'), tmp_path / 'walk')
    with pytest.raises(SourceError, match=f' {name}$'):
        open_source(tmp_path / 'walk')
    (tmp_path / 'walk').rename(tmp_path / name)
    assert len(list(open_source(tmp_path / name))) == 2


def test_metadata_without_a_bag(tmp_path):
    (tmp_path / 'metadata.yaml').write_text('rosbag2_bagfile_information: {}')
    with pytest.raises(SourceError, match='metadata.yaml'):
        open_source(tmp_path)


@pytest.mark.parametrize('storage, remedy', [('mcap', 'mcap recover'), ('sqlite3', '.recover')])
@pytest.mark.parametrize('described', [True, False])
def test_a_bag_whose_recorder_was_killed(tmp_path, storage, remedy, described):
    bag = write_bag(tmp_path / 'bag', camera_messages(3), storage)
    file = next(one for one in bag.iterdir() if one.suffix != '.yaml')
    file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
    if not described:
        (bag / 'metadata.yaml').unlink()
    with pytest.raises(SourceError, match=remedy):
        open_source(bag)


def test_a_bag_of_ros_1(tmp_path):
    path = bag_of_ros_1(tmp_path / 'old.bag')
    source = open_source(path)
    frames = list(source)
    assert [f.stamp_ns for f in frames] == [T0 + i * STEP_NS for i in range(4)]
    assert frames[0].camera is not None and np.allclose(frames[0].camera.matrix, CAMERA.matrix)
    cut = tmp_path / 'cut.bag'
    cut.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    with pytest.raises(SourceError, match='rosbag reindex'):
        open_source(cut)
    path.rename(tmp_path / 'old.bag.active')
    with pytest.raises(SourceError, match='old.bag;'):
        open_source(tmp_path / 'old.bag.active')


def test_jpegs_in_another_file_are_no_video(tmp_path):
    """FFmpeg finds JPEGs in any file, such as a dump or an archive."""
    jpegs = b''.join(jpeg_from_rgb(picture(i)) for i in range(20))
    (tmp_path / 'dump.bin').write_bytes(b'HEADER of some recorder' + jpegs)
    with pytest.raises(SourceError, match='dump.bin'):
        open_source(tmp_path / 'dump.bin')
    # in a video file, the same JPEGs are read
    (tmp_path / 'stream.mjpeg').write_bytes(jpegs)
    assert len(list(open_source(tmp_path / 'stream.mjpeg', rate_hz=25))) >= 19


def test_a_camera_by_a_link(tmp_path):
    (tmp_path / 'usb-Cam-index0').symlink_to('/dev/video63')
    with pytest.raises(SourceError, match='usb-Cam-index0'):
        open_source(tmp_path / 'usb-Cam-index0')


@pytest.mark.parametrize('path, fact', [
    ('/dev/null', 'device'), ('-', 'pipe'), ('/camera/image_raw', 'image:='),
    ('gone.mp4', 'gone.mp4')])
def test_other_paths_are_refused(path, fact):
    with pytest.raises(SourceError, match=fact):
        open_source(path)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(SourceError, match='pipe'):
        open_source(tmp_path / 'pipe')


def test_unusual_file_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("it's 5 o'clock.mp4", 'take:1.mp4', '日本 😀.mp4', '-x.mp4', 'a%03d.mp4',
                 '$HOME.mp4'):
        video(tmp_path / 'clip.mp4', 3).rename(tmp_path / name)
        assert len(list(open_source(name))) == 3
        assert len(list(open_source((tmp_path / name).as_uri()))) == 3


def test_names_that_are_not_utf_8(tmp_path):
    """OpenCV would crash; images are read without it."""
    name = os.fsdecode(b'\xff\xfe')
    video(tmp_path / 'clip.mp4', 3).rename(tmp_path / f'{name}.mp4')
    with pytest.raises(InputError, match='UTF-8'):
        open_source(tmp_path / f'{name}.mp4')
    with pytest.raises(InputError, match='UTF-8'):
        VideoWriter(tmp_path / f'{name}out.mp4', 25.0, 64, 48)
    with pytest.raises(SourceError, match='address'):
        open_source(f'http://127.0.0.1:9/{name}.mp4')
    (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / '1.png').rename(tmp_path / name / f'{name}.png')
    assert len(list(open_source(tmp_path / name))) == 1


@pytest.mark.parametrize('pad', [0, 77])
def test_a_transport_stream_that_ends_within_a_packet(tmp_path, pad):
    writer = cv2.VideoWriter(str(tmp_path / 'a.ts'), cv2.CAP_FFMPEG,
                             cv2.VideoWriter.fourcc(*'mp4v'), 25.0, (128, 96))
    if not writer.isOpened():
        pytest.skip('this OpenCV writes no transport stream')
    for index in range(40):
        writer.write(np.random.default_rng(index).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    writer.release()
    whole = (tmp_path / 'a.ts').read_bytes()
    cut = tmp_path / 'cut.ts'
    cut.write_bytes(whole[:len(whole) // 2 // 188 * 188 + pad])
    frames = []
    try:
        for frame in open_source(cut):
            frames.append(frame)
    except SourceError as error:
        assert pad and 'breaks off' in str(error)
    else:
        # it could be the whole of what was recorded
        assert not pad
    assert 5 < len(frames) < 30


def test_an_mp4_without_index(tmp_path):
    path = video(tmp_path / 'killed.mp4')
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    with pytest.raises(SourceError, match='untrunc'):
        open_source(path)


class ServerHandler(BaseHTTPRequestHandler):
    clip = b''

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(404 if 'gone' in self.path else 200)
        if self.path.startswith('/live'):
            self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
            self.end_headers()
            for index in range(20):
                self.wfile.write(b'--frame\r\nContent-Type: image/jpeg\r\n\r\n'
                                 + jpeg_from_rgb(picture(index)) + b'\r\n')
                time.sleep(0.02)
            return
        self.end_headers()
        self.wfile.write(self.clip if self.path.endswith('.mkv') else b'<html>hello</html>')


@pytest.fixture
def server(tmp_path):
    ServerHandler.clip = video(tmp_path / 'clip.mkv').read_bytes()
    http = ThreadingHTTPServer(('127.0.0.1', 0), ServerHandler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f'http://user:secret@127.0.0.1:{http.server_port}'
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_network_camera(server):
    """The newest image is yielded, skipped ones are counted, and the end is an error."""
    stamps = []
    with open_source(f'{server}/live') as source:
        assert source.live and source.frame_count is None and (source.width, source.height) == (
            320, 240)
        with pytest.raises(SourceError, match='ended'):
            for frame in source:
                stamps.append(frame.stamp_ns)
                time.sleep(0.05)
        assert len(stamps) >= 3 and (np.diff(stamps) > 0).all()
        assert len(stamps) + source.overtaken_count in range(18, 21)
        assert any(str(source.overtaken_count) in line for line in source.remarks())
        assert 'secret' not in source.name


def test_a_recording_at_an_address_is_complete(server):
    with open_source(f'{server}/clip.mkv') as source:
        frames = []
        for frame in source:
            frames.append(frame)
            time.sleep(0.002)
    assert not source.live and len(frames) == 30
    assert [f.stamp_ns for f in frames[:3]] == [0, 40_000_000, 80_000_000]


@pytest.mark.parametrize('page', ['page', 'gone.mkv'])
def test_an_address_without_a_video(server, page):
    with pytest.raises(SourceError, match='ffplay') as error:
        open_source(f'{server}/{page}')
    assert 'secret' not in str(error.value) and page in str(error.value)


@pytest.mark.skipif(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER),
                    reason='this OpenCV has GStreamer')
def test_a_pipeline_without_gstreamer():
    with pytest.raises(SourceError, match='GStreamer'):
        open_source('v4l2src device=/dev/video0 ! videoconvert ! appsink')
