"""The verb ``niki engine`` and the FP16 cast behind it."""

import json

from engine_graphs import mlp_folder, mlp_graph, mlp_inputs
from niki_ros.backends import load_engine
from niki_ros.backends.half_graph import cast_graph, emulated_graph, find_half_graph, units_of
from niki_ros.benchmarks.exactness import check_poses
from niki_ros.cli.main import main
from niki_ros.common.errors import BackendError
from niki_ros.models.model_folder import find_model, read_model_folder
import numpy as np
from onnx import helper, numpy_helper
import pytest

RTX = 'tensorrt_rtx is not installed: make test-tensorrt'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a stand-in model and point the cache, and a file of poses, at the test's folder."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    inputs = mlp_inputs(50)
    np.savez(tmp_path / 'poses.npz', joints_m=0.3 * inputs['joints'], sigma=inputs['sigma'])
    return mlp_folder(tmp_path / 'model', width=256)


def niki(*words):
    """Run the command."""
    return main([str(word) for word in words])


def scaled_error(graph, scale=1.0):
    """Return a measure of a cast graph: the largest difference to the original."""
    inputs = mlp_inputs(64)
    wanted = load_engine(graph).run(inputs)

    def error_of(other):
        found = load_engine(other).run(inputs)
        return scale * max(np.abs(found[name] - wanted[name]).max() for name in wanted)
    return error_of


def test_an_fp16_graph_is_half_as_large_and_close():
    graph = mlp_graph(width=512)
    half, error, islands = find_half_graph(graph, scaled_error(graph), 0.01)
    assert 0 < error <= 0.01 and islands == []
    assert len(half) < 0.55 * len(graph)
    engine = load_engine(half)
    assert engine.describe()['precision'] == 'fp16'
    assert {spec.dtype for spec in (*engine.inputs, *engine.outputs)} == {'float32'}
    assert scaled_error(graph)(half) == pytest.approx(error, rel=0.5)


