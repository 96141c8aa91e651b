"""The evaluation's command: tables, JSON, charts, and figures in a model's manifest."""

import json
import shutil

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ConfigError
from niki_ros.solvers import load_solver, shipped_models
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli.evaluate_solvers import SEQUENCE_ROWS
from niki_training.evaluate.metrics import mpjpe_mm
from niki_training.evaluate.model_fit import model_fit
from niki_training.evaluate.plots import draw_tables
from niki_training.evaluate.solver_protocol import markdown_table, rows_of_solver
import numpy as np
import pytest


@pytest.fixture
def model(tmp_path):
    return shutil.copytree(shipped_models() / 'niki', tmp_path / 'mine')


def test_one_command_writes_tables_charts_and_manifest(store, model, tmp_path, capsys):
    command = ['--data', str(store), '--model', f'mine={model}', '--limit', '8', '--tracks',
               '--sequences', '1', '--unrefined']
    files = ['--json', str(tmp_path / 'out.json'), '--plot', str(tmp_path / 'out.png'), '--note']
    assert evaluate_cli.main(command + files) == 0
    text = capsys.readouterr().out
    tables = json.loads((tmp_path / 'out.json').read_text())
    assert list(tables['frames']) == ['observation', 'analytic', 'mine', 'mine, unrefined']
    assert list(tables['sequences']) == ['analytic', 'mine']
    clean = tables['frames']['mine']['clean']['mpjpe_mm']
    assert 0 < clean < 20 and f'| {clean:.2f} |' in text
    assert (tmp_path / 'out.png').read_bytes()[:4] == b'\x89PNG'
    noted = json.loads((model / 'manifest.json').read_text())['evaluation']
    assert noted['frames']['clean']['mpjpe_mm'] == pytest.approx(clean, abs=1e-3)
    assert 'store.npz' in noted['protocol'] and set(noted['sequences']) == set(
        SEQUENCE_ROWS)
    assert load_solver(str(model)).name == 'niki', 'the folder is still a model'


def test_gradient_descent_comes_near_a_clean_body():
    skeleton = open_skeleton()
    rotmat = rotmat_from_rotvec(np.random.default_rng(0).normal(size=(2, 24, 3)) * 0.3)
    joints, _ = forward_kinematics(rotmat, skeleton.offsets())
    found, turned, _ = model_fit(skeleton)(joints, np.zeros((2, 29)))
    start, _ = forward_kinematics(np.tile(np.eye(3), (2, 24, 1, 1)), skeleton.offsets())
    assert mpjpe_mm(found, joints).max() < 0.3 * mpjpe_mm(start, joints).min()
    np.testing.assert_allclose(np.linalg.det(turned), 1.0, atol=1e-4)


def test_charts_of_half_a_table_and_of_an_unknown_form(tmp_path):
    tables = {'frames': {}, 'sequences': {'a': {'clean': {'mpjpe_mm': 0.0}},
                                          'b': {'noise-20': {'mpjpe_mm': 3.0}}}}
    draw_tables(tables, tmp_path / 'half.svg')
    assert 'tracks: MPJPE' in (tmp_path / 'half.svg').read_text()
    with pytest.raises(ConfigError, match='half.mp3'):
        draw_tables(tables, tmp_path / 'half.mp3')


def test_rows_of_a_solver_that_is_not_there_are_refused():
    tables = {'frames': {'a': {'clean': {'mpjpe_mm': 1.23456}}}}
    assert rows_of_solver('a', tables) == {'frames': {'clean': {'mpjpe_mm': 1.235}}}
    with pytest.raises(ConfigError, match=r"'b'.*\['a'\]"):
        rows_of_solver('b', tables)
    assert markdown_table(tables['frames']).splitlines()[-1] == '| clean | 1.23 |'
