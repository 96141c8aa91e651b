"""niki-train look trains, resumes and continues; niki-evaluate look measures what it wrote."""

import csv
import json
import os
from pathlib import Path
import subprocess
import sys

from drawn_crops import write_shards
from niki_ros.models.model_store import find_model
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli import export as export_cli
from niki_training.cli import train as train_cli
import pytest

ROOT = Path(__file__).resolve().parents[3]
# without frozen layers, whose graph takes longer to make than these runs
SMALL = ['--size', 'lite', '--batch', '4', '--frozen-side', '0', '--threads', '1']
FROZEN = '--frozen-side', '8'


@pytest.fixture(scope='module')
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp('crops')
    write_shards(folder, 'train', 8, seed=0)
    write_shards(folder, 'val', 4, seed=1)
    return folder


@pytest.fixture(scope='module')
def run(crops, tmp_path_factory):
    """Return the folder of a run that was started twice, the second time with more steps."""
    out = tmp_path_factory.mktemp('runs') / 'look'
    for steps in ('1', '3'):
        assert train(crops, out, '--steps', steps) == 0
    return out


def train(crops, out, *more) -> int:
    return train_cli.main(['look', '--crops', str(crops), '--out', str(out), *SMALL, *more])


def test_a_run_is_resumed_and_logged(run):
    with (run / 'log.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [int(row['step']) for row in rows] == [1, 3]
    assert float(rows[-1]['rendered_mm']) > 0 and float(rows[-1]['loss']) > 0
    index = json.loads((run / 'last.json').read_text())
    assert index['total_steps'] == 3 and all((run / name).is_file() for name in index['pieces'])
    assert (run / 'progress.png').stat().st_size > 1000


@pytest.mark.long
def test_a_run_on_stored_features_continues_another(run, crops, tmp_path, capsys):
    out = tmp_path / 'next'
    assert train(crops, out, '--from', str(run), '--steps', '1', *FROZEN,
                 '--stored', '33') == 0
    assert json.loads((out / 'last.json').read_text())['total_steps'] == 4
    assert train(crops, tmp_path / 'no', '--steps', '1', '--head', 'both') == 2
    assert 'expected one of direct joint' in capsys.readouterr().err


@pytest.mark.long
def test_a_small_network_trains_on_crops_of_two_folders(crops, tmp_path):
    other, out, folder = tmp_path / 'crops', tmp_path / 'small', tmp_path / 'look-small'
    write_shards(other, 'train', 4, seed=2)
    assert train(crops, out, '--crops', str(other), '--steps', '2', '--frozen-side', '2',
                 '--no-lift', '--head', 'direct joint', '--width', '64') == 0
    assert export_cli.main([str(out), str(folder)]) == 0
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['rendered']['crops'] == 12 and len(manifest['rendered']['banks']) == 2
    assert manifest['credits'] == ['a dot by an author']
    # the trunk is the landmark network's own, and stored once
    shipped = find_model('landmarks-lite').path / 'model.onnx'
    assert (folder / 'model.onnx').stat().st_size < shipped.stat().st_size + 600_000


@pytest.mark.long
def test_stored_features_are_of_the_weights_that_the_run_begins_with(run, crops, tmp_path, capsys):
    features = *FROZEN, '--stored', '9', '--features', str(tmp_path / 'stored')
    lower = tmp_path / 'lower'
    assert train(crops, lower, '--steps', '2', '--trunk-rate', '1e-3') == 0
    assert train(crops, tmp_path / 'next', '--from', str(lower), '--steps', '1', *features) == 0
    capsys.readouterr()
    assert train(crops, tmp_path / 'other', '--from', str(run), '--steps', '1', *features) == 2
    assert 'another network' in capsys.readouterr().err


def test_models_of_every_form_are_measured_on_the_same_crops(run, crops, tmp_path, capsys):
    folder, report = tmp_path / 'look-lite', tmp_path / 'report.json'
    assert export_cli.main([str(run), str(folder)]) == 0
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['credits'] == ['a dot by an author'] and manifest['name'] == 'look-lite'
    assert 'Anny' in manifest['training_data'] and manifest['training']['steps'] == 3
    assert 'look-lite: look' in capsys.readouterr().out
    assert evaluate_cli.main(
        ['look', str(run), str(folder), 'landmarks-lite', '--crops', str(crops),
         '--json', str(report), '--plot', str(tmp_path / 'report.png')]) == 0
    scores = {name: row['rendered'] for name, row in json.loads(report.read_text()).items()}
    assert set(scores) == {'look', 'look-lite', 'landmarks-lite'}
    assert scores['look']['mpjpe_mm'] == pytest.approx(scores['look-lite']['mpjpe_mm'], abs=3.0)
    assert scores['look']['sides_percent'] < 0.1 < scores['landmarks-lite']['sides_percent']
    assert 'rendered, mm' in capsys.readouterr().out
    assert evaluate_cli.main(['look', str(run)]) == 2


@pytest.mark.long
def test_two_processes_train_one_network(crops, tmp_path):
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node', '2',
               '--master-port', '29517', '-m', 'niki_training.cli.train', 'look', '--crops',
               str(crops), '--out', str(tmp_path / 'run'), *SMALL, '--steps', '2']
    env = {**os.environ, 'PYTHONPATH': str(ROOT / 'training'), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / 'run' / 'last.json').read_text())['total_steps'] == 2