def test_islands_are_chosen_by_what_they_gain():
    # a large sum on the way: fp16 near 1000 has steps of 0.5, the matrix product does not mind
    value = helper.make_tensor_value_info
    rng = np.random.RandomState(0)
    weights = {'w': rng.standard_normal((64, 64)).astype(np.float32) / 8,
               'large': np.float32([1000])}
    nodes = [helper.make_node('MatMul', ['x', 'w'], ['a']), helper.make_node('Tanh', ['a'], ['b']),
             helper.make_node('Add', ['b', 'large'], ['c']),
             helper.make_node('Sub', ['c', 'large'], ['y'])]
    graph = helper.make_model(helper.make_graph(
        nodes, 'sum', [value('x', 1, ['n', 64])], [value('y', 1, ['n', 64])],
        [numpy_helper.from_array(v, k) for k, v in weights.items()]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9).SerializeToString()
    x = rng.standard_normal((50, 64)).astype(np.float32)
    wanted = load_engine(graph).run({'x': x})['y']

    def error_of(other):
        return np.abs(load_engine(other).run({'x': x})['y'] - wanted).max()

    assert error_of(emulated_graph(graph)) > 0.1
    assert {tuple(unit) for unit in units_of(graph)} == {('Add',), ('Sub',), ('Tanh',), ('a',)}
    lines = []
    half, error, islands = find_half_graph(graph, error_of, 0.01, lines.append)
    # a sum of FP32 values is FP32
    assert error <= 0.01 and set(islands) in ({'Add', 'Sub'}, {'Add'}, {'Sub', 'Tanh'})
    assert load_engine(half).describe()['precision'] == 'fp16' and error_of(half) <= 0.01
    assert 'everything in fp16' in lines[0] and any('alone in fp16' in line for line in lines)
    with pytest.raises(BackendError, match='no graph with most of its weights in fp16'):
        find_half_graph(graph, error_of, 1e-9)


def test_an_overflow_is_no_small_error():
    graph = mlp_graph(width=64)
    loud = lambda inputs: {k: v * 1e5 for k, v in inputs.items()}  # noqa: E731
    inputs = loud(mlp_inputs(2))
    assert not np.isfinite(load_engine(emulated_graph(graph)).run(inputs)['rot6d']).all()
    with pytest.raises(BackendError, match='all in fp16: inf'):
        find_half_graph(graph, lambda g: float('nan'), 1.0)


def test_the_cast_of_an_operator_wanted_in_fp32_has_no_rounding():
    graph = mlp_graph(width=64)
    all_fp32 = cast_graph(graph, frozenset().union(*units_of(graph)))
    inputs = mlp_inputs(4)
    np.testing.assert_array_equal(load_engine(all_fp32).run(inputs)['rot6d'],
                                  load_engine(graph).run(inputs)['rot6d'])


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_build_list_check_clear(folder, tmp_path, capsys, precision):
    pytest.importorskip('tensorrt_rtx', reason=RTX)
    poses = tmp_path / 'poses.npz'
    if precision == 'fp16':
        assert niki('engine', 'build', folder.path, '--precision', precision, '--target',
                    'sm86') == 1
        assert f'niki engine cast {folder.path} makes one' in capsys.readouterr().err
        assert niki('engine', 'cast', folder.path, '--poses', poses, '--limit', 5) == 0
        capsys.readouterr()
    assert niki('engine', 'build', folder.path, '--precision', precision, '--target',
                'sm86,sm89', '--max-batch', 4) == 0
    out, err = capsys.readouterr()
    assert out.count('.engine: tensorrt_rtx') == 2 and precision in out
    assert f'1/1 model stand-in, {precision}' in err
    assert niki('engine', 'list', '--json') == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row['key']['compute_capability'] for row in rows} == {'sm86', 'sm89'}
    assert {row['key']['precision'] for row in rows} == {precision}
    assert all(row['layers_by_precision'] == {precision: 2} for row in rows)
    assert all(row['fp16_weights_found'] == {'fp16': 2 * (precision == 'fp16'), 'fp32': 0}
               for row in rows)
    file = rows[0]['file']
    data = bytearray(open(file, 'rb').read())
    data[len(data) // 2] ^= 1
    open(file, 'wb').write(data)
    assert niki('engine', 'list') == 1
    assert 'was changed since it was built' in capsys.readouterr().out
    assert niki('engine', 'check', folder.path, '--poses', poses, '--limit', 5) == 1
    assert 'was changed since it was built' in capsys.readouterr().err
    again = ('engine', 'build', folder.path, '--precision', precision, '--target', 'sm86,sm89',
             '--max-batch', 4)
    assert niki(*again, '--on-mismatch', 'refuse') == 1
    assert 'was changed since it was built' in capsys.readouterr().err
    assert niki(*again) == 0 and niki('engine', 'list') == 0
    assert niki('engine', 'clear', folder.path) == 0
    assert '2 engines deleted' in capsys.readouterr().out


def test_check_measures_both_graphs_and_writes_nothing(folder, tmp_path, capsys):
    poses = ('--poses', tmp_path / 'poses.npz')
    assert niki('engine', 'cast', folder.path, *poses, '--limit', 20) == 0
    assert 'model.fp16.onnx: p99' in capsys.readouterr().out
    words = ('engine', 'check', folder.path, *poses)
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    assert niki(*words, '--limit', 20, '--json') == 0
    result = json.loads(capsys.readouterr().out)
    exact, half = result['errors']['fp32'], result['errors']['fp16']
    assert exact['mm']['max'] < 1e-3 and exact['poses'] == 50
    assert 0 < half['mm']['mean'] <= half['mm']['p99'] <= half['mm']['max'] < 50
    assert half['deg']['max'] > 0 and half['ran']['precision'] == 'fp16'
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before
    assert read_model_folder(folder.path).manifest['graphs']['fp16']['error']['poses'] == 50
    assert niki(*words, '--limit', 1e-4) == 1
    assert 'over the limit' in capsys.readouterr().out


@pytest.mark.parametrize('words, says', [
    (['check', 'MODEL', '--backend', 'tensorrt'], 'NVIDIA driver'),
    (['build', 'MODEL'], 'build ahead of time: --target (sm75'),
    (['build', 'MODEL', '--target', 'sm61'], 'builds ahead of time for sm75'),
])
def test_what_needs_a_gpu_says_so(folder, tmp_path, capsys, monkeypatch, words, says):
    pytest.importorskip('tensorrt_rtx', reason=RTX)
    from niki_ros.backends import cuda_driver
    monkeypatch.setattr(cuda_driver, '_LIBRARIES', ('libno-such-cuda.so',))
    words = [str(folder.path) if word == 'MODEL' else word for word in words]
    extra = ['--poses', tmp_path / 'poses.npz'] if words[0] == 'check' else []
    assert niki('engine', *words, *extra) == 1
    assert says in capsys.readouterr().err


def test_the_poses_that_ship_are_a_thousand_real_ones():
    poses = check_poses()
    assert poses['joints_m'].shape == (1000, 29, 3) and poses['sigma'].shape == (1000, 29)
    assert (poses['sigma'] >= 0).all() and (poses['sigma'] <= 1).all()
    reach = np.linalg.norm(poses['joints_m'], axis=-1).max(axis=-1)
    assert (reach > 0.4).all() and (reach < 1.6).all()
    assert len(np.unique(poses['joints_m'].reshape(1000, -1), axis=0)) > 990


def test_a_model_that_is_not_there_is_named(capsys):
    assert niki('engine', 'build', 'no-such-model', '--target', 'sm89') == 1
    err = capsys.readouterr().err
    assert 'no-such-model' in err or 'pip install' in err


@pytest.mark.parametrize('name', ['niki', 'niki-temporal'])
def test_the_graphs_that_ship_can_be_cast(name, tmp_path):
    """A ConstantOfShape without a value is an FP32 zero, whatever stands around it."""
    ort = pytest.importorskip('onnxruntime')
    half = cast_graph(find_model(name).load_graph())
    session = ort.InferenceSession(half, providers=['CPUExecutionProvider'])
    inputs = {i.name: np.zeros([d if isinstance(d, int) else 2 for d in i.shape], np.float32)
              for i in session.get_inputs()}
    assert all(np.isfinite(out).all() for out in session.run(None, inputs))
