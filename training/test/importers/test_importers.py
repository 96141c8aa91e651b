"""Importers: released checkpoints give what the released code gives, anything else is refused."""

import argparse
import json
import os
from pathlib import Path

from niki_ros import load_solver
from niki_ros.backends import load_engine
from niki_ros.common.errors import ModelError
from niki_training.importers import cli, released_hybrik, released_niki
from niki_training.importers.checkpoint import read_checkpoint, take
import numpy as np
import pytest
import torch

SHARED = Path(os.environ.get('NIKI_SHARED', Path(__file__).parents[3].parent / 'shared'))
FIXTURES = SHARED / 'fixtures'
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason=f'no fixtures in {FIXTURES}; set NIKI_SHARED')


def filled(path: Path) -> tuple:
    """Return the description of a network and its weights, made by the description's rule."""
    facts = json.loads(path.read_text())
    rng = np.random.RandomState(facts['seed'])
    state = {}
    for entry in facts['entries']:
        shape = entry['shape']
        if entry['kind'] == 'normal':
            value = entry.get('mean', 0) + rng.standard_normal(shape) * entry['std']
        elif entry['kind'] == 'uniform':
            value = rng.uniform(entry['low'], entry['high'], shape)
        elif entry['kind'] == 'constant':
            value = np.broadcast_to(np.asarray(entry['value']), shape)
        elif 'shape' in entry['key']:
            value = np.zeros(shape)
        else:
            value = (np.arange(shape[1]) + np.arange(shape[0])[:, None]) % 2
        state[entry['key']] = torch.from_numpy(np.array(value, dtype=np.float32))
    return facts, state


def niki_state(kind: str) -> dict:
    rng = np.random.RandomState(5)
    state = {}
    for key, shape in released_niki.expected_keys(kind).items():
        value = rng.standard_normal(shape) * (0.02 if key.endswith('bias') else 0.03)
        if 'shape_mask' in key:
            value = np.zeros(shape)
        elif 'mask' in key:
            value = (np.arange(shape[1]) + np.arange(shape[0])[:, None]) % 2
        state[key] = torch.from_numpy(np.asarray(value, np.float32))
    return state


@needs_fixtures
@pytest.mark.parametrize('kind', ['one_stage', 'twist_swing'])
def test_niki_gives_what_the_release_gives(kind):
    _, state = filled(FIXTURES / 'official_niki' / f'{kind}.json')
    wanted = np.load(FIXTURES / 'official_niki' / f'{kind}.npz')
    net = released_niki.ReleasedNiki(take(state, released_niki.expected_keys(kind)), kind)
    with torch.no_grad():
        found = net(*(torch.from_numpy(wanted[name]) for name in net.input_names))
    for name, value in zip(net.output_names, found):
        np.testing.assert_allclose(value.numpy(), wanted[name], atol=1e-5, err_msg=name)


@needs_fixtures
def test_hybrik_gives_what_the_release_gives():
    facts, state = filled(FIXTURES / 'hybrik' / 'hrnet_w48.json')
    wanted = np.load(FIXTURES / 'hybrik' / 'hrnet_w48.npz')
    net = released_hybrik.build(take(state, released_hybrik.expected_keys()))
    image = np.random.RandomState(facts['seed'] + 1).standard_normal((2, 3, 256, 256))
    with torch.no_grad():
        found = dict(zip(released_hybrik.OUTPUT_NAMES, net(torch.from_numpy(image).float())))
    for name in ('uvd', 'max_probability', 'sigma', 'betas', 'camera_scale',
                 'twist_cos_sin_unnormalised'):
        np.testing.assert_allclose(found[name].numpy(), wanted[name], atol=2e-5, err_msg=name)
    np.testing.assert_allclose(np.linalg.norm(found['twist_cos_sin'], axis=-1), 1, atol=1e-5)


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
    """Return a checkpoint, and the folder that the command makes of it; one export for all."""
    folder = tmp_path_factory.mktemp('imported')
    state = niki_state('one_stage')
    torch.save({'state_dict': {f'module.{key}': value for key, value in state.items()}},
               folder / 'niki.pth')
    assert cli.main(['niki', '--kind', 'one_stage', str(folder / 'niki.pth'),
                     '--out', str(folder / 'model')]) == 0
    return state, folder / 'model'


