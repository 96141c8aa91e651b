"""Bad input in the training tools: one line that names the fault, and nothing is written."""

from itertools import count
import os
import pickle

from niki_training.cli import data as data_cli
from niki_training.data.batches import Batches
import numpy as np
import pytest
from small_runs import SMALL
from test_data import BVH

torch = pytest.importorskip('torch', reason='torch is not installed: make test installs it')
from niki_ros.common.errors import ConfigError, InputError  # noqa: E402
from niki_training.cli import evaluate as evaluate_cli  # noqa: E402
from niki_training.cli import export as export_cli  # noqa: E402
from niki_training.cli import train as train_cli  # noqa: E402
from niki_training.render.shards import read_shard  # noqa: E402
from niki_training.train.checkpoint import load_checkpoint  # noqa: E402
from niki_training.train.settings import TrainConfig  # noqa: E402
from niki_training.train.trainer import SolverLosses  # noqa: E402

FRAMES = 120


def archive(path, **change):
    """Write a store of two subjects with something changed, and return its path."""
    rotvec = 0.2 * np.random.default_rng(0).normal(size=(FRAMES, 24, 3))
    facts = {'rotvec': rotvec, 'lengths': [60, 60], 'names': ['a/0', 'b/0'], 'fps': 30.0}
    np.savez(path, **{**facts, **change})
    return path


def refused(command, words, capsys, *parts):
    """Assert that a command ends with 2 and one line with all ``parts``."""
    assert command([str(word) for word in words]) == 2
    lines = capsys.readouterr().err.replace('\r', '\n').strip().splitlines()
    lines = [line for line in lines if 'it/s' not in line and 's/it' not in line]
    assert len(lines) == 1 and all(part in lines[0] for part in parts), lines


def cut_off(path):
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    return path


