"""Bad input in the training tools: one line that names the fault, and nothing is written."""

from itertools import count

from niki_ros.common.errors import InputError
from niki_training.cli import data as data_cli
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli import export as export_cli
from niki_training.cli import train as train_cli
from niki_training.render.shards import read_shard
from niki_training.train.checkpoint import load_checkpoint
from niki_training.train.trainer import SolverLosses
import numpy as np
import pytest
from small_runs import small_settings
from test_data import BVH
import torch

FRAMES = 120


def archive(path, **change):
    """Write a store of two subjects with something changed, and return its path."""
    rotvec = 0.2 * np.random.default_rng(0).normal(size=(FRAMES, 24, 3))
    facts = {'rotvec': rotvec, 'lengths': [60, 60], 'names': ['a/0', 'b/0'], 'fps': 30.0}
    np.savez(path, **{**facts, **change})
    return path


def prepare(path, form) -> list:
    """Return the arguments that make ``o.npz`` of a file."""
    return ['prepare', path, '--format', form, '--licence', 'x', '--out', path.parent / 'o.npz']


def cut_off(path):
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    return path


def scratched(path):
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
def test_a_store_that_is_not_whole(tmp_path, refused, change, message):
    path = archive(tmp_path / 'a.npz', **change)
    refused(data_cli.main, ['show', path], 'a.npz', message)
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run'], 'a.npz', message)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('damage', [cut_off, scratched])
def test_a_damaged_npz(tmp_path, refused, damage):
    path = damage(archive(tmp_path / 'a.npz'))
    refused(data_cli.main, ['show', path], 'a.npz', 'niki-data prepare')
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run'], 'a.npz')
    np.savez(tmp_path / 'b_poses.npz', poses=np.ones((90, 156)), mocap_framerate=60.0)
    refused(data_cli.main, prepare(damage(tmp_path / 'b_poses.npz'), 'amass'), 'b_poses.npz')
    with pytest.raises(InputError, match='a.npz'):
        read_shard(path)
    assert not (tmp_path / 'o.npz').exists()


@pytest.mark.parametrize('change, message', [
    ({'poses': np.zeros((0, 156))}, 'empty'),
    ({'poses': np.full((60, 156), np.nan)}, 'finite'),
    ({'poses': np.zeros((60, 60))}, '(60, 60)'),
    ({'mocap_framerate': np.nan}, 'nan'),
])
def test_an_amass_clip_that_is_none(tmp_path, refused, change, message):
    clip = {'poses': np.zeros((60, 156)), 'mocap_framerate': 60.0, **change}
    np.savez(tmp_path / 'a.npz', **clip)
    refused(data_cli.main, prepare(tmp_path / 'a.npz', 'amass'), 'a.npz', message)


@pytest.mark.parametrize('text, message', [
    (BVH.partition('MOTION')[0], 'HIERARCHY and MOTION'),
    (BVH.replace('Frames: 2', 'Frames: 3'), '3 frames'),
    (BVH.replace('Frame Time', 'Time'), 'Frame Time'),
    (BVH.rpartition(' 45')[0], 'MOTION'),
    (BVH.replace('0.0333333', 'nan'), 'nan s'),
    (BVH.replace('90', 'nan'), 'finite'),
    (BVH.replace('Zrotation', 'Qrotation'), 'Qrotation'),
    (BVH.replace('JOINT LeftLeg', 'JOINT Hips'), 'Hips'),
    (BVH.replace('ROOT Hips', ''), 'a.bvh'),
    (BVH.replace('CHANNELS 6', 'CHANNELS').replace('ROOT', 'FOO'), 'damaged'),
])
def test_a_bvh_that_is_none(tmp_path, refused, text, message):
    (tmp_path / 'a.bvh').write_text(text)
    (tmp_path / 'map.json').write_text('{"left_hip": "LeftLeg"}')
    refused(data_cli.main, [*prepare(tmp_path / 'a.bvh', 'bvh'), '--joint-map',
                            tmp_path / 'map.json'], 'a.bvh', message)


@pytest.mark.parametrize('text, message', [
    ('{', 'map.json'), ('["left_hip"]', 'map.json'),
    ('{"left_hip": 3}', 'map.json'), ('{}', '--joint-map'),
    ('{"nobody": "LeftLeg"}', 'nobody'), ('{"left_hip": "LeftUpLeg"}', 'LeftUpLeg')])
def test_a_joint_map_that_is_none(tmp_path, refused, text, message):
    (tmp_path / 'a.bvh').write_text(BVH)
    (tmp_path / 'map.json').write_text(text)
    refused(data_cli.main, [*prepare(tmp_path / 'a.bvh', 'bvh'), '--joint-map',
                            tmp_path / 'map.json'], message)


