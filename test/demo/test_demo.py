"""The demonstration with a real clip: processes, figures, output files, errors."""

import json
import os
from pathlib import Path
import subprocess
import sys

import cv2
from niki_ros.common.errors import InputError
from niki_ros.demo.demo import yaml_string
from niki_ros.demo.output_folder import prepare_output_folder
from niki_ros.files.video_writer import VideoWriter
import numpy as np
import pytest
from scenes import child_environment, measured_clip, truncated
import yaml

pytest.importorskip('rclpy', reason='no ROS 2 here: pip install the wheels with "make test"')

LAYOUT = Path(__file__).resolve().parents[2] / 'config' / 'niki.foxglove.json'
KEYS = {'frames', 'frames_processed', 'frames_skipped', 'tf_messages', 'joint_state_messages',
        'bodies', 'latency_ms_p50', 'latency_ms_p99'}


def demo(*arguments):
    return subprocess.run([sys.executable, '-m', 'niki_ros.demo.demo', *arguments],
                          env=child_environment(ROS_DOMAIN_ID='75'), capture_output=True,
                          text=True, timeout=120)


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """Return 40 frames of a real clip, 1280x720 at 10 Hz, slow enough for a busy machine."""
    path = tmp_path_factory.mktemp('clip') / 'clip.mp4'
    capture = cv2.VideoCapture(str(measured_clip('cam03.mp4')))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 10, (1280, 720))
    for _ in range(40):
        image = np.full((720, 1280, 3), 90, np.uint8)
        image[:, 436:844] = cv2.resize(capture.read()[1], (408, 720))
        writer.write(image)
    writer.release()
    return path


