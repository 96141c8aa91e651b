"""``niki view``: frames of bags and videos, recordings, screenshots, errors."""

import os
from pathlib import Path
import shutil
import subprocess
import sys
from unittest.mock import create_autospec

from bags import CAMERA, header, image, info, jpeg, STEP_NS, T0, TYPES, write_bag
import cv2
from niki_ros.body.body import PREDICTED
from niki_ros.body.skeleton import open_skeleton
from niki_ros.cli import main as niki
from niki_ros.common.errors import InputError, SourceError
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.process_source import process_source
from niki_ros.people.pipeline import Pipeline
from niki_ros.solvers import load_solver
from niki_ros.sources.bag_files import is_bag
from niki_ros.sources.open import open_source
from niki_ros.viewers.recorded_frames import recorded_frames
import numpy as np
import pytest
from scenes import FACING, observe_body, ScriptedObserver, T_POSE

POINT = np.dtype({'names': ('x', 'y', 'z', 'confidence', 'status', 'joint', 'body'),
                  'formats': ['<f4'] * 4 + ['<u2'] * 3,
                  'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})
GREY = np.full((240, 320, 3), (90, 120, 150), np.uint8)


def run_view(*arguments) -> int:
    return niki.main(['view', *map(str, arguments)])


def joints(stamp_ns, *bodies):
    """Return the cloud of ``(id, distance_m, confidence)``; the left leg is predicted."""
    points = np.zeros((len(bodies), 29), POINT)
    for row, (body_id, distance_m, confidence) in zip(points, bodies):
        xyz = open_skeleton().rest() @ FACING + [0, 0, distance_m]
        row['x'], row['y'], row['z'] = xyz.T
        row['confidence'], row['joint'], row['body'] = confidence, np.arange(29), body_id
        row['status'][[4, 7, 10]] = PREDICTED
    fields = [TYPES['sensor_msgs/msg/PointField'](
        name, POINT.fields[name][1], 7 if POINT[name].kind == 'f' else 4, 1)
        for name in POINT.names]
    return TYPES['sensor_msgs/msg/PointCloud2'](
        header(stamp_ns), 1, points.size, fields, False, 24, 24 * points.size,
        np.frombuffer(points.tobytes(), np.uint8), True)


def padded(stamp_ns, encoding):
    """Return an image with padded rows, as some drivers send it."""
    rows = np.zeros((240, 1000), np.uint8)
    rows[:, :960] = GREY.reshape(240, 960)
    return image(GREY, stamp_ns, encoding=encoding, step=1000, data=rows.ravel())


@pytest.fixture
def bag(tmp_path):
    """Return a bag of six images; the third was skipped, and two people are in the last."""
    messages = []
    for number in range(6):
        stamp_ns = T0 + number * STEP_NS
        bodies = [(1, 3.0, 0.9)] + [(7, 4.0, 0.2)] * (number == 5)
        messages += [('/camera_info', info(stamp_ns)),
                     ('/image/compressed', jpeg(GREY, stamp_ns)),
                     *([('/joints', joints(stamp_ns, *bodies))] if number != 2 else [])]
    return write_bag(tmp_path / 'bag', messages)


def test_bag_gives_bodies_over_their_images(bag):
    frames = list(recorded_frames(bag))
    assert [(m.stamp_ns - T0) // STEP_NS for m in frames] == [0, 1, 3, 4, 5]
    assert all(m.image_rgb.shape == (240, 320, 3) for m in frames)
    assert abs(frames[0].image_rgb[0, 0].astype(int) - [90, 120, 150]).max() < 6
    assert np.allclose(frames[0].camera.matrix, CAMERA.matrix)
    first, second = frames[-1].bodies
    assert (first.id, second.id) == (1, 7) and abs(second.root_m[2] - 4.0) < 1e-5
    assert np.allclose(second.confidence, 0.2) and first.status[4] == PREDICTED
    assert [m.observed_count() for m in frames] == [21, 21, 21, 21, 42]


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
def test_bag_in_sqlite_with_raw_images(tmp_path, encoding):
    bag = write_bag(tmp_path / 'bag', [('/image', padded(T0, encoding)),
                                       ('/joints', joints(T0, (1, 3.0, 0.9)))], 'sqlite3')
    frame, = recorded_frames(bag)
    wanted = [90, 120, 150] if encoding == 'rgb8' else [150, 120, 90]
    assert frame.image_rgb[239, 319].tolist() == wanted and frame.camera is None
    assert frame.overlay_jpeg()[:2] == b'\xff\xd8'


def test_empty_cloud_and_missing_image(tmp_path):
    frame, = recorded_frames(write_bag(tmp_path / 'bag', [('/joints', joints(T0))]))
    assert frame.bodies == [] and frame.image_rgb is None and frame.overlay_jpeg() is None


def test_choice_of_the_topic_of_bodies(tmp_path):
    two = write_bag(tmp_path / 'two', [('/left/joints', joints(T0)),
                                       ('/right/joints', joints(T0, (3, 2.0, 0.5)))])
    with pytest.raises(SourceError, match='/left/joints, /right/joints; .*--joints'):
        next(recorded_frames(two))
    assert next(recorded_frames(two, '/right/joints')).bodies[0].id == 3
    with pytest.raises(SourceError, match='ros2 bag record'):
        next(recorded_frames(write_bag(tmp_path / 'none', [('/image', image(GREY, T0))])))


@pytest.mark.parametrize('messages, error, facts', [
    ([('/image', padded(T0, 'x264')), ('/joints', joints(T0))], SourceError,
     "encoding_unknown: .*'x264'"),
    ([('/joints', joints(T0, (1, 3.0, 0.9), (1, 2.0, 0.9)))], InputError, 'body 1 .*0 to 28'),
    ([('/joints', joints(T0, (1, float('nan'), 0.9)))], InputError, 'body 1 ')])
def test_messages_that_the_node_never_sends(tmp_path, messages, error, facts):
    with pytest.raises(error, match=facts):
        next(recorded_frames(write_bag(tmp_path / 'bag', messages)))


def test_a_damaged_bag_names_its_remedy(bag, tmp_path):
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(next(bag.glob('*.mcap')).read_bytes()[:2000])
    with pytest.raises(SourceError, match='mcap recover .*cut.mcap'):
        next(recorded_frames(cut))


def test_what_is_a_bag(bag, tmp_path):
    assert is_bag(bag) and is_bag(next(bag.glob('*.mcap')))
    assert not any(is_bag(path) for path in (tmp_path, 'none.mcap', 'video.mp4', '0'))


def scripted_pipeline():
    seen = [observe_body(T_POSE, np.array([0.0, 0.0, 3.0]), CAMERA)]
    return Pipeline(ScriptedObserver(lambda _: seen), load_solver('analytic'), PipelineConfig())


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'images'
    path.mkdir()
    for number in range(4):
        cv2.imwrite(str(path / f'{number}.png'), np.full((240, 320, 3), 60, np.uint8))
    return path


def test_video_gives_every_frame(folder):
    with open_source(folder) as source:
        frames = list(process_source(source, scripted_pipeline()))
    assert len(frames) == 4 and frames[0].camera is not None
    assert all(len(frame.bodies) == 1 for frame in frames)
    assert cv2.imdecode(np.frombuffer(frames[0].overlay_jpeg(), np.uint8), 1).std() > 5


def test_error_without_the_viewer(monkeypatch, capsys, bag):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    monkeypatch.setitem(sys.modules, 'rerun.blueprint', None)
    assert run_view(bag) == 1
    assert 'pip install rerun-sdk' in capsys.readouterr().err


def test_frame_of_the_screenshot(bag, tmp_path, monkeypatch):
    """The one with most joints observed, or the first at or after --at."""
    drawn = []
    monkeypatch.setattr('niki_ros.viewers.rerun.load_rerun', lambda: None)
    monkeypatch.setattr('niki_ros.viewers.rerun.save_screenshot',
                        lambda frame, path, absolute_time: drawn.append(frame.stamp_ns - T0))
    assert run_view(bag, '--screenshot', tmp_path / 'a.png') == 0
    assert run_view(bag, '--screenshot', tmp_path / 'a.png', '--at', '0.05') == 0
    assert drawn == [5 * STEP_NS, 3 * STEP_NS]


@pytest.fixture
def rerun():
    return pytest.importorskip('rerun', reason='no viewer here: pip install rerun-sdk')


def test_recording_holds_image_and_bodies(rerun, bag, tmp_path, capsys):
    out = tmp_path / 'out.rrd'
    assert run_view(bag, '--save', out) == 0
    assert '5 frames' in capsys.readouterr().err
    assert out.read_bytes()[:3] == b'RRF' and [p.name for p in tmp_path.glob('.*')] == []
    paths = recorded_paths(out)
    assert {'/image', '/bodies/1/bones', '/bodies/1/joints', '/bodies/7/joints'} <= paths


def test_a_truncated_source_is_shown_to_its_end(folder, monkeypatch, capsys):
    (folder / '~.png').write_bytes(b'no image')
    shown = []

    def show(frames, absolute_time=False):
        shown.append(len(list(frames)))

    monkeypatch.setattr('niki_ros.viewers.rerun.load_rerun', lambda: None)
    monkeypatch.setattr('niki_ros.viewers.rerun.show_window', show)
    monkeypatch.setattr('niki_ros.load_pipeline', lambda **_: scripted_pipeline())
    assert run_view(folder) == 1
    assert '~.png' in capsys.readouterr().err and shown == [4]
    assert run_view(folder, '--save', folder / '~.png') == 1
    assert '--save' in capsys.readouterr().err and shown == [4]


def test_window_gets_the_recording(rerun, bag, monkeypatch):
    """The program of the viewer is found without PATH."""
    spawned = create_autospec(rerun.spawn)
    monkeypatch.setattr(rerun, 'spawn', spawned)
    assert run_view(bag) == 0
    assert Path(spawned.call_args.kwargs['executable_path']).is_file()


def recorded_paths(path) -> set:
    done = subprocess.run([sys.executable, '-m', 'rerun', 'rrd', 'print', '-v', str(path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {word.strip('"\',`') for word in done.stdout.split() if '/' in word}


def test_video_to_recording(rerun, folder, tmp_path, monkeypatch):
    monkeypatch.setattr('niki_ros.load_pipeline', lambda **_: scripted_pipeline())
    assert run_view(folder, '--save', tmp_path / 'out.rrd', '--max-frames', 3) == 0
    assert '/bodies/1/bones' in recorded_paths(tmp_path / 'out.rrd')


def test_screenshot_shows_skeleton_and_image(rerun, bag, tmp_path, capsys):
    if not (os.environ.get('DISPLAY') or shutil.which('xvfb-run')):
        pytest.skip('no display here: apt install xvfb xauth mesa-vulkan-drivers')
    code = run_view(bag, '--screenshot', tmp_path / 'shot.png')
    said = capsys.readouterr().err
    if code and 'mesa-vulkan-drivers' in said:
        pytest.skip(said.strip())
    assert code == 0, said
    shot = cv2.imread(str(tmp_path / 'shot.png'))[..., ::-1].astype(int)
    left, right = np.split(shot[:, :shot.shape[1] // 2 * 2], 2, axis=1)
    assert (abs(right - [90, 120, 150]).max(axis=2) < 12).mean() > 0.2
    blue = (left[..., 2] > left[..., 0] + 40) & (left[..., 2] > 120)
    assert blue.mean() > 0.002
    assert run_view(bag, '--screenshot', tmp_path / 'shot.jpg') == 1
    assert '.png' in capsys.readouterr().err
