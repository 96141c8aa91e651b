"""Released checkpoints as their training code saves them: weights, SMPL layer, camera network."""

import json

from niki_ros import load_solver
from niki_ros.backends import load_engine
from niki_training.importers import cli, hybrik, niki, released_camera, released_hybrik
from niki_training.importers.released_body import BUFFERS, ReleasedJoints
import numpy as np
import pytest
from smpl_files import body_buffers, skinned, write_smpl
from test_importers import niki_state, observed
import torch


def camera_state() -> dict:
    """Return a random camera network, large enough that every input shows in the answer."""
    generator = torch.Generator().manual_seed(2)
    return {key: torch.randn(shape, generator=generator) * (0.1 if 'bias' in key else 0.06)
            for key, shape in released_camera.expected_keys().items()}


def hybrik_state() -> dict:
    """Return weights that are a single zero each: their file stays small."""
    return {key: torch.zeros(1).expand(shape) if shape else torch.zeros(())
            for key, shape in released_hybrik.expected_keys().items()}


def niki_state_with_body(kind: str) -> dict:
    """Return the weights with everything that belongs to them."""
    body = {f'regressor.smpl_layer.{key}': value for key, value in body_buffers().items()}
    return {**niki_state(kind), **body, **(camera_state() if kind == 'one_stage' else {})}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Return a whole one-stage checkpoint and the folder made of it, wrapped and in FP16."""
    folder, state = tmp_path_factory.mktemp('whole'), niki_state_with_body('one_stage')
    half = {f'module.{key}': value.half() if value.is_floating_point() else value
            for key, value in state.items()}
    torch.save({'model': half, 'epoch': 3}, folder / 'niki.pth')
    assert cli.main(['niki', '--kind', 'one_stage', str(folder / 'niki.pth'),
                     '--out', str(folder / 'model')]) == 0
    return state, folder / 'model'


def test_the_camera_network_sees_the_body_of_the_checkpoint(whole):
    state, folder = whole
    rng = np.random.RandomState(8)
    joints, sigma = observed(2)
    given = {'joints': joints, 'sigma': sigma, 'betas': rng.standard_normal((2, 10)),
             'uv': rng.uniform(-0.5, 0.5, (2, 29, 2)), 'camera_guess': rng.uniform(size=(2, 3))}
    given = {key: value.astype(np.float32) for key, value in given.items()}
    found = load_engine(folder).run(given)
    body = {key: state[f'regressor.smpl_layer.{key}'] for key in BUFFERS}
    half = {key: value.half().double().numpy() for key, value in state.items()
            if key.startswith('regressor.camnet.')}
    for person in range(2):
        posed = skinned(body, found['rotmat'][person].astype(float), given['betas'][person])
        value = np.concatenate([given['uv'][person].ravel(), posed.ravel(), sigma[person],
                                given['camera_guess'][person]])
        for layer in (0, 3, 6, 9):
            name = f'regressor.camnet.camera_net.{layer}'
            value = half[f'{name}.weight'] @ value + half[f'{name}.bias']
            value = np.maximum(value, 0) if layer < 9 else value
        np.testing.assert_allclose(found['camera'][person],
                                   value + half['regressor.camnet.init_cam'], atol=1e-4)


def test_the_skeleton_is_that_of_the_checkpoint(whole):
    solver = load_solver(str(whole[1]))
    assert solver.skeleton.name == 'smpl'
    joints, sigma = observed(3)
    assert np.isfinite(solver.solve(joints, sigma).joints_m).all()
    posed = ReleasedJoints(body_buffers())(torch.eye(3).expand(1, 24, 3, 3), torch.zeros(1, 10))[0]
    np.testing.assert_allclose((posed - posed[0]).numpy()[:24],
                               solver.skeleton.rest_joints_m[:24], atol=2e-3)  # FP16 in the file


def run_without_export(monkeypatch, words, out) -> list:
    """Run the command with an export that only takes down the network's class and outputs."""
    seen: list = []

    def graph_of(net, inputs, outputs):
        seen.append((type(net).__name__, list(inputs), list(outputs)))
        return b'graph'

    module = niki if words[0] == 'niki' else hybrik
    monkeypatch.setattr(module, 'graph_of', graph_of)
    monkeypatch.setattr(niki, 'weight_bytes', len)
    assert cli.main([*words, '--out', str(out)]) == 0
    return seen