def test_demo(clip, tmp_path):
    out = tmp_path / 'out'
    done = demo('--video', str(clip), '--out', str(out), '--param', 'solver.name:=analytic')
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    assert KEYS <= set(figures)
    assert figures['frames'] == 40
    assert figures['frames'] == figures['frames_processed'] + figures['frames_skipped']
    # the load of the machine limits the processed frames; nearly all of these have a body
    processed = figures['frames_processed']
    assert processed >= 3 and figures['bodies'] >= 1
    assert processed - 2 <= figures['tf_messages'] <= processed
    assert processed - 4 <= figures['joint_state_messages'] <= processed
    assert 0 < figures['latency_ms_p50'] <= figures['latency_ms_p99']
    capture = cv2.VideoCapture(str(out / 'overlay.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 40
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 1280
    assert cv2.imread(str(out / 'skeleton.png')).std() > 5
    check_bag(out / 'bag', figures)
    # another run may replace these files, but no other
    prepare_output_folder(out, clip)
    (out / 'bag' / 'notes.txt').write_text('mine')
    with pytest.raises(InputError, match='OUT='):
        prepare_output_folder(out, clip)


def check_bag(folder, figures):
    reader = pytest.importorskip('rosbags.rosbag2').Reader
    from rosbags.typesys import get_typestore, Stores
    store = get_typestore(Stores.ROS2_JAZZY)
    stamps: dict = {}
    with reader(folder) as bag:
        for connection, _, data in bag.messages():
            message = store.deserialize_cdr(data, connection.msgtype)
            if connection.topic == '/tf':
                message = message.transforms[0]
            header = getattr(message, 'header', None)
            stamps.setdefault(connection.topic, []).append(
                header and (header.stamp.sec, header.stamp.nanosec))
    assert set(stamps['/image/compressed']) == set(stamps['/camera_info'])
    assert set(stamps['/tf']) <= set(stamps['/camera_info'])
    assert len(stamps['/tf']) == figures['tf_messages']
    assert len(stamps['/image/compressed']) == figures['frames']
    assert stamps['/bodies/body_1/robot_description'] and stamps['/bodies/body_1/joint_states']
    assert len(stamps['/overlay']) == len(stamps['/markers']) == figures['frames_processed']
    check_layout(folder, reader, store)


def check_layout(folder, reader, store):
    """Check that the bag has the topics, types, frames and names of the layout for Foxglove."""
    panels = json.loads(LAYOUT.read_text('utf-8'))['configById']
    space = panels['3D!bodies']
    drawn, image = set(space['topics']), panels['Image!overlay']['imageMode']['imageTopic']
    summary, details = panels['DiagnosticSummary!faults'], panels['DiagnosticStatusPanel!node']
    with reader(folder) as bag:
        kinds = {one.topic: one.msgtype for one in bag.connections}
        assert {*drawn, image, summary['topicToRender'], details['topicToRender']} <= set(kinds)
        assert {kinds[topic] for topic in drawn} <= {
            'visualization_msgs/msg/MarkerArray', 'sensor_msgs/msg/PointCloud2'}
        assert kinds[image] in ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
        messages = {}
        for connection, _, data in bag.messages():
            messages.setdefault(connection.topic, []).append(
                store.deserialize_cdr(data, connection.msgtype))
    frames = {one.child_frame_id for message in messages['/tf'] for one in message.transforms}
    frames |= {one.header.frame_id for message in messages['/tf'] for one in message.transforms}
    assert {space['followTf'], *(one['frameId'] for one in space['layers'].values())} <= frames
    assert any(len(message.markers) == 2 for message in messages['/markers'])
    assert {marker.header.frame_id for message in messages['/markers']
            for marker in message.markers} <= frames
    assert cv2.imdecode(np.asarray(messages[image][-1].data), 1).shape == (720, 1280, 3)
    statuses = [one for message in messages['/diagnostics'] for one in message.status]
    assert {one.hardware_id for one in statuses} == {summary['hardwareIdFilter'],
                                                 details['selectedHardwareId']}
    assert details['selectedName'] in {one.name for one in statuses}


def test_a_truncated_video(clip, tmp_path):
    cut, out = truncated(clip, tmp_path / 'cut.mp4'), tmp_path / 'out'
    done = demo('--video', str(cut), '--out', str(out), '--param', 'solver.name:=analytic')
    assert done.returncode == 1 and 'breaks off' in done.stderr, done.stderr
    assert 'Traceback' not in done.stderr
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    assert 3 < figures['frames'] < 38
    capture = cv2.VideoCapture(str(out / 'overlay.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == figures['frames']
    assert (out / 'bag' / 'metadata.yaml').is_file() and (out / 'skeleton.png').is_file()


def test_unreadable_video(tmp_path):
    """It is refused before a process is started."""
    path = tmp_path / 'broken.mp4'
    path.write_bytes(b'no video')
    done = demo('--video', str(path), '--out', str(tmp_path / 'out'))
    assert done.returncode == 1 and 'broken.mp4' in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'out').exists()


@pytest.fixture
def still(tmp_path):
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / '1.png'), np.zeros((48, 64, 3), np.uint8))
    return tmp_path / 'images'


def test_out_that_cannot_be_made(still, tmp_path):
    (tmp_path / 'file').write_text('mine')
    for out in (tmp_path / 'file', tmp_path / 'file' / 'out'):
        done = demo('--video', str(still), '--out', str(out))
        assert done.returncode == 1 and 'cannot be made' in done.stderr
        assert done.stderr.count('\n') == 1
    assert (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize('names', [['metadata.yaml', 'bag_0.mcap'], ['notes.txt'], None])
def test_another_folder_named_bag_is_kept(still, tmp_path, names):
    bag = tmp_path / 'bag'
    if names is None:
        bag.write_text('mine')
    else:
        bag.mkdir()
        for name in names:
            (bag / name).write_text('ros_distro: jazzy')
    done = demo('--video', str(still), '--out', str(tmp_path))
    assert done.returncode == 1 and 'choose another folder' in done.stderr
    assert bag.is_file() or sorted(one.name for one in bag.iterdir()) == sorted(names)


@pytest.mark.parametrize('name', ['overlay.mp4', 'skeleton.png'])
def test_other_files_are_kept(tmp_path, name):
    (tmp_path / name).write_text('mine')
    with pytest.raises(InputError, match='OUT='):
        prepare_output_folder(tmp_path, tmp_path / 'clip.mp4')
    assert (tmp_path / name).read_text() == 'mine'


def test_the_video_is_not_overwritten(tmp_path):
    with VideoWriter(tmp_path / 'overlay.mp4', 20.0, 64, 48) as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    before = (tmp_path / 'overlay.mp4').read_bytes()
    done = demo('--video', str(tmp_path / 'overlay.mp4'), '--out', str(tmp_path))
    assert done.returncode == 1 and 'which it would replace' in done.stderr
    assert (tmp_path / 'overlay.mp4').read_bytes() == before


def test_node_that_fails_ends_the_demo(clip, tmp_path):
    """Its message comes first, then the name of the process."""
    done = demo('--video', str(clip), '--out', str(tmp_path), '--param', 'no.such:=1')
    assert done.returncode == 1
    assert "unknown parameter 'no.such'" in done.stderr and 'pose_node ended' in done.stderr


def test_a_missing_clip_is_not_downloaded(tmp_path):
    """``make demo`` needs no network: it prints the command that downloads the clip."""
    program = Path(__file__).resolve().parents[2] / 'tools' / 'demo_clip.py'
    folder = tmp_path / 'niki_ros'
    for damaged in (False, True):
        if damaged:
            folder.mkdir()
            (folder / 'demo.mp4').write_bytes(b'half of it')
        done = subprocess.run([sys.executable, program], text=True, capture_output=True,
                              env={**os.environ, 'XDG_CACHE_HOME': str(tmp_path)}, timeout=30)
        assert done.returncode == 1 and not done.stdout
        assert str(folder) in done.stderr and 'VIDEO=' in done.stderr and '--fetch' in done.stderr


@pytest.mark.parametrize('name', ["it's", '"q" \\ $x', '日本 😀', '0', 'a: b # c', '- x',
                                  'tab\tline\n'])
def test_names_are_quoted_for_yaml(name):
    assert yaml.safe_load(f'source: {yaml_string(name)}') == {'source': name}
    assert 'd83d' not in yaml_string(name)
