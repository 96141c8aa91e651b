"""Runs that are shared by processes, killed, refused, or made one after another."""

import json
import os
from pathlib import Path
import subprocess
import sys
import time

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ModelError
from niki_training.cli import train as train_cli
from niki_training.cli import train_solver
from niki_training.evaluate import ablations
from niki_training.train.checkpoint import load_checkpoint
from niki_training.train.settings import TrainConfig
from niki_training.train.trainer import Trainer
import pytest
from small_runs import small_command, small_config, small_settings
import torch

RANKS = """
import sys, torch
from torch import distributed
from niki_ros.body.skeleton import open_skeleton
from niki_training.data.store import load_motion
from niki_training.train.losses import weighted_sum
from niki_training.train.trainer import Trainer
from small_runs import small_config

store, out = sys.argv[1:]
torch.set_num_threads(1)
trainer = Trainer(small_config(clip=1e9), load_motion(store), open_skeleton(), out + '/run')
batch = next(iter(trainer.batches))
torch.manual_seed(7)
weighted_sum(trainer.losses(batch), trainer.config.loss).backward()
alone = [p.grad.clone() for p in trainer.net.parameters() if p.grad is not None]
torch.manual_seed(7)
trainer.train_step(batch)
shared = [p.grad.clone() for p in trainer.net.parameters() if p.grad is not None]
trainer.run()
torch.save({'joints': batch['joints'], 'alone': alone, 'shared': shared, 'step': trainer.step,
            'net': trainer.net.state_dict()}, f'{out}/rank{trainer.rank}.pt')
trainer.leave()
"""


def environment() -> dict:
    """Return the environment in which another Python finds the same modules."""
    paths = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'OMP_NUM_THREADS': '1'}


@pytest.mark.long
def test_two_processes_share_gradients_and_the_first_writes(store, tmp_path):
    script = tmp_path / 'ranks.py'
    script.write_text(RANKS)
    subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         str(script), str(store), str(tmp_path)], env=environment(), check=True, timeout=400)
    one, two = (torch.load(tmp_path / f'rank{k}.pt') for k in (0, 1))
    assert not torch.equal(one['joints'], two['joints']), 'each draws its own batches'
    for mine, theirs, ours, also in zip(one['alone'], two['alone'], one['shared'], two['shared']):
        assert torch.equal(ours, also)
        torch.testing.assert_close(ours, (mine + theirs) / 2, rtol=1e-4, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(one['net'].values(), two['net'].values()))
    assert one['step'] == two['step'] == 4
    record = load_checkpoint(tmp_path / 'run' / 'last.pt')[2]
    assert record['step'] == 4
    assert all(torch.equal(a, b) for a, b in zip(record['net'].values(), one['net'].values()))


@pytest.mark.long
def test_torchrun_goes_on_with_the_same_command_and_ends_by_one_clock(store, tmp_path):
    def run(*more):
        command = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m',
                   'niki_training.cli.train', *small_command(store, tmp_path / 'run', *more)]
        subprocess.run([sys.executable, *command], env=environment(), check=True, timeout=400)
        return load_checkpoint(tmp_path / 'run' / 'last.pt')[2]

    assert run()['step'] == 4
    assert run('steps=7')['step'] == 7
    # by the clock: both processes leave at the same step, or this would wait for ever
    timed = run('steps=1000000', 'minutes=0.3')
    assert timed['step'] > 7 and timed['seconds'] >= 18


@pytest.mark.long
def test_a_killed_run_loses_at_most_an_epoch(store, tmp_path):
    command = [sys.executable, '-m', 'niki_training.cli.train',
               *small_command(store, tmp_path, 'steps=1000000', 'epoch=50')]
    run = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    log, deadline = tmp_path / 'log.csv', time.monotonic() + 400
    try:
        while not log.exists() or len(log.read_text().splitlines()) < 4:
            assert run.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        run.kill()
        run.wait()
    done = int(log.read_text().splitlines()[-1].split(',')[0])
    kept = load_checkpoint(tmp_path / 'last.pt')[2]['step']
    assert kept >= 100 and done - 50 <= kept
    assert train_cli.main(small_command(store, tmp_path, f'steps={kept + 3}')) == 0
    assert load_checkpoint(tmp_path / 'last.pt')[2]['step'] == kept + 3