def observed(count: int) -> tuple:
    """Return root-aligned joints and sigma of ``count`` people, float32."""
    rng = np.random.RandomState(count)
    joints = 0.4 * rng.standard_normal((count, 29, 3)).astype(np.float32)
    return joints - joints[:, :1], rng.uniform(size=(count, 29)).astype(np.float32)


@pytest.mark.parametrize('count', [1, 7])
def test_the_graph_gives_what_torch_gives_and_names_nothing_of_a_machine(imported, count):
    state, folder = imported
    graph = (folder / 'model.onnx').read_bytes()
    assert b'niki_training' not in graph and b'site-packages' not in graph
    net = released_niki.ReleasedNiki(state, 'one_stage')
    joints, sigma = observed(count)
    found = load_engine(folder).run({'joints': joints, 'sigma': sigma})
    with torch.no_grad():
        wanted = net(torch.from_numpy(joints), torch.from_numpy(sigma))
    for name, value in zip(net.output_names, wanted):
        np.testing.assert_allclose(found[name], value.numpy(), atol=1e-4, err_msg=name)


def test_an_imported_model_is_a_solver(imported):
    state, folder = imported
    solver = load_solver(str(folder))
    joints, sigma = observed(8)
    found = solver.solve(joints + [0.1, 0.2, 3.0], sigma)
    with torch.no_grad():
        rotmat, _, error_z = released_niki.ReleasedNiki(state, 'one_stage')(
            torch.from_numpy(joints), torch.from_numpy(sigma))
    np.testing.assert_allclose(found.rotmat, rotmat.numpy(), atol=1e-4)
    np.testing.assert_allclose(found.error_z, error_z.numpy(), atol=1e-4)
    assert found.joints_m.shape == (8, 29, 3) and found.confidence.shape == (8, 24)
    one = solver.start_track().step(joints[0], sigma[0], 0)
    np.testing.assert_allclose(one.rotmat, found.rotmat[0], atol=1e-4)
    assert solver.describe()['backend'] == 'onnxruntime'
    # random weights answer far from what was seen: the refinement moves them, a little
    refined = load_solver(str(folder), refine=True).solve(joints, sigma)
    apart = np.linalg.norm(refined.joints_m - solver.solve(joints, sigma).joints_m, axis=-1)
    assert 1e-6 < apart.max() < 0.5
    np.testing.assert_allclose(
        refined.rotmat @ refined.rotmat.swapaxes(-1, -2), np.tile(np.eye(3), (8, 24, 1, 1)),
        atol=1e-5)


@pytest.mark.long
@needs_fixtures
@pytest.mark.parametrize('kind', ['twist_swing', 'hybrik'])
def test_the_whole_way_to_a_model_folder(tmp_path, kind):
    name = 'hybrik/hrnet_w48' if kind == 'hybrik' else f'official_niki/{kind}'
    facts, state = filled(FIXTURES / f'{name}.json')
    wanted = np.load(FIXTURES / f'{name}.npz')
    torch.save(state, tmp_path / 'file.pth')
    words = ['hybrik'] if kind == 'hybrik' else ['niki', '--kind', kind]
    assert cli.main([*words, str(tmp_path / 'file.pth'), '--out', str(tmp_path / 'm')]) == 0
    engine = load_engine(tmp_path / 'm')
    image = np.random.RandomState(facts['seed'] + 1).standard_normal((2, 3, 256, 256))
    found = engine.run({spec.name: image.astype(np.float32) if spec.name == 'image'
                        else wanted[spec.name] for spec in engine.inputs})
    compared = [name for name in found if name in wanted]
    assert len(compared) >= 5
    for name in compared:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-4, err_msg=name)


def test_a_checkpoint_that_does_not_fit_is_refused_with_the_list(tmp_path, refused):
    state = niki_state('one_stage')
    state['regressor.more.weight'] = torch.zeros(3)
    del state['regressor.flow.s.3.0.bias']
    state['regressor.flow.t.1.2.weight'] = torch.zeros(512, 511)
    torch.save(state, tmp_path / 'niki.pth')
    refused(cli.main, ['niki', '--kind', 'one_stage', tmp_path / 'niki.pth',
                       '--out', tmp_path / 'model'],
            '1 keys missing, 1 unknown, 1 of another shape',
            'missing regressor.flow.s.3.0.bias (512,)', 'unknown regressor.more.weight (3,)',
            'regressor.flow.t.1.2.weight is (512, 511), expected (512, 512)', at_most=4)
    assert not (tmp_path / 'model').exists()