@pytest.mark.parametrize('content, message', [
    (b'', 'last.pt'), (b'hello', 'last.pt'), ({'a': torch.ones(2)}, 'last.pt'), ([1, 2], 'list')])
def test_a_checkpoint_that_is_none(tmp_path, refused, content, message):
    path = tmp_path / 'run' / 'last.pt'
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    refused(export_cli.main, [path, tmp_path / 'model'], 'last.pt', message)
    words = ['--data', archive(tmp_path / 'a.npz'), *small_settings()]
    refused(train_cli.main, [*words, '--out', path.parent], 'last.pt', message)
    refused(train_cli.main, [*words, '--out', tmp_path / 'b', '--set', 'net.kind=temporal',
                             '--from', path], 'last.pt', message)
    assert not (tmp_path / 'model').exists()


def test_single_frames_where_sequences_are_needed(tmp_path, refused):
    path = archive(tmp_path / 'a.npz', lengths=[1] * FRAMES,
                   names=[f'{k % 2}/{k}' for k in range(FRAMES)])
    refused(train_cli.main, ['--data', path, '--out', tmp_path / 'run', '--set',
                             'net.kind=temporal', *small_settings()], '18 frames', 'frames=')
    refused(evaluate_cli.main, ['--data', path, '--tracks', '--no-frames'],
            'the longest piece has 1')


def test_a_run_that_fails_keeps_the_last_good_checkpoint(tmp_path, refused, monkeypatch):
    forward, steps = SolverLosses.forward, count(1)

    def losses(self, batch):
        values = forward(self, batch)
        return {**values, 'joints': values['joints'] * float('nan' if next(steps) == 5 else 1)}

    words = ['--data', archive(tmp_path / 'a.npz'), '--out', tmp_path / 'run',
             *small_settings('steps=6')]
    with monkeypatch.context() as patch:
        patch.setattr(SolverLosses, 'forward', losses)
        refused(train_cli.main, words, 'step 5', 'joints nan', 'last.pt')
    net, _, record = load_checkpoint(tmp_path / 'run' / 'last.pt')
    assert record['step'] == 4
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    assert train_cli.main([str(word) for word in words]) == 0      # and goes on from there
    record = load_checkpoint(tmp_path / 'run' / 'last.pt')[2]
    assert record['step'] == 6
    next(iter(record['ema'].values())).fill_(float('nan'))
    torch.save(record, tmp_path / 'failed.pt')
    refused(export_cli.main, [tmp_path / 'failed.pt', tmp_path / 'm'], 'failed.pt')


@pytest.mark.parametrize('command, option, value', [
    (train_cli.main, '--threads', '0'), (evaluate_cli.main, '--every', '0'),
    (evaluate_cli.main, '--limit', '-1'), (evaluate_cli.main, '--sequences', 'all')])
def test_a_count_that_is_none(capsys, command, option, value):
    with pytest.raises(SystemExit, match='2'):
        command(['--data', 'a.npz', option, value, '--out', 'x'])
    assert f'argument {option}: ' in capsys.readouterr().err


def test_clips_to_draw_that_cannot_be(tmp_path, refused):
    path = archive(tmp_path / 'a.npz')
    (tmp_path / 'file').write_text('x')
    refused(data_cli.main, ['observe', tmp_path / 'file'], 'file')
    refused(data_cli.main, ['prepare', path, '--licence', ' ', '--out', tmp_path / 'o.npz'],
            '--licence')
    with pytest.raises(SystemExit, match='2'):
        data_cli.main(['render', str(path), '--out', str(tmp_path / 'sh'), '--clips', '-1'])


def test_a_skeleton_that_is_none(tmp_path, refused):
    (tmp_path / 'body.json').write_text('{}')
    refused(train_cli.main, ['--data', archive(tmp_path / 'a.npz'), '--out', tmp_path / 'run',
                             '--body', tmp_path / 'body.json'], 'body.json', 'niki-data body')


@pytest.mark.parametrize('command, words, message', [
    (train_cli.main, ['--data', 'absent.npz', '--out', 'x'], 'not a motion archive'),
    (evaluate_cli.main, ['--data', 'absent.npz'], 'absent.npz'),
    (evaluate_cli.main, ['landmarks', 'absent'], 'persons.npz'),
    (evaluate_cli.main, ['occlude', 'absent.mp4'], 'absent.mp4'),
    (evaluate_cli.main, ['video', 'absent'], 'absent')])
def test_files_that_are_missing_are_named(tmp_path, monkeypatch, refused, command, words, message):
    monkeypatch.chdir(tmp_path)
    refused(command, words, message)