def test_a_kill_while_the_checkpoint_is_written_leaves_the_old_one(motion, tmp_path, monkeypatch):
    Trainer(small_config(), motion, open_skeleton(), tmp_path).run()
    before = (tmp_path / 'last.pt').read_bytes()

    def torn(record, path):
        Path(path).write_bytes(before[:1000])
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', torn)
    with pytest.raises(KeyboardInterrupt):
        Trainer(small_config(steps=6), motion, open_skeleton(), tmp_path).run()
    monkeypatch.undo()
    assert (tmp_path / 'last.pt').read_bytes() == before
    again = Trainer(small_config(steps=6), motion, open_skeleton(), tmp_path)
    assert again.step == 4
    again.run()
    assert load_checkpoint(tmp_path / 'last.pt')[2]['step'] == 6


def test_smoke_ends_by_itself_and_leaves_a_checkpoint(store, tmp_path, monkeypatch):
    monkeypatch.setattr(train_solver, 'SMOKE_S', 1.0)
    command = small_command(store, tmp_path, 'steps=1000000', 'epoch=1000000')
    assert train_cli.main([*command, '--smoke']) == 0
    record = load_checkpoint(tmp_path / 'last.pt')[2]
    assert 1 <= record['step'] < 1000000 and record['seconds'] >= 1.0


def test_another_network_is_not_gone_on_with(motion, tmp_path):
    Trainer(small_config(), motion, open_skeleton(), tmp_path).run()
    with pytest.raises(ModelError, match='--set net'):
        Trainer(small_config(**{'net.hidden': 24}), motion, open_skeleton(), tmp_path)
    with pytest.raises(ModelError, match='--set net'):
        Trainer(small_config('temporal', **{'net.hidden': 24}), motion, open_skeleton(),
                tmp_path / 'temporal', tmp_path / 'last.pt')
    begun = Trainer(small_config(), motion, open_skeleton(), tmp_path / 'begun',
                    tmp_path / 'last.pt')
    assert begun.step == 0, 'the weights of another run are not its end'


def test_every_ablation_has_settings_of_its_own():
    base = ablations.variant('two-stage', 100, None).to_dict()
    for name in ablations.VARIANTS:
        config = ablations.variant(name, None, 1.0, ['batch=32'])
        assert config.batch == 32 and config.minutes == 1.0
        assert name == 'two-stage' or config.to_dict() != {**base, 'batch': 32}
    assert not ablations.variant('without-shape', None, 1.0).net.use_shape
    assert TrainConfig().check() == TrainConfig()


@pytest.mark.long
def test_ablations_make_one_table_and_go_on(store, tmp_path, capsys):
    command = ['ablations', '--data', str(store), '--val', str(store), '--out', str(tmp_path),
               '--steps', '3', '--limit', '4', '--sequences', '1', '--threads', '1',
               *small_settings('steps=3')]
    assert train_cli.main(command) == 0
    text = (tmp_path / 'ablations.md').read_text()
    assert text.strip() == capsys.readouterr().out.strip()
    tables = json.loads((tmp_path / 'ablations.json').read_text())
    assert list(tables['runs']) == list(ablations.VARIANTS)
    assert all(run['steps'] == 3 for run in tables['runs'].values())
    assert set(tables['sequences']) == {'two-stage', 'temporal'}
    assert len(tables['frames']) == 2 * (len(ablations.VARIANTS) - 1)
    clean = tables['frames']['without-shape, unrefined']['clean']['mpjpe_mm']
    assert f' {clean:.2f} ' in text and '| without-inverse |' in text
    record = load_checkpoint(tmp_path / 'one-stage' / 'last.pt')[2]
    assert train_cli.main([*command, '--only', 'one-stage']) == 0
    assert load_checkpoint(tmp_path / 'one-stage' / 'last.pt')[2]['step'] == record['step'] == 3
