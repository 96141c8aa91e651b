"""``niki run`` with the front end on real clips, and with scripted observations."""

import json
import signal

from camera_infos import write_camera_file
from niki_ros.cli import main as cli
from niki_ros.files.video_writer import VideoWriter
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
from niki_ros.sources.frame_source import SourceOptions
from niki_ros.sources.open import open_source
from niki_ros.sources.video_file import VideoFile
import numpy as np
import pytest
from scenes import measured_clip, observe_body, ScriptedObserver, T_POSE, truncated

FRAMES = 20


@pytest.fixture(name='clip')
def clip_fixture():
    return measured_clip('cam01.mp4')


@pytest.fixture
def blank(tmp_path):
    path = tmp_path / 'blank.mp4'
    with VideoWriter(path, 20.0, 64, 48) as writer:
        for _ in range(4):
            writer.write(np.full((48, 64, 3), 99, np.uint8))
    return path


def run(*words):
    return cli.main(['run', *map(str, words), '--solver', 'analytic'])


def lines_of(path):
    return [json.loads(line) for line in path.read_text('utf-8').splitlines()]


def test_real_clip_twice_is_the_same_bytes(clip, tmp_path, capfd):
    paths = [tmp_path / name for name in ('a.jsonl', 'b.jsonl')]
    for path in paths:
        assert run(clip, '--max-frames', FRAMES, '--json', path, '--overlay',
                   path.with_suffix('.mp4')) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    said = capfd.readouterr().err
    assert f'{FRAMES} frames in ' in said and 'ids of people: 1' in said and 'b.mp4' in said
    lines = lines_of(paths[0])
    assert [line['stamp_ns'] for line in lines] == [round(i * 1e9 / 60) for i in range(FRAMES)]
    seen = [body for line in lines for body in line['bodies']]
    assert len(seen) > 0.8 * FRAMES
    for body in seen:
        assert np.array(body['joints_m']).shape == (29, 3)
        assert np.array(body['keypoints_px'], dtype=float).shape == (29, 2)
        assert len(body['confidence']) == len(body['status']) == 24
        assert set(body['status']) <= {'observed', 'predicted', 'unobserved'}
        assert 1 < body['root_m'][2] < 12
    overlay = open_source(tmp_path / 'a.mp4')
    assert len(list(overlay)) == FRAMES and overlay.rate_hz == 60
    assert (overlay.width, overlay.height) == (1080, 1920)


def test_json_to_stdout_is_nothing_but_json(blank, capsys):
    assert run(blank, '--json', '-') == 0
    captured = capsys.readouterr()
    assert [json.loads(line) for line in captured.out.splitlines()] == [
        {'stamp_ns': 50_000_000 * i, 'bodies': []} for i in range(4)]
    assert 'ids of people: none' in captured.err


def test_quiet_prints_nothing(blank, capsys):
    assert run(blank, '--quiet') == 0
    assert capsys.readouterr() == ('', '')


def scripted(monkeypatch, root_m, keypoint=None):
    """Replace the front end of ``niki run`` by a person at ``root_m``, seen by a 60° camera."""
    camera = Camera.from_fov(64, 48, 60.0)
    seen = observe_body(T_POSE, np.array(root_m), camera)
    if keypoint is not None:
        seen.keypoints_px[keypoint] = np.nan
    given = {}

    def load(**settings):
        given.update(settings)
        return Pipeline(ScriptedObserver(lambda stamp_ns: [seen]), load_solver('analytic'))

    monkeypatch.setattr('niki_ros.load_pipeline', load)
    return given