def test_a_whole_twist_swing_checkpoint_is_read(tmp_path, monkeypatch, capsys):
    torch.save(niki_state_with_body('twist_swing'), tmp_path / 'ts.pth')
    seen = run_without_export(
        monkeypatch, ['niki', '--kind', 'twist_swing', str(tmp_path / 'ts.pth')], tmp_path / 'm')
    assert seen[0][0] == 'ReleasedNiki'
    assert 'left out: smpl_layer.faces_tensor' in capsys.readouterr().out


def test_a_whole_hybrik_checkpoint_is_read(tmp_path, monkeypatch, capsys):
    body = {f'smpl.{key}': value for key, value in body_buffers().items()}
    torch.save({'model': {**hybrik_state(), **body}, 'epoch': 28}, tmp_path / 'hybrik.pth')
    monkeypatch.setattr(released_hybrik, 'build', lambda state: torch.nn.Identity())
    seen = run_without_export(monkeypatch, ['hybrik', str(tmp_path / 'hybrik.pth')],
                              tmp_path / 'm')
    assert seen[0][2] == released_hybrik.OUTPUT_NAMES
    assert 'left out: smpl.faces_tensor' in capsys.readouterr().out
    assert '"joint_set": "smpl"' in (tmp_path / 'm' / 'manifest.json').read_text()


def test_a_hybrik_checkpoint_without_its_body_takes_the_users(tmp_path, monkeypatch, capsys):
    torch.save(hybrik_state(), tmp_path / 'hybrik.pth')
    monkeypatch.setattr(released_hybrik, 'build', lambda state: torch.nn.Identity())
    words = ['hybrik', str(tmp_path / 'hybrik.pth')]
    run_without_export(monkeypatch, words, tmp_path / 'a')
    assert "refinement of the camera's scale" in capsys.readouterr().out
    smpl = write_smpl(tmp_path / 'SMPL_NEUTRAL.npz')
    run_without_export(monkeypatch, [*words, '--smpl', str(smpl)], tmp_path / 'b')
    assert 'refinement' not in capsys.readouterr().out
    skeleton = json.loads((tmp_path / 'b' / 'manifest.json').read_text())['skeleton']
    assert skeleton['name'] == 'SMPL_NEUTRAL'
    assert cli.main([*words, '--smpl', str(tmp_path / 'none.npz'), '--out',
                     str(tmp_path / 'c')]) == 2
    assert 'none.npz: no such file' in capsys.readouterr().err


def test_a_camera_network_without_its_body_is_named_and_left_out(tmp_path, monkeypatch, capsys):
    torch.save({**niki_state('one_stage'), **camera_state()}, tmp_path / 'niki.pth')
    seen = run_without_export(
        monkeypatch, ['niki', '--kind', 'one_stage', str(tmp_path / 'niki.pth')], tmp_path / 'm')
    assert seen[0][0] == 'ReleasedNiki'
    assert 'left out: camnet' in capsys.readouterr().out


@pytest.mark.parametrize('change, message', [
    ({'smpl_layer.J_regressor': None}, 'no regressor.smpl_layer.J_regressor'),
    ({'smpl_layer.lbs_weights': torch.zeros(6890, 23)}, 'lbs_weights is (6890, 23)'),
    ({'smpl_layer.posedirs': torch.full((207, 20670), np.nan)}, 'not finite'),
    ({'smpl_layer.more': torch.zeros(3)}, 'unknown regressor.smpl_layer.more'),
    ({'camnet.camera_net.3.bias': None}, 'missing regressor.camnet.camera_net.3.bias'),
    ({'camnet.init_cam': torch.zeros(4)}, 'init_cam is (4,), expected (3,)'),
])
def test_what_does_not_belong_is_refused(tmp_path, refused, change, message):
    state = niki_state_with_body('one_stage')
    state.update({f'regressor.{key}': value for key, value in change.items()})
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / 'niki.pth')
    refused(cli.main, ['niki', '--kind', 'one_stage', tmp_path / 'niki.pth', '--out',
                       tmp_path / 'm'], message, at_most=2)
    assert not (tmp_path / 'm').exists()
