"""Model folders: parts of other graphs, casts kept in the cache, what settings need."""

import json
import resource
import sys

from engine_graphs import mlp_folder, mlp_graph, mlp_inputs, stored_half_graph
from niki_ros.backends import load_engine, load_folder_engine
from niki_ros.backends.graph_file import layers_by_precision, part_of, read_weights
from niki_ros.backends.half_graph import cast_graph, widened
from niki_ros.common.errors import BackendError, InputError, ModelError, OutputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.model_folder import (
    find_model,
    graphs_of,
    read_model_folder,
    sha256,
    shipped_folders,
    write_model_folder,
)
import numpy as np
import onnx
import pytest


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of engines and casts of this test."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'niki_ros' / 'engines'


def castable(path, graph=None, islands=()):
    """Write a folder whose manifest says how its graph is cast."""
    return write_model_folder(path, graph or mlp_graph(), {
        'name': 'castable', 'kind': 'niki', 'precision': 'fp32',
        'fp16': {'fp32_islands': list(islands)}})


def partial(path, **changes):
    """Write a folder whose graph is a part of the one in ``whole``, and return its manifest."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(mlp_graph()))
    whole = write_model_folder(path / 'whole', graph.SerializeToString(),
                               {'name': 'whole', 'kind': 'niki'})
    outputs = {'hidden': 'a', 'error_z': 'error_z'}
    manifest = {'name': 'part', 'kind': 'niki',
                'sha256': sha256(part_of(whole.load_graph(), outputs)),
                'part_of': {'folder': 'whole', 'outputs': outputs}, **changes}
    (path / 'part').mkdir()
    (path / 'part' / 'manifest.json').write_text(json.dumps(manifest))


def test_a_part_of_a_graph_has_its_nodes_weights_and_inputs_only(tmp_path):
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(mlp_graph()))
    graph = graph.SerializeToString()
    part = part_of(graph, {'hidden': 'a'})
    onnx.checker.check_model(onnx.load_from_string(part), full_check=True)
    assert read_weights(part).total_bytes == 4 * (116 * 64 + 64)
    engine = load_engine(part)
    assert [spec.name for spec in engine.outputs] == ['hidden']
    flat = part_of(graph, {'flat': 'flat'})
    assert [spec.name for spec in load_engine(flat).inputs] == ['joints']
    whole = load_engine(part_of(graph, {'rot6d': 'rot6d', 'h': 'h'}))
    np.testing.assert_array_equal(whole.run(mlp_inputs())['rot6d'],
                                  load_engine(graph).run(mlp_inputs())['rot6d'])
    with pytest.raises(ModelError, match="no shape of a value 'absent'"):
        part_of(graph, {'x': 'absent'})


def test_a_folder_may_hold_a_part_of_the_graph_beside_it(tmp_path):
    partial(tmp_path)
    engine = load_engine(tmp_path / 'part')
    assert set(engine.run(mlp_inputs())) == {'hidden', 'error_z'}
    file = tmp_path / 'whole' / 'model.onnx'
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ModelError, match='whole.*sha256'):
        load_engine(tmp_path / 'part')


def test_a_model_that_is_not_what_is_needed_is_refused():
    folder = find_model('landmarks-lite')
    folder.check_kind('landmarks', 'niki-import blazepose')
    with pytest.raises(ModelError, match="kind 'landmarks'; expected hybrik, as made by me"):
        folder.check_kind('hybrik', 'me')
    load_folder_engine(folder, {'flag': (1,)}).close()
    with pytest.raises(ModelError, match=r"'flag': \(1,\).*expected {'flag': \(2,\)}"):
        load_folder_engine(folder, {'flag': (2,)})


@pytest.mark.parametrize('change, says', [
    ({'sha256': '0' * 64}, 'its manifest says 0000'),
    ({'part_of': {'folder': '../whole', 'outputs': {'a': 'a'}}}, 'plain name'),
    ({'part_of': {'folder': 'absent', 'outputs': {'a': 'a'}}}, 'no such directory'),
    ({'part_of': {'folder': 'whole', 'outputs': {'a': 'none'}}}, 'no shape of a value'),
    ({'part_of': {'folder': 'whole', 'outputs': {'a': 1}}}, 'part_of is no object'),
    ({'part_of': {'folder': 'whole'}}, 'part_of is no object'), ({'part_of': []}, 'no object'),
    ({'fp16': {'fp32_islands': [1]}}, 'fp32_islands'), ({'fp16': True}, 'fp32_islands'),
])
def test_a_manifest_that_is_wrong_is_refused(tmp_path, change, says):
    partial(tmp_path, **change)
    with pytest.raises(ModelError, match=says):
        load_engine(tmp_path / 'part')


@pytest.mark.parametrize('graph', [mlp_graph, stored_half_graph])
def test_a_folder_is_cast_when_fp16_is_asked_for(tmp_path, cache, graph):
    folder = castable(tmp_path / 'm', graph())
    before = sorted(tmp_path.rglob('m/*'))
    assert folder.precisions == ('fp32', 'fp16')
    engine = load_engine(folder.path, precision='fp16')
    assert engine.describe()['precision'] == 'fp16'
    assert sorted(tmp_path.rglob('m/*')) == before, 'nothing is written into the folder'
    half = onnx.load_from_string(folder.load_graph('fp16'))
    casts = [node.input[0] for node in half.graph.node if node.op_type == 'Cast']
    assert not any(t.name in casts for t in half.graph.initializer), 'no weight is cast'
    assert read_weights(folder.load_graph('fp16')).bytes_by_precision == {
        'fp16': 2 * (116 * 64 + 64 + 64 * 176 + 176)}
    islands = castable(tmp_path / 'n', graph(), ['h'])
    assert read_weights(islands.load_graph('fp16')).bytes_by_precision == {
        'fp16': 2 * (64 * 176 + 176), 'fp32': 4 * (116 * 64 + 64)}


def test_layers_are_counted_by_the_precision_they_compute_in():
    assert layers_by_precision(mlp_graph()) == layers_by_precision(stored_half_graph()) == {
        'fp32': 2}
    assert layers_by_precision(cast_graph(mlp_graph(), ['h'])) == {'fp32': 1, 'fp16': 1}
    assert layers_by_precision(cast_graph(stored_half_graph())) == {'fp16': 2}


def test_a_cast_is_kept_and_a_damaged_one_is_made_again(tmp_path, cache, monkeypatch):
    folder = castable(tmp_path / 'm')
    monkeypatch.setitem(sys.modules, 'onnx', None)
    with pytest.raises(BackendError, match='pip install onnx'):
        folder.load_graph('fp16')
    monkeypatch.undo()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    half = folder.load_graph('fp16')
    file, = cache.glob('*.half')
    file.write_bytes(file.read_bytes()[:-1])
    assert folder.load_graph('fp16') == half == cast_graph(folder.load_graph())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'onnx', None)
        assert folder.load_graph('fp16') == half
    monkeypatch.setenv('XDG_CACHE_HOME', '/dev/null')
    assert folder.load_graph('fp16') == half, 'a cache that cannot be written is no error'


def test_a_finished_fp16_graph_is_taken_before_a_cast(tmp_path, cache):
    folder = castable(tmp_path / 'm')
    from niki_ros.models.model_folder import add_graph
    half = cast_graph(mlp_graph(seed=1))
    folder = add_graph(folder, 'fp16', half, {})
    assert folder.load_graph('fp16') == half and folder.precisions == ('fp32', 'fp16')


def test_weights_stored_in_fp16_become_plain_ones(tmp_path):
    plain, stored = (onnx.load_from_string(widened(g)) for g in (mlp_graph(), stored_half_graph()))
    names = [sorted(t.name for t in model.graph.initializer) for model in (plain, stored)]
    assert names[0] == names[1] and len(plain.graph.node) == len(stored.graph.node)
    inputs = mlp_inputs()
    np.testing.assert_array_equal(load_engine(widened(stored_half_graph())).run(inputs)['rot6d'],
                                  load_engine(stored_half_graph()).run(inputs)['rot6d'])


def test_a_model_is_found_by_name_or_path(tmp_path):
    folder = mlp_folder(tmp_path / 'm')
    assert find_model(str(folder.path)).path == folder.path and not folder.ships
    shipped = shipped_folders()
    assert shipped and all(f.ships and find_model(f.path.name).path == f.path for f in shipped)
    assert [f.name for f in shipped] == [f.path.name for f in shipped]
    for name in ('', 'no-such-model', str(tmp_path / 'absent')):
        with pytest.raises(ModelError, match='no model.*one that ships'):
            find_model(name)


@pytest.mark.parametrize('settings, wanted', [
    ({}, ['detector people', 'landmarks landmarks-full', 'lifter lift', 'solver niki-temporal']),
    ({'observer.model': 'lite', 'observer.detector': '', 'lifter.name': '',
      'solver.name': 'analytic'},
     ['landmarks landmarks-lite']),
    ({'observer.model': 'auto', 'solver.name': 'niki'},
     ['detector people', *(f'landmarks landmarks-{n}' for n in ('lite', 'full', 'heavy')),
      'lifter lift', 'solver niki']),
    ({'observer.name': 'kinematic', 'observer.path': 'PATH'},
     ['detector people', 'landmarks stand-in', 'solver niki-temporal']),
])
def test_the_graphs_of_settings(tmp_path, settings, wanted):
    path = str(mlp_folder(tmp_path / 'm').path)
    settings = {k: path if v == 'PATH' else v for k, v in settings.items()}
    config = PipelineConfig()
    apply_settings(config, settings)
    assert [f'{role} {folder.name}' for role, folder in graphs_of(config)] == wanted


def test_settings_without_their_model_are_an_error():
    config = PipelineConfig()
    apply_settings(config, {'observer.name': 'hybrik'})
    with pytest.raises(ModelError, match="no model ''"):
        graphs_of(config)


def test_the_graphs_that_ship_are_whole():
    for folder in shipped_folders():
        assert read_weights(folder.load_graph()).precision == folder.precisions[0]
        assert read_model_folder(folder.path).manifest['kind']


@pytest.mark.parametrize('name', ['model.onnx', 'manifest.json'])
def test_files_of_something_else_are_not_replaced(tmp_path, name):
    """A graph from elsewhere, the manifest of a web page; a model folder is written anew."""
    (tmp_path / name).write_text('{"name": "mine"}')
    with pytest.raises(InputError, match='choose another folder'):
        castable(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"name": "mine"}'
    before = castable(tmp_path / 'new')
    assert castable(tmp_path / 'new').manifest == before.manifest


def test_a_model_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(InputError, match='cannot be made'):
        castable(tmp_path / 'file')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError, match='could not be written'):
            castable(tmp_path / 'new')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / 'new').iterdir())
