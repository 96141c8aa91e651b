"""FP16 graphs: the cast, the search for its FP32 islands, the delta, and the command."""

import json

from engine_graphs import fp16_storage_graph, mlp_folder, mlp_graph, mlp_inputs
from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import check_samples
from niki_ros.benchmarks.engine_error import compare, limits_of, model_outputs, over_limits
from niki_ros.cli.main import main
from niki_ros.common.errors import ModelError
from niki_ros.models.graph_delta import apply_delta
from niki_ros.models.model_store import find_model, shipped_folders
from niki_training.cli import export as export_cli
from niki_training.export.fp16_folder import store_fp16_graph
from niki_training.export.fp16_graph import cast_graph, emulated_graph
from niki_training.export.fp16_search import find_fp16_graph, units_of
from niki_training.export.graph_delta import make_delta
from niki_training.export.graph_facts import (
    layers_by_precision,
    precision_of,
    weight_bytes,
    weight_counts,
)
from niki_training.export.weight_storage import with_fp32_storage
import numpy as np
import onnx
from onnx import helper, numpy_helper
import pytest

BOTH = pytest.mark.parametrize('graph', [mlp_graph, fp16_storage_graph])
FIRST_COUNT, SECOND_COUNT = 116 * 64 + 64, 64 * 176 + 176


def scaled_error(graph, scale=1.0):
    """Return a function that measures the largest difference of a cast graph to the original."""
    inputs = mlp_inputs(64)
    wanted = load_engine(graph).run(inputs)

    def error_of(other):
        found = load_engine(other).run(inputs)
        return scale * max(np.abs(found[name] - wanted[name]).max() for name in wanted)
    return error_of


def test_facts_count_what_is_computed_with():
    """Weights that are only stored in FP16 count as FP32, unless a node reads them as they are."""
    for graph in (mlp_graph(), fp16_storage_graph()):
        assert weight_counts(graph) == {'fp32': FIRST_COUNT + SECOND_COUNT}
        assert weight_bytes(graph) == 4 * (FIRST_COUNT + SECOND_COUNT)
        assert precision_of(graph) == 'fp32' and layers_by_precision(graph) == {'fp32': 2}
    model = onnx.load_from_string(fp16_storage_graph())
    model.graph.node.append(helper.make_node('Relu', ['w2__half'], ['read']))
    assert weight_counts(model.SerializeToString()) == {
        'fp32': FIRST_COUNT + 176, 'fp16': 64 * 176}


@BOTH
def test_a_cast_graph_has_fp16_weights_but_for_its_islands(graph):
    half = cast_graph(graph())
    casts = [n.input[0] for n in onnx.load_from_string(half).graph.node if n.op_type == 'Cast']
    assert not any(t.name in casts for t in onnx.load_from_string(half).graph.initializer)
    assert weight_counts(half) == {'fp16': FIRST_COUNT + SECOND_COUNT}
    assert layers_by_precision(half) == {'fp16': 2}
    islands = cast_graph(graph(), ['h'])
    assert weight_counts(islands) == {'fp16': SECOND_COUNT, 'fp32': FIRST_COUNT}
    assert layers_by_precision(islands) == {'fp32': 1, 'fp16': 1}


@BOTH
def test_a_graph_is_rebuilt_from_a_small_delta(graph):
    half = cast_graph(graph(), ['h'])
    delta = make_delta(graph(), half)
    assert len(delta) < 0.1 * len(half) and apply_delta(graph(), delta) == half


def test_the_fp16_graph_of_a_folder_comes_with_its_facts(tmp_path):
    folder = store_fp16_graph(mlp_folder(tmp_path / 'n'), cast_graph(mlp_graph()), {'a': 1})
    half = folder.load_graph('fp16')
    assert half.data == cast_graph(mlp_graph()) and half.layers_by_precision == {'fp16': 2}
    assert half.weight_bytes == 2 * (FIRST_COUNT + SECOND_COUNT)
    assert load_engine(folder.path, precision='fp16').describe()['precision'] == 'fp16'
    assert folder.manifest['graphs']['fp16']['a'] == 1


def test_the_fp16_graphs_that_ship_are_casts_of_their_main_graphs():
    for folder in shipped_folders():
        facts = folder.manifest['graphs']['fp16']
        half = folder.load_graph('fp16')
        again = onnx.load_from_string(cast_graph(folder.load_graph().data, facts['fp32_islands']))
        assert onnx.load_from_string(half.data) == again
        assert precision_of(half.data) == 'fp16' and weight_bytes(half.data) == half.weight_bytes
        assert layers_by_precision(half.data) == half.layers_by_precision


def test_weights_stored_in_fp16_become_fp32_weights():
    plain, stored = (onnx.load_from_string(with_fp32_storage(g))
                     for g in (mlp_graph(), fp16_storage_graph()))
    names = [sorted(t.name for t in model.graph.initializer) for model in (plain, stored)]
    assert names[0] == names[1] and len(plain.graph.node) == len(stored.graph.node)
    inputs = mlp_inputs()
    np.testing.assert_array_equal(load_engine(stored.SerializeToString()).run(inputs)['rot6d'],
                                  load_engine(fp16_storage_graph()).run(inputs)['rot6d'])


def test_an_fp16_graph_is_half_as_large_and_close():
    graph = mlp_graph(width=512)
    half, error, islands = find_fp16_graph(graph, scaled_error(graph), 0.01)
    assert 0 < error <= 0.01 and islands == []
    assert len(half) < 0.55 * len(graph)
    engine = load_engine(half)
    assert {spec.dtype for spec in (*engine.inputs, *engine.outputs)} == {'float32'}
    assert scaled_error(graph)(half) == pytest.approx(error, rel=0.5)


