"""``niki view``: bags and videos to frames, recordings and pictures; faults with remedies."""

from __future__ import annotations

from contextlib import contextmanager
import json
import os
from pathlib import Path
import shutil
import sys
from unittest.mock import create_autospec

import cv2
from niki_ros.body.body import PREDICTED
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.cli import main as niki
from niki_ros.cli import view
from niki_ros.common.errors import InputError, SourceError
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.process_source import process_source
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
from niki_ros.sources.bag_files import is_bag
from niki_ros.sources.open import open_source
from niki_ros.viewers.recorded_frames import recorded_frames
import numpy as np
import pytest
from scenes import FACING, observe_body, ScriptedObserver

CAMERA = Camera.from_fov(320, 240, 60.0)
T0 = 1_700_000_000_000_000_001
STEP_NS = 33_333_333
NAMES = ('x', 'y', 'z', 'confidence', 'status', 'joint', 'body')
POINT = np.dtype({'names': NAMES, 'formats': ['<f4'] * 4 + ['<u2'] * 3,
                  'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})


def run_view(*arguments) -> int:
    """Run the verb as the command does."""
    return niki.main(['view', *map(str, arguments)])


@pytest.fixture(autouse=True)
def verb(monkeypatch):
    """Make the verb known to the command."""
    monkeypatch.setitem(niki.VERBS, 'view', view.HELP)


def points_of(*bodies) -> np.ndarray:
    """Return the points of ``(id, distance_m, confidence)``; the left leg is predicted."""
    from niki_ros.body.skeleton import open_skeleton
    points = np.zeros((len(bodies), 29), POINT)
    for row, (body_id, distance_m, confidence) in zip(points, bodies):
        xyz = open_skeleton().rest() @ FACING + [0, 0, distance_m]
        row['x'], row['y'], row['z'] = xyz.T
        row['confidence'], row['joint'], row['body'] = confidence, np.arange(29), body_id
        row['status'][[4, 7, 10]] = PREDICTED
    return points.ravel()


class BagWriter:
    """Messages as a camera and ``niki_pose`` send them, written by rosbags."""

    def __init__(self, folder, storage='MCAP'):
        """Open the bag."""
        rosbag2 = pytest.importorskip('rosbags.rosbag2', reason='rosbags is not installed')
        from rosbags.typesys import get_typestore, Stores
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self.writer = rosbag2.Writer(folder, version=9,
                                     storage_plugin=rosbag2.StoragePlugin[storage])
        self.connections: dict = {}

    def write(self, topic, kind, stamp_ns, **values):
        """Write one message with a header."""
        make = self.store.types
        header = make['std_msgs/msg/Header'](
            make['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9)), 'camera')
        message = make[f'sensor_msgs/msg/{kind}'](header=header, **values)
        name = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, name, typestore=self.store)
        self.writer.write(self.connections[topic], stamp_ns, self.store.serialize_cdr(
            message, name))

    def image(self, stamp_ns, encoding=None, grey=90):
        """Write an image, compressed where no encoding is given."""
        pixels = np.full((240, 320, 3), (grey, 120, 150), np.uint8)
        if encoding is None:
            self.write('/image/compressed', 'CompressedImage', stamp_ns, format='jpeg',
                       data=cv2.imencode('.jpg', pixels[..., ::-1])[1].ravel())
        else:
            rows = np.zeros((240, 1000), np.uint8)
            rows[:, :960] = pixels.reshape(240, 960)
            self.write('/image', 'Image', stamp_ns, height=240, width=320, encoding=encoding,
                       is_bigendian=0, step=1000, data=rows.ravel())

    def info(self, stamp_ns):
        """Write the camera."""
        region = self.store.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
        self.write('/camera_info', 'CameraInfo', stamp_ns, height=240, width=320,
                   distortion_model='plumb_bob', D=np.zeros(5), K=CAMERA.matrix.ravel(),
                   R=np.eye(3).ravel(), P=np.zeros(12), binning_x=0, binning_y=0, roi=region)

    def joints(self, stamp_ns, *bodies, topic='/joints'):
        """Write the bodies."""
        field = self.store.types['sensor_msgs/msg/PointField']
        points = points_of(*bodies)
        self.write(topic, 'PointCloud2', stamp_ns, height=1, width=len(points), fields=[
            field(name, POINT.fields[name][1], 7 if POINT[name].kind == 'f' else 4, 1)
            for name in NAMES], is_bigendian=False, point_step=24, row_step=24 * len(points),
            data=np.frombuffer(points.tobytes(), np.uint8), is_dense=True)


@contextmanager
def bag_at(folder, **options):
    """Open a bag for writing; upper or lower case of K is what rosbags' version wants."""
    bag = BagWriter(folder, **options)
    lower = 'k' in bag.store.types['sensor_msgs/msg/CameraInfo'].__dataclass_fields__
    write = bag.write
    if lower:
        bag.write = lambda *a, **v: write(*a, **{
            (name.lower() if name in 'DKRP' else name): value for name, value in v.items()})
    with bag.writer:
        yield bag


@pytest.fixture
def bag(tmp_path):
    """Return a bag of six images; the third was skipped, and two people are in the last."""
    with bag_at(tmp_path / 'bag') as written:
        for number in range(6):
            stamp_ns = T0 + number * STEP_NS
            written.info(stamp_ns)
            written.image(stamp_ns)
            if number != 2:
                more = [(7, 4.0, 0.2)] if number == 5 else []
                written.joints(stamp_ns, (1, 3.0, 0.9), *more)
    return tmp_path / 'bag'


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
    """Rows are padded, as some drivers do it."""
    with bag_at(tmp_path / 'bag', storage='SQLITE3') as written:
        written.image(T0, encoding)
        written.joints(T0, (1, 3.0, 0.9))
    frame, = recorded_frames(tmp_path / 'bag')
    wanted = [90, 120, 150] if encoding == 'rgb8' else [150, 120, 90]
    assert frame.image_rgb[239, 319].tolist() == wanted and frame.camera is None
    assert frame.overlay_jpeg()[:2] == b'\xff\xd8'


def test_empty_cloud_and_missing_image(tmp_path):
    with bag_at(tmp_path / 'bag') as written:
        written.joints(T0)
    frame, = recorded_frames(tmp_path / 'bag')
    assert frame.bodies == [] and frame.image_rgb is None and frame.overlay_jpeg() is None


def test_faults_of_a_bag_say_their_remedy(tmp_path, bag):
    with bag_at(tmp_path / 'two') as written:
        written.joints(T0, topic='/left/joints')
        written.joints(T0, (3, 2.0, 0.5), topic='/right/joints')
    with pytest.raises(SourceError, match='/left/joints, /right/joints; choose one: --joints'):
        next(recorded_frames(tmp_path / 'two'))
    assert next(recorded_frames(tmp_path / 'two', '/right/joints')).bodies[0].id == 3
    with bag_at(tmp_path / 'none') as written:
        written.image(T0)
    with pytest.raises(SourceError, match='none; record joints of niki_pose'):
        next(recorded_frames(tmp_path / 'none'))
    with bag_at(tmp_path / 'depth') as written:
        written.image(T0, 'x264')
        written.joints(T0)
    with pytest.raises(SourceError, match="encoding_unknown: .*'x264'"):
        next(recorded_frames(tmp_path / 'depth'))
    with bag_at(tmp_path / 'foreign') as written:
        written.joints(T0, (1, 3.0, 0.9), (1, 2.0, 0.9))
    with bag_at(tmp_path / 'nowhere') as written:
        written.joints(T0, (1, float('nan'), 0.9))
    with pytest.raises(InputError, match='body 1 '):
        next(recorded_frames(tmp_path / 'nowhere'))
    with pytest.raises(InputError, match='body 1 has the joints .*expected 0 to 28'):
        next(recorded_frames(tmp_path / 'foreign'))
    cut = tmp_path / 'cut.mcap'
    cut.write_bytes(next(bag.glob('*.mcap')).read_bytes()[:2000])
    with pytest.raises(SourceError, match='cut.mcap cannot be read as a bag: .*mcap recover'):
        next(recorded_frames(cut))


def test_what_is_a_bag(bag, tmp_path):
    assert is_bag(bag) and is_bag(next(bag.glob('*.mcap')))
    assert not any(is_bag(path) for path in (tmp_path, 'none.mcap', 'video.mp4', '0'))


def scripted_pipeline():
    """Return a pipeline that sees one person."""
    rotmat = rotmat_from_rotvec(np.zeros((24, 3)))
    rotmat[0] = FACING
    seen = [observe_body(rotmat, np.array([0.0, 0.0, 3.0]), CAMERA)]
    return Pipeline(ScriptedObserver(lambda _: seen), load_solver('analytic'), PipelineConfig())


@pytest.fixture
def folder(tmp_path):
    """Return a folder of four images."""
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


def test_without_the_viewer_one_line_says_what_to_install(monkeypatch, capsys, bag):
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
    """Return the viewer's library."""
    return pytest.importorskip('rerun', reason='no viewer here: pip install rerun-sdk')


def test_recording_holds_what_was_shown(rerun, bag, tmp_path, capsys):
    out = tmp_path / 'out.rrd'
    assert run_view(bag, '--save', out) == 0
    assert '5 frames' in capsys.readouterr().err
    assert out.read_bytes()[:3] == b'RRF' and [p.name for p in tmp_path.glob('.*')] == []
    paths = recorded_paths(out)
    assert {'/image', '/bodies/1/bones', '/bodies/1/joints', '/bodies/7/joints'} <= paths


def test_a_source_that_breaks_off_is_shown_up_to_there(folder, monkeypatch, capsys):
    """And the exit code says that it is not all."""
    (folder / '~.png').write_bytes(b'no image')
    shown = []

    def show(frames, absolute_time=False):
        shown.append(len(list(frames)))

    monkeypatch.setattr('niki_ros.viewers.rerun.load_rerun', lambda: None)
    monkeypatch.setattr('niki_ros.viewers.rerun.show_window', show)
    monkeypatch.setattr('niki_ros.load_pipeline', lambda **_: scripted_pipeline())
    assert run_view(folder) == 1
    assert '~.png cannot be read' in capsys.readouterr().err and shown == [4]
    assert run_view(folder, '--save', folder / '~.png') == 1
    assert 'which it would replace' in capsys.readouterr().err and shown == [4]


def test_window_gets_the_recording(rerun, bag, monkeypatch):
    """By the viewer's own program, whose place does not depend on PATH."""
    spawned = create_autospec(rerun.spawn)
    monkeypatch.setattr(rerun, 'spawn', spawned)
    assert run_view(bag) == 0
    assert Path(spawned.call_args.kwargs['executable_path']).is_file()


def recorded_paths(path) -> set:
    """Return the entities of a recording, by the viewer's own reader."""
    import subprocess
    done = subprocess.run([sys.executable, '-m', 'rerun', 'rrd', 'print', '-v', str(path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {word.strip('"\',`') for word in done.stdout.split() if '/' in word}


def test_video_to_recording(rerun, folder, tmp_path, monkeypatch):
    monkeypatch.setattr('niki_ros.load_pipeline', lambda **_: scripted_pipeline())
    assert run_view(folder, '--save', tmp_path / 'out.rrd', '--max-frames', 3) == 0
    assert '/bodies/1/bones' in recorded_paths(tmp_path / 'out.rrd')


def test_screenshot_shows_skeleton_and_image(rerun, bag, tmp_path, capsys):
    """Drawn by the viewer itself: the colours of sure joints on the left, the image right."""
    if not (os.environ.get('DISPLAY') or shutil.which('xvfb-run')):
        pytest.skip('no display here: apt install xvfb xauth mesa-vulkan-drivers')
    code = run_view(bag, '--screenshot', tmp_path / 'shot.png')
    said = capsys.readouterr().err
    if code and 'mesa-vulkan-drivers' in said:
        pytest.skip(said.strip())
    assert code == 0, said
    picture = cv2.imread(str(tmp_path / 'shot.png'))[..., ::-1].astype(int)
    left, right = np.split(picture[:, :picture.shape[1] // 2 * 2], 2, axis=1)
    assert (abs(right - [90, 120, 150]).max(axis=2) < 12).mean() > 0.2
    blue = (left[..., 2] > left[..., 0] + 40) & (left[..., 2] > 120)
    assert blue.mean() > 0.002
    assert run_view(bag, '--screenshot', tmp_path / 'shot.jpg') == 1
    assert 'ends in .png' in capsys.readouterr().err


LAYOUT = Path(__file__).resolve().parents[2] / 'config' / 'niki.foxglove.json'


def test_foxglove_layout_fits_the_node():
    """Every panel has its place; topics, frame, field and names are those that the node uses."""
    layout = json.loads(LAYOUT.read_text('utf-8'))
    panels = layout['configById']

    def leaves(node):
        return [node] if isinstance(node, str) else leaves(node['first']) + leaves(node['second'])
    assert sorted(leaves(layout['layout'])) == sorted(panels)
    assert {name.partition('!')[0] for name in panels} == {
        '3D', 'Image', 'DiagnosticSummary', 'DiagnosticStatusPanel'}
    space = panels['3D!bodies']
    assert set(space['topics']) == {'/markers', '/joints'}
    assert space['topics']['/joints']['colorField'] in POINT.names
    sources = ''.join(file.read_text('utf-8')
                      for file in (LAYOUT.parents[1] / 'niki_ros' / 'ros').glob('*.py'))
    for word in ('joints', 'markers', 'overlay', '/diagnostics', space['followTf'], 'niki_ros'):
        assert f"'{word}'" in sources, word


def test_foxglove_camera_stands_behind_the_robots_and_upright():
    """With Foxglove's angles: polar from z, up is z. People have their heads up (y is down)."""
    state = json.loads(LAYOUT.read_text('utf-8'))['configById']['3D!bodies']['cameraState']
    phi = np.radians(state['phi'])
    place = np.array([0, -np.sin(phi), np.cos(phi)]) * state['distance'] + state['targetOffset']
    up, forward = np.array([0, np.cos(phi), np.sin(phi)]), np.array([0, np.sin(phi), -np.cos(phi)])
    assert place[2] < 0 and place[1] < -1 and state['thetaOffset'] == 0
    assert up[1] < -0.9 and forward[2] > 0.9
