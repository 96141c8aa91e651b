"""What the solver is trained on behind the lifter."""

import json

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError, ModelError
from niki_ros.lifters.lifter import Lifter
from niki_ros.solvers import shipped_models
from niki_training.cli.evaluate import main as evaluate_main
from niki_training.data.batches import Batches
from niki_training.data.store import write_store
from niki_training.lift.data import LiftBatches
from niki_training.lift.pairs import LENGTH, LiftedPairs
from niki_training.train.settings import TrainConfig
from niki_training.train.trainer import Trainer
import numpy as np
import pytest
from small_runs import small_config
import torch

FRAMES = 5


@pytest.fixture(scope='module')
def lifter():
    return Lifter(shipped_models() / 'lift')


@pytest.fixture(scope='module')
def pairs(moving, lifter):
    return LiftedPairs(LiftBatches(moving, open_skeleton(), 8), lifter, FRAMES, pieces=32)


def test_windows_are_bodies_with_the_errors_of_the_lifter(pairs):
    batch = pairs.draw(64, np.random.default_rng(0))
    joints, _ = forward_kinematics(
        batch['rotmat'], open_skeleton().offsets(batch['betas'])[:, None])
    assert np.allclose(joints, batch['joints'], atol=1e-4)
    assert np.allclose(np.linalg.norm(batch['twist'], axis=-1), 1.0, atol=1e-4)
    error_m = np.linalg.norm(batch['noisy'] - batch['joints'], axis=-1)
    hidden = batch['sigma'] >= 0.95
    assert 0.02 < hidden.mean() < 0.4
    assert 0.01 < np.median(error_m[~hidden]) < 0.2
    assert np.median(error_m[hidden]) > np.median(error_m[~hidden])
    # errors last from frame to frame
    error_m = (batch['noisy'] - batch['joints'])[:, :, 1:]
    change = np.abs(np.diff(error_m, axis=1)).mean()
    assert change < 0.3 * np.abs(error_m).mean()


def test_they_are_a_part_of_a_batch_with_their_twist(pairs, moving):
    batches = Batches(moving, open_skeleton(), 16, FRAMES, pairs=pairs, pairs_share=0.5)
    batch = batches.draw(np.random.default_rng(0))
    assert batch['twist'].shape == (16, FRAMES, 46)
    assert not batch['twist'][:8].any() and (batch['twist'][8:] != 0).all()
    assert all(np.isfinite(value).all() for value in batch.values())
    doubt = batch['condition'][..., -1]
    assert doubt.min() == 0 < doubt.max() <= 1.01, 'of the pipeline, and estimated here'


@pytest.mark.parametrize('kind', ['two_stage', 'temporal'])
def test_networks_train_on_them(moving, lifter, tmp_path, kind):
    start, config = None, small_config(kind, steps=3)
    frames = config.frames if kind == 'temporal' else 1
    pairs = LiftedPairs(LiftBatches(moving, open_skeleton(), 8), lifter, frames, pieces=8)
    if kind == 'temporal':
        Trainer(small_config(steps=1), moving, open_skeleton(), tmp_path / 'frame').run()
        start = tmp_path / 'frame' / 'last.pt'
    trainer = Trainer(config, moving, open_skeleton(), tmp_path / 'run', start, pairs)
    trainer.run()
    assert trainer.step == 3 and (tmp_path / 'run' / 'last.pt').exists()


def test_training_begins_with_the_weights_of_a_shipped_model(moving, tmp_path):
    config = TrainConfig(batch=4, steps=1)
    trainer = Trainer(config, moving, open_skeleton(), tmp_path / 'run', shipped_models() / 'niki')
    fresh = Trainer(config, moving, open_skeleton(), tmp_path / 'fresh')
    batch = trainer.batches.draw(np.random.default_rng(0))
    given = {name: torch.from_numpy(value) for name, value in batch.items()}
    with torch.no_grad():
        begun, untrained = (float(one.losses(given)['joints']) for one in (trainer, fresh))
    assert begun < 0.1 < untrained
    with pytest.raises(ModelError, match='--set net'):
        Trainer(small_config(), moving, open_skeleton(), tmp_path / 'small',
                shipped_models() / 'niki')


def test_windows_longer_than_lifted_motion_are_refused(moving, lifter):
    with pytest.raises(InputError, match=str(LENGTH)):
        LiftedPairs(LiftBatches(moving, open_skeleton(), 8), lifter, LENGTH + 1)


def test_what_every_part_is_worth_is_one_command(moving, tmp_path, capsys):
    write_store(tmp_path / 'val.npz', moving, 'none', [])
    assert evaluate_main(['lift', str(tmp_path / 'val.npz'), '--windows', '3', '--model', 'niki',
                          '--json', '--plot', str(tmp_path / 'sigma.png')]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {len(row) for row in report['ways'].values()} == {3}, 'lifted, analytic, niki'
    lifted = {way: rows['lifted']['mpjpe'] for way, rows in report['ways'].items()}
    assert lifted['exact keypoints and depth'] < lifted['as it runs']
    assert lifted['without twist'] == lifted['as it runs']
    bare, twisted = (report['ways'][way]['analytic'] for way in ('without twist', 'as it runs'))
    assert twisted['forearms'] != bare['forearms']
    assert (tmp_path / 'sigma.png').stat().st_size > 5000