def scratched(path):
    """Overwrite bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[5000:5050] = b'\xff' * 50
    path.write_bytes(content)
    return path


@pytest.mark.parametrize('change, message', [
    ({'fps': np.nan}, 'nan'),
    ({'rotvec': np.full((FRAMES, 24, 3), np.nan)}, 'finite'),
    ({'rotvec': np.zeros((FRAMES, 72))}, '(120, 72)'),
    ({'rotvec': np.asarray([{}], dtype=object)}, 'niki-data prepare'),
    ({'lengths': [60, 70]}, '130 frames'),
    ({'lengths': [0, 120]}, 'empty'),
    ({'lengths': [180, -60]}, 'empty'),
    ({'names': ['a/0']}, 'names (1,)'),
    ({'rotvec': np.zeros((0, 24, 3)), 'lengths': [], 'names': []}, 'empty'),
    ({'lengths': ['x', 'y']}, 'niki-data prepare'),
])
def test_a_store_that_is_not_whole(tmp_path, capsys, change, message):
    path = archive(tmp_path / 'a.npz', **change)
    refused(data_cli.main, ['show', path], capsys, 'a.npz', message)
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run'], capsys, 'a.npz', message)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('damage', [cut_off, scratched])
def test_a_damaged_npz(tmp_path, capsys, damage):
    path = damage(archive(tmp_path / 'a.npz'))
    refused(data_cli.main, ['show', path], capsys, 'a.npz', 'niki-data prepare')
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run'], capsys, 'a.npz')
    out = ['--licence', 'CC0', '--out', tmp_path / 'o.npz']
    np.savez(tmp_path / 'b_poses.npz', poses=np.ones((90, 156)), mocap_framerate=60.0)
    damage(tmp_path / 'b_poses.npz')
    refused(data_cli.main, ['prepare', tmp_path / 'b_poses.npz', '--format', 'amass', *out],
            capsys, 'b_poses.npz')
    with pytest.raises(InputError, match='a.npz'):
        read_shard(path)
    assert not (tmp_path / 'o.npz').exists()


@pytest.mark.parametrize('change, message', [
    ({'poses': np.zeros((0, 156))}, 'empty'),
    ({'poses': np.full((60, 156), np.nan)}, 'finite'),
    ({'poses': np.zeros((60, 60))}, '(60, 60)'),
    ({'mocap_framerate': np.nan}, 'nan'),
])
def test_an_amass_clip_that_is_none(tmp_path, capsys, change, message):
    clip = {'poses': np.zeros((60, 156)), 'mocap_framerate': 60.0, **change}
    np.savez(tmp_path / 'a.npz', **clip)
    refused(data_cli.main, ['prepare', tmp_path / 'a.npz', '--format', 'amass', '--licence', 'x',
                            '--out', tmp_path / 'o.npz'], capsys, 'a.npz', message)


@pytest.mark.parametrize('text, message', [
    (BVH.partition('MOTION')[0], 'HIERARCHY and MOTION'),
    (BVH.replace('Frames: 2', 'Frames: 3'), '3 frames'),
    (BVH.rpartition(' 45')[0], 'MOTION'),
    (BVH.replace('0.0333333', 'nan'), 'nan s'),
    (BVH.replace('90', 'nan'), 'finite'),
    (BVH.replace('Zrotation', 'Qrotation'), 'Qrotation'),
    (BVH.replace('CHANNELS 6', 'CHANNELS').replace('ROOT', 'FOO'), 'damaged'),
])
def test_a_bvh_that_is_none(tmp_path, capsys, text, message):
    (tmp_path / 'a.bvh').write_text(text)
    (tmp_path / 'map.json').write_text('{"left_hip": "LeftLeg"}')
    refused(data_cli.main, [
        'prepare', tmp_path / 'a.bvh', '--format', 'bvh', '--joint-map', tmp_path / 'map.json',
        '--licence', 'x', '--out', tmp_path / 'o.npz'], capsys, 'a.bvh', message)


@pytest.mark.parametrize('text, message', [
    ('{', 'map.json'), ('["left_hip"]', 'map.json'),
    ('{"left_hip": 3}', 'map.json'), ('{}', '--joint-map'),
    ('{"nobody": "LeftLeg"}', 'nobody'), ('{"left_hip": "LeftUpLeg"}', 'LeftUpLeg')])
def test_a_joint_map_that_is_none(tmp_path, capsys, text, message):
    (tmp_path / 'a.bvh').write_text(BVH)
    (tmp_path / 'map.json').write_text(text)
    refused(data_cli.main, [
        'prepare', tmp_path / 'a.bvh', '--format', 'bvh', '--joint-map', tmp_path / 'map.json',
        '--licence', 'x', '--out', tmp_path / 'o.npz'], capsys, message)


class Evil:
    """Run code when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('content, message', [
    ('zipped', 'program'), ('pickled', 'program'), (b'', 'last.pt'), (b'hello', 'last.pt'),
    ({'a': torch.ones(2)}, 'last.pt'), ([1, 2], 'list')])
def test_a_checkpoint_that_is_none(tmp_path, capsys, content, message):
    trap, path = tmp_path / 'trap', tmp_path / 'run' / 'last.pt'
    path.parent.mkdir()
    if content == 'zipped':
        torch.save({'config': Evil(str(trap))}, path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content == 'pickled':
        path.write_bytes(pickle.dumps(Evil(str(trap))))
    else:
        torch.save(content, path)
    refused(export_cli.main, [path, tmp_path / 'model'], capsys, 'last.pt', message)
    settings = [part for item in SMALL for part in ('--set', item)]
    words = ['--data', archive(tmp_path / 'a.npz'), *settings]
    refused(train_cli.main, [*words, '--out', path.parent], capsys, 'last.pt', message)
    refused(train_cli.main, [*words, '--out', tmp_path / 'b', '--set', 'net.kind=temporal',
                             '--from', path], capsys, 'last.pt', message)
    assert not trap.exists() and not (tmp_path / 'model').exists()


def test_single_frames_where_sequences_are_needed(tmp_path, capsys):
    path = archive(tmp_path / 'a.npz', lengths=[1] * FRAMES,
                   names=[f'{k % 2}/{k}' for k in range(FRAMES)])
    settings = [part for item in SMALL for part in ('--set', item)]
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run', '--set',
                             'net.kind=temporal', *settings], capsys,
            '18 frames', 'frames=')


@pytest.mark.parametrize('setting', [
    'loss.joints=nan', 'loss.zero=-1', 'loss.rotation=inf', 'minutes=nan', 'minutes=-3', 'seed=-1',
    'weight_decay=nan', 'weight_decay=-1', 'learning_rate=nan', 'ema=nan', 'clip=nan'])
