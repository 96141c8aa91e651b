"""video_source as a process and over DDS: every frame once, at its time, with its stamp."""

import subprocess
import sys
import time

from camera_infos import write_camera_file
import cv2
from niki_ros.common.errors import SourceError
from niki_ros.messages.image_decoding import rgb_from_image
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.video_source import INFO_QOS, VideoSource
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data, QoSProfile
from ros_fixtures import parameters, ros_graph, wait_for
from scenes import child_environment
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

FRAMES, RATE_HZ = 30, 30.0
EVERY_ONE = QoSProfile(depth=1000, durability=INFO_QOS.durability)


class Viewer(Node):
    """Takes everything that a camera sends, as most drivers' users do: best-effort."""

    def __init__(self):
        super().__init__('viewer')
        self.images, self.jpegs, self.infos = [], [], []
        qos = QoSProfile(depth=30, reliability=qos_profile_sensor_data.reliability)
        self.create_subscription(Image, 'image', self.images.append, qos)
        self.create_subscription(CompressedImage, 'image/compressed', self.jpegs.append, qos)
        self.create_subscription(CameraInfo, 'camera_info', self.infos.append, qos)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder of 1280x720 images, each of one grey value: 4 times its number."""
    path = tmp_path_factory.mktemp('frames')
    for index in range(FRAMES):
        cv2.imwrite(str(path / f'{index:03d}.png'), np.full((720, 1280, 3), 4 * index, np.uint8))
    return path


def play(viewer, **options):
    return ros_graph(viewer, lambda: VideoSource(parameter_overrides=parameters(options)))


def test_every_large_frame_arrives_once(folder):
    with play(Viewer, source=str(folder), rate_hz=RATE_HZ, wait_for_subscribers=1,
              frame_id='left_eye') as (viewer, source):
        assert wait_for(lambda: source.exit_code is not None, 20)
        assert wait_for(lambda: len(viewer.images) == FRAMES)
        assert source.exit_code == 0 and source.sent_count == FRAMES
        stamps = [ns_from_stamp(image.header.stamp) for image in viewer.images]
        offsets = [stamp - stamps[0] for stamp in stamps]
        assert offsets == [round(i * 1e9 / RATE_HZ) for i in range(FRAMES)]
        greys = [int(rgb_from_image(image)[0, 0, 0]) for image in viewer.images]
        assert greys == [4 * i for i in range(FRAMES)]
        assert viewer.images[0].header.frame_id == 'left_eye'
        assert [ns_from_stamp(info.header.stamp) for info in viewer.infos] == stamps
        expected = Camera.from_fov(1280, 720, 60.0).matrix.ravel()
        assert np.allclose(viewer.infos[0].k, expected)


def test_compressed_with_calibration(folder, tmp_path):
    camera = Camera(np.array([[900.0, 0, 640], [0, 910, 360], [0, 0, 1]]), 1280, 720,
                    np.array([0.1, 0.0, 0.0, 0.0, 0.0]))
    write_camera_file(camera, tmp_path / 'camera.yaml')
    with play(Viewer, source=str(folder), rate_hz=60.0, wait_for_subscribers=1, max_frames=5,
              image_transport='compressed', camera_info_file=str(tmp_path / 'camera.yaml'),
              ) as (viewer, source):
        assert wait_for(lambda: source.exit_code == 0, 20)
        assert wait_for(lambda: len(viewer.jpegs) == 5)
        assert not viewer.images
        assert np.allclose(viewer.infos[0].k, camera.matrix.ravel())
        assert np.allclose(viewer.infos[0].d, camera.distortion)


def test_who_comes_late_gets_one_camera_info(folder):
    """And nothing is sent before both topics have a reader."""
    with play(lambda: Node('viewer'), source=str(folder), rate_hz=RATE_HZ, max_frames=5,
              wait_for_subscribers=1) as (viewer, source):
        viewer.create_subscription(Image, 'image', lambda _: None, 1)
        assert wait_for(lambda: viewer.count_publishers('image') == 1
                        and viewer.count_subscribers('image') == 1)
        time.sleep(0.8)
        assert not source.sent_count
        early, late = [], []
        viewer.create_subscription(CameraInfo, 'camera_info', early.append, INFO_QOS)
        assert wait_for(lambda: source.exit_code == 0 and len(early) == 5, 10)
        viewer.create_subscription(CameraInfo, 'camera_info', late.append, EVERY_ONE)
        assert wait_for(lambda: late)
        time.sleep(0.3)
        assert late == early[-1:]


def test_who_asks_for_more_gets_every_camera_info(folder):
    """By the parameters of ROS, as the demonstration does."""
    with play(lambda: Node('viewer'), source=str(folder), rate_hz=RATE_HZ, max_frames=5,
              **{'qos_overrides./camera_info.publisher.depth': 1000}) as (viewer, source):
        assert wait_for(lambda: source.exit_code == 0, 10)
        late = []
        viewer.create_subscription(CameraInfo, 'camera_info', late.append, EVERY_ONE)
        assert wait_for(lambda: len(late) == 5)


def test_loop_goes_on_in_time(folder):
    with play(Viewer, source=str(folder), rate_hz=120.0, loop=True, max_frames=FRAMES + 5,
              image_transport='compressed', wait_for_subscribers=1) as (viewer, source):
        assert wait_for(lambda: source.exit_code == 0, 20)
        assert wait_for(lambda: len(viewer.jpegs) == FRAMES + 5)
        stamps = [ns_from_stamp(image.header.stamp) for image in viewer.jpegs]
        assert (np.diff(stamps) > 0).all()


def test_bad_source_is_refused():
    with ros_graph():
        with pytest.raises(SourceError, match='no_such_file'):
            VideoSource(parameter_overrides=parameters({'source': '/no_such_file.mp4'}))


@pytest.mark.parametrize('content', [None, b'', b'this is no video'])
def test_process_says_why_and_exits_1(content, tmp_path):
    path = tmp_path / 'clip.mp4'
    if content is not None:
        path.write_bytes(content)
    done = subprocess.run(
        [sys.executable, '-m', 'niki_ros.ros.video_source', '--ros-args', '-p', f'source:={path}'],
        env=child_environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert 'clip.mp4' in done.stderr and 'Traceback' not in done.stderr