def test_islands_are_the_units_that_reduce_the_error_most():
    # a large sum: FP16 near 1000 has steps of 0.5, which does not affect the matrix product
    rng = np.random.RandomState(0)
    weights = {'w': rng.standard_normal((64, 64)).astype(np.float32) / 8,
               'large': np.float32([1000])}
    nodes = [helper.make_node('MatMul', ['x', 'w'], ['a']), helper.make_node('Tanh', ['a'], ['b']),
             helper.make_node('Add', ['b', 'large'], ['c']),
             helper.make_node('Sub', ['c', 'large'], ['y'])]
    graph = helper.make_model(helper.make_graph(
        nodes, 'sum', *([helper.make_tensor_value_info(name, 1, ['n', 64])] for name in 'xy'),
        [numpy_helper.from_array(v, k) for k, v in weights.items()]),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=9).SerializeToString()
    x = rng.standard_normal((50, 64)).astype(np.float32)
    wanted = load_engine(graph).run({'x': x})['y']

    def error_of(other):
        return np.abs(load_engine(other).run({'x': x})['y'] - wanted).max()

    assert error_of(emulated_graph(graph)) > 0.1
    assert {tuple(unit) for unit in units_of(graph)} == {('Add',), ('Sub',), ('Tanh',), ('a',)}
    lines = []
    half, error, islands = find_fp16_graph(graph, error_of, 0.01, lines.append)
    # a sum of FP32 values is FP32
    assert error <= 0.01 and set(islands) in ({'Add', 'Sub'}, {'Add'}, {'Sub', 'Tanh'})
    assert precision_of(half) == 'fp16' and error_of(half) <= 0.01 and len(lines) > 4
    with pytest.raises(ModelError, match='1e-09'):
        find_fp16_graph(graph, error_of, 1e-9)


def test_an_overflow_is_an_infinite_error():
    graph = mlp_graph(width=64)
    inputs = {name: 1e5 * value for name, value in mlp_inputs(2).items()}
    assert not np.isfinite(load_engine(emulated_graph(graph)).run(inputs)['rot6d']).all()
    with pytest.raises(ModelError, match='inf'):
        find_fp16_graph(graph, lambda g: float('nan'), 1.0)


def test_a_cast_with_everything_in_fp32_rounds_nothing():
    graph = mlp_graph(width=64)
    all_fp32 = cast_graph(graph, frozenset().union(*units_of(graph)))
    inputs = mlp_inputs(4)
    np.testing.assert_array_equal(load_engine(all_fp32).run(inputs)['rot6d'],
                                  load_engine(graph).run(inputs)['rot6d'])


@pytest.mark.parametrize('name', ['niki', 'niki-temporal'])
def test_a_graph_with_constants_of_shape_can_be_cast(name):
    """A ConstantOfShape without a value is an FP32 zero, whatever reads it."""
    engine = load_engine(cast_graph(find_model(name).load_graph().data))
    inputs = {spec.name: np.zeros((2, *spec.shape[1:]), np.float32) for spec in engine.inputs}
    assert all(np.isfinite(out).all() for out in engine.run(inputs).values())


@pytest.mark.parametrize('name', ['landmarks-lite', 'people'])
def test_fp16_of_the_front_end_keeps_the_limits(name):
    """Rounded as on a GPU: a CPU computes most of an FP16 graph in FP32."""
    folder = find_model(name)
    manifest, samples = folder.manifest, check_samples(folder.manifest)
    reference = load_engine(folder.path)
    rounded = emulated_graph(folder.load_graph().data, manifest['graphs']['fp16']['fp32_islands'])
    for engine in (load_engine(rounded), load_engine(folder.path, precision='fp16')):
        found = compare(reference, engine, samples, manifest)
        assert not over_limits(found, limits_of(manifest)), found
        assert all(np.isfinite(v).all() for v in model_outputs(engine, samples, manifest).values())


def test_the_command_casts_and_the_verb_check_measures(tmp_path, capsys, refused):
    inputs = mlp_inputs(50)
    np.savez(tmp_path / 'poses.npz', joints_m=0.3 * inputs['joints'], sigma=inputs['sigma'])
    folder = mlp_folder(tmp_path / 'model', width=256)
    poses = ['--poses', str(tmp_path / 'poses.npz')]
    assert export_cli.main(['cast', str(folder.path), *poses, '--limit', '20']) == 0
    assert 'p99' in capsys.readouterr().out
    before = {file: file.read_bytes() for file in folder.path.iterdir()}
    words = ['engine', 'check', str(folder.path), *poses]
    assert main([*words, '--limit', '20', '--json']) == 0
    result = json.loads(capsys.readouterr().out)
    exact, half = result['errors']['fp32'], result['errors']['fp16']
    assert exact['mm']['max'] < 1e-3 and exact['poses'] == 50
    assert 0 < half['mm']['mean'] <= half['mm']['p99'] <= half['mm']['max'] < 50
    assert half['deg']['max'] > 0 and half['ran']['precision'] == 'fp16'
    assert {file: file.read_bytes() for file in folder.path.iterdir()} == before
    assert main([*words, '--limit', '1e-4']) == 1
    refused(export_cli.main, ['cast', 'people'], 'people belongs to the package')