def test_a_setting_that_no_run_can_have(setting):
    config = TrainConfig()
    config.set(*setting.split('='))
    with pytest.raises(ConfigError, match=setting.split('=')[0]):
        config.check()


def test_a_run_that_fails_keeps_the_last_good_checkpoint(tmp_path, capsys, monkeypatch):
    path = archive(tmp_path / 'a.npz')
    settings = [part for item in (*SMALL, 'steps=6') for part in ('--set', item)]
    forward, steps = SolverLosses.forward, count(1)

    def losses(self, batch):
        values = forward(self, batch)
        return {**values, 'joints': values['joints'] * float('nan' if next(steps) == 5 else 1)}

    words = ['--data', path, '--out', tmp_path / 'run', *settings]
    with monkeypatch.context() as patch:
        patch.setattr(SolverLosses, 'forward', losses)
        refused(train_cli.main, words, capsys, 'step 5', 'joints nan', 'last.pt')
    net, _, record = load_checkpoint(tmp_path / 'run' / 'last.pt')
    assert record['step'] == 4
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    assert train_cli.main([str(word) for word in words]) == 0      # and goes on from there
    record = load_checkpoint(tmp_path / 'run' / 'last.pt')[2]
    assert record['step'] == 6
    next(iter(record['ema'].values())).fill_(float('nan'))
    torch.save(record, tmp_path / 'failed.pt')
    refused(export_cli.main, [tmp_path / 'failed.pt', tmp_path / 'm'], capsys, 'failed.pt')


def test_motion_that_is_not_finite_in_a_batch_is_never_made(motion):
    from niki_ros.body.skeleton import open_skeleton
    batch = Batches(motion, open_skeleton(), 8).draw(np.random.default_rng(0))
    assert all(np.isfinite(value).all() for value in batch.values())


@pytest.mark.parametrize('words', [
    (train_cli.main, '--threads', '0'), (evaluate_cli.main, '--every', '0'),
    (evaluate_cli.main, '--limit', '-1'), (evaluate_cli.main, '--sequences', 'all')])
def test_a_count_that_is_none(tmp_path, capsys, words):
    command, option, value = words
    with pytest.raises(SystemExit, match='2'):
        command(['--data', str(archive(tmp_path / 'a.npz')), option, value, '--out', 'x'])
    assert f'argument {option}: ' in capsys.readouterr().err


@pytest.mark.parametrize('setting', ['loss=3', 'net=3', 'nothing=1', 'loss.nothing=1'])
def test_a_setting_that_there_is_not(setting):
    with pytest.raises(ConfigError, match=setting.split('=')[0]):
        TrainConfig().set(*setting.split('='))


def test_clips_to_draw_that_cannot_be(tmp_path, capsys):
    path = archive(tmp_path / 'a.npz')
    (tmp_path / 'file').write_text('x')
    refused(train_cli.main, ['kinematic', 'render', path, '--crops', tmp_path / 'file'], capsys,
            'file')
    refused(data_cli.main, ['observe', tmp_path / 'file'], capsys, 'file')
    refused(data_cli.main, ['prepare', path, '--licence', ' ', '--out', tmp_path / 'o.npz'],
            capsys, '--licence')
    with pytest.raises(SystemExit, match='2'):
        data_cli.main(['render', str(path), '--out', str(tmp_path / 'sh'), '--clips', '-1'])


def test_single_frames_have_no_tracks(tmp_path, capsys):
    path = archive(tmp_path / 'a.npz', lengths=[1] * FRAMES,
                   names=[f'{k % 2}/{k}' for k in range(FRAMES)])
    refused(evaluate_cli.main, ['--data', path, '--tracks', '--no-frames'], capsys,
            'the longest piece has 1')


def test_a_skeleton_that_is_none(tmp_path, capsys):
    (tmp_path / 'body.json').write_text('{}')
    refused(train_cli.main, ['--data', archive(tmp_path / 'a.npz'), '--out', tmp_path / 'run',
                             '--body', tmp_path / 'body.json'],
            capsys, 'body.json', 'niki-data body')