def test_record_of_a_known_person(blank, tmp_path, monkeypatch):
    given = scripted(monkeypatch, [0.2, 0.1, 4.0], keypoint=20)
    path = tmp_path / 'out.jsonl'
    assert run(blank, '--json', path, '--set', 'smoothing.beta=0.5', '--fov-deg', 60) == 0
    assert given == {'smoothing.beta': 0.5, 'camera.fov_deg': 60.0, 'solver.name': 'analytic',
                     'wait': True}
    bodies = [line['bodies'] for line in lines_of(path)]
    assert bodies[-1][0]['id'] == bodies[-2][0]['id']
    body = bodies[-1][0]
    assert np.allclose(body['root_m'], [0.2, 0.1, 4.0], atol=0.05)
    assert body['joints_m'][0] == body['root_m']
    assert body['keypoints_px'][20] == [None, None]
    assert None not in body['keypoints_px'][19]


def test_camera_file_is_used_and_scaled(blank, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.0, 0.0, 4.0])
    write_camera_file(Camera.from_fov(128, 96, 31.0), tmp_path / 'camera.yaml')
    path = tmp_path / 'out.jsonl'
    assert run(blank, '--json', path, '--camera', tmp_path / 'camera.yaml') == 0
    ratio = np.tan(np.radians(30)) / np.tan(np.radians(15.5))
    distance = lines_of(path)[-1]['bodies'][0]['root_m'][2]
    assert distance == pytest.approx(4.0 * ratio, rel=0.05)


def test_outputs_of_a_truncated_video_have_its_frames(clip, tmp_path, monkeypatch, capsys):
    scripted(monkeypatch, [0.0, 0.0, 4.0])
    truncated(clip, tmp_path / 'cut.mp4')
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'bodies.jsonl').write_text('from before')
    assert run(tmp_path / 'cut.mp4', '--json', out / 'bodies.jsonl',
               '--overlay', out / 'overlay.mp4') == 1
    said = capsys.readouterr().err.splitlines()[-1]
    count = len(lines_of(out / 'bodies.jsonl'))
    assert 'cut.mp4' in said and f'the {count} frames before it' in said
    assert 10 < count < 95 and len(list(open_source(out / 'overlay.mp4'))) == count
    assert sorted(path.name for path in out.iterdir()) == ['bodies.jsonl', 'overlay.mp4']


def test_failure_leaves_no_half_file(blank, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.0, 0.0, 4.0])
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'bodies.jsonl').write_text('from before')
    monkeypatch.setattr('niki_ros.loading.process_source.draw_overlay', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(blank, '--json', out / 'bodies.jsonl', '--overlay', out / 'overlay.mp4')
    assert [path.name for path in out.iterdir()] == ['bodies.jsonl']
    assert (out / 'bodies.jsonl').read_text() == 'from before'


@pytest.mark.parametrize('end', [KeyboardInterrupt(), SystemExit(128 + signal.SIGTERM)])
def test_outputs_of_an_interrupted_camera_are_kept(blank, tmp_path, monkeypatch, end):
    class Webcam4Frames(VideoFile):
        live = True

        def __iter__(self):
            yield from super().__iter__()
            raise end

    given = scripted(monkeypatch, [0.0, 0.0, 4.0])
    monkeypatch.setattr('niki_ros.sources.open.open_source',
                        lambda path, **_: Webcam4Frames(path, SourceOptions()))
    assert run(blank, '--json', tmp_path / 'out.jsonl') == 0
    assert len(lines_of(tmp_path / 'out.jsonl')) == 4
    assert given['wait'] is False


@pytest.mark.parametrize('words, message', [
    (['--set', 'smoothing.betta=1'], 'smoothing.betta=1'),
    (['--set', 'smoothing.beta=-1'], 'smoothing.beta is -1'),
    (['--fov-deg', '400'], 'camera.fov_deg is 400'),
    (['--observer', 'crystal-ball'], 'crystal-ball'),
    (['--json', 'no/such/folder/x.jsonl'], 'no/such/folder'),
    (['--overlay', 'overlay.txt'], '.mp4'),
    (['--camera', 'nowhere.yaml'], 'nowhere.yaml')])
def test_refused_before_any_work(blank, words, message, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert run(blank, *words) == 1
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