def test_a_checkpoint_of_another_model_is_refused():
    with pytest.raises(ModelError, match='does not fit'):
        take(niki_state('one_stage'), released_niki.expected_keys('twist_swing'))
    with pytest.raises(ModelError, match='keys missing'):
        take(niki_state('one_stage'), released_hybrik.expected_keys())


def test_masks_and_values_are_checked():
    state = niki_state('one_stage')
    state['regressor.flow.mask'] = torch.ones(16, 176)
    with pytest.raises(ModelError, match='regressor.flow.mask'):
        released_niki.ReleasedNiki(state, 'one_stage')
    state = niki_state('one_stage')
    state['regressor.flow.s.0.0.bias'][3] = float('nan')
    with pytest.raises(ModelError, match='not finite'):
        take(state, released_niki.expected_keys('one_stage'))


def test_a_shape_that_is_not_masked_away_is_used():
    state = niki_state('twist_swing')
    state['regressor.flow_j2s.shape_masks'] = torch.ones(16)
    net = released_niki.ReleasedNiki(state, 'twist_swing')
    assert net.input_names[-1] == 'betas'
    inputs = [torch.zeros(1, 29, 3), torch.zeros(1, 29), torch.zeros(1, 23, 2)]
    with torch.no_grad():
        a = net(*inputs, torch.zeros(1, 10))[1]
        b = net(*inputs, torch.ones(1, 10))[1]
    assert (a - b).abs().max() > 1e-4


def wrapped(state) -> dict:
    """Return the forms in which training code saves weights, by name."""
    def prefixed(prefix):
        return {f'{prefix}{key}': value for key, value in state.items()}

    parameters = {key: torch.nn.Parameter(value) for key, value in state.items()}
    optimiser = {'state': {0: {'step': torch.tensor(3.0)}}, 'param_groups': [{'lr': 1e-4}]}
    return {
        'parameters': parameters, 'module twice': prefixed('module.module.'),
        'compiled': {'model': prefixed('_orig_mod.module.'), 'optimizer': optimiser},
        'lightning': {'state_dict': prefixed('model.'), 'hyper_parameters': {}},
        'net': {'epoch': 3, 'net': state}, 'two wrappers': {'model': {'state_dict': state}},
        'numbers of numpy': {'model': state, 'best': np.float64(41.8), 'epoch': np.int64(3),
                             'history': np.arange(3.0), 'name': np.str_('a')},
        'options': {'state_dict': state, 'args': argparse.Namespace(lr=1e-4, name='a')}}


@pytest.mark.parametrize('zipped', [True, False])
@pytest.mark.parametrize('form', sorted(wrapped({})))
def test_weights_are_found_among_what_training_code_saves(tmp_path, form, zipped):
    state = {'regressor.a': torch.arange(3.0), 'regressor.b': torch.tensor(2)}
    torch.save(wrapped({k: v.float() for k, v in state.items()})[form], tmp_path / 'a.pth.tar',
               _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / 'a.pth.tar')
    assert list(found) == list(state)
    assert all(found[key].numpy().tolist() == value.tolist() for key, value in state.items())


def test_safetensors_with_the_prefix_of_data_parallel(tmp_path):
    saver = pytest.importorskip('safetensors.torch', reason='safetensors is not installed')
    saver.save_file({'module.a': torch.ones(2)}, tmp_path / 'a.safetensors')
    assert list(read_checkpoint(tmp_path / 'a.safetensors')) == ['a']


@pytest.mark.parametrize('content', [b'', b'hello', b'PK\x03\x04' + b'\x00' * 50])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / 'a.pth').write_bytes(content)
    with pytest.raises(ModelError, match='a.pth'):
        read_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(ModelError, match='no file'):
        read_checkpoint(tmp_path / 'absent.pth')


@pytest.mark.parametrize('content', [{}, [1, 2], {'a': 3}, {'state_dict': {'a': 'text'}}, 7])
def test_a_checkpoint_without_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(ModelError):
        read_checkpoint(tmp_path / 'a.pth')
