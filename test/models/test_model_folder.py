"""Model folders: graphs, deltas, manifests, and the models that settings need."""

import json

from engine_graphs import mlp_folder, mlp_graph
from niki_ros.common.errors import InputError, ModelError, OutputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.graph import sha256, UNKNOWN
from niki_ros.models.graph_delta import apply_delta
from niki_ros.models.model_folder import (
    load_graph,
    MAX_MANIFEST_BYTES,
    read_model_folder,
    write_manifest,
    write_model_folder,
)
from niki_ros.models.model_store import find_model, graphs_of, shipped_folders
import numpy as np
import pytest
from scenes import full_disk


def write_delta(file, parts, literal=b''):
    """Write a delta of (operation, first byte, size)."""
    np.savez(file, parts=np.array(parts), literal=np.frombuffer(literal, np.uint8))
    return file.read_bytes()


def folder_with_fp16(path):
    """Return a folder whose FP16 graph is a delta, here the main graph and one byte."""
    folder = mlp_folder(path)
    graph = mlp_graph()
    write_delta(path / 'fp16.npz', [(0, 0, len(graph)), (3, 0, 1)], b'+')
    facts = {'delta': {'file': 'fp16.npz'}, 'sha256': sha256(graph + b'+'), 'weight_bytes': 5,
             'layers_by_precision': {'fp16': 2}}
    return write_manifest(path, {**folder.manifest, 'graphs': {'fp16': facts}})


def damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_a_delta_copies_rounds_and_widens_weights(tmp_path):
    values = np.array([1.5, 0.1, 70.0], np.float32)
    half = values.astype(np.float16)
    base = b'head' + values.tobytes() + half.tobytes()
    delta = write_delta(tmp_path / 'a.npz', [(3, 0, 3), (1, 4, 12), (0, 0, 4), (2, 16, 6)], b'new')
    assert apply_delta(base, delta) == (b'new' + half.tobytes() + b'head'
                                        + half.astype(np.float32).tobytes())
    for broken in (b'', b'hello', delta[:-9], write_delta(tmp_path / 'b.npz', [(1, 0, 3)])):
        with pytest.raises(ModelError, match='delta'):
            apply_delta(base, broken)


def test_each_graph_comes_with_the_facts_of_the_manifest(tmp_path):
    folder = folder_with_fp16(tmp_path / 'm')
    assert folder.precisions == ('fp32', 'fp16') and len(folder.digests) == 2
    main, half = folder.load_graph(), folder.load_graph('fp16')
    assert main.data == mlp_graph() and main.precision == 'fp32' and main.weight_bytes is None
    assert half.data == mlp_graph() + b'+' and half.precision == 'fp16'
    assert half.weight_bytes == 5 and half.layers_by_precision == {'fp16': 2}
    assert folder.digests == {main.sha256, half.sha256}
    damage(folder.path / 'model.onnx')
    for precision in (None, 'fp16'):
        with pytest.raises(ModelError, match='model.onnx has sha256'):
            folder.load_graph(precision)


def test_a_finished_fp16_graph_is_a_file_of_its_own(tmp_path):
    folder = mlp_folder(tmp_path / 'm')
    with pytest.raises(ModelError, match='niki-export cast'):
        folder.load_graph('fp16')
    (folder.path / 'model.fp16.onnx').write_bytes(b'half')
    graphs = {'fp16': {'file': 'model.fp16.onnx', 'sha256': sha256(b'half')}}
    folder = write_manifest(folder.path, {**folder.manifest, 'graphs': graphs})
    assert folder.load_graph('fp16').data == b'half'


def test_a_graph_can_share_the_weights_of_another_folder(tmp_path):
    whole, graph = mlp_folder(tmp_path / 'whole'), mlp_graph()
    part = mlp_folder(tmp_path / 'part', seed=1)
    (part.path / 'model.onnx').unlink()
    write_delta(part.path / 'd.npz', [(0, 8, len(graph) - 8)])
    part = write_manifest(part.path, {**part.manifest, 'sha256': sha256(graph[8:]),
                                      'delta': {'file': 'd.npz', 'base': 'whole'}})
    assert part.load_graph().data == graph[8:]
    damage(whole.path / 'model.onnx')
    with pytest.raises(ModelError, match='whole.*sha256'):
        part.load_graph()
    (part.path / 'd.npz').unlink()
    with pytest.raises(ModelError, match='d.npz is missing|whole.*sha256'):
        part.load_graph()


def test_a_shipped_folder_that_was_copied_finds_its_base(tmp_path):
    shipped = find_model('niki')
    for file in shipped.path.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert read_model_folder(tmp_path).load_graph().sha256 == shipped.manifest['sha256']


@pytest.mark.parametrize('change, says', [
    ({'sha256': 'abc'}, 'hexadecimal'), ({'name': None}, 'lacks name'),
    ({'sha256': None}, 'sha256'), ({'sha256': '0' * 64}, '0000'),
    ({'graphs': {'fp16': {'file': '../x.onnx', 'sha256': '0' * 64}}}, '../x.onnx'),
    ({'graphs': {'fp16': {'file': '/etc/passwd', 'sha256': '0' * 64}}}, '/etc/passwd'),
    ({'graphs': {'fp16': {'file': 'a/b.onnx', 'sha256': '0' * 64}}}, 'a/b.onnx'),
    ({'graphs': {'fp16': {'file': 'b.onnx'}}}, 'hexadecimal'),
    ({'graphs': {'fp16': {'sha256': '0' * 64}}}, 'a graph is in'),
    ({'graphs': [1]}, 'graphs'), ({'precision': 16}, 'precision'),
    ({'delta': {'file': '../d.npz'}}, '../d.npz'), ({'delta': [1]}, 'delta'),
    ({'delta': {'file': 'd.npz', 'base': '../whole'}}, '../whole'),
    ({'delta': {'file': 'd.npz', 'base': 'absent'}}, 'no such directory'),
    ({'part_of': {'folder': 'whole'}}, 'niki-export CHECKPOINT'),
])
def test_a_manifest_that_is_wrong_is_refused(tmp_path, change, says):
    folder = mlp_folder(tmp_path / 'm')
    (folder.path / 'manifest.json').write_text(json.dumps({**folder.manifest, **change}))
    with pytest.raises(ModelError, match=says):
        load_graph(folder.path)


@pytest.mark.parametrize('text', ['', '[1]', '{', '[' * 100000, '{"name": "x"}', '\x00'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path, text):
    folder = mlp_folder(tmp_path / 'm')
    (folder.path / 'manifest.json').write_text(text)
    with pytest.raises(ModelError, match='manifest.json'):
        read_model_folder(folder.path)


def test_huge_and_absent_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match='absent'):
        read_model_folder(tmp_path / 'absent')
    folder = mlp_folder(tmp_path / 'm')
    with (folder.path / 'manifest.json').open('wb') as file:
        file.truncate(MAX_MANIFEST_BYTES + 1)
    with pytest.raises(ModelError, match=str(MAX_MANIFEST_BYTES)):
        read_model_folder(folder.path)
    folder = mlp_folder(tmp_path / 'n')
    with (folder.path / 'model.onnx').open('wb') as file:
        file.truncate(3 << 30)
    with pytest.raises(ModelError, match=str(3 << 30)):
        folder.load_graph()
    (folder.path / 'model.onnx').unlink()
    with pytest.raises(ModelError, match='model.onnx is missing'):
        folder.load_graph()


def test_a_graph_without_a_manifest_has_no_precision_to_choose(tmp_path):
    (tmp_path / 'm.onnx').write_bytes(mlp_graph())
    for model in (tmp_path / 'm.onnx', mlp_graph()):
        graph = load_graph(model)
        assert graph.data == mlp_graph() and graph.precision == UNKNOWN
        with pytest.raises(ModelError, match='fp32'):
            load_graph(model, 'fp32')


def test_a_model_of_another_kind_is_refused():
    folder = find_model('landmarks-lite')
    folder.check_kind('landmarks', 'niki-import blazepose')
    with pytest.raises(ModelError, match="'landmarks'.*hybrik.*niki-import hybrik"):
        folder.check_kind('hybrik', 'niki-import hybrik')


def test_a_model_is_found_by_name_or_path(tmp_path):
    folder = mlp_folder(tmp_path / 'm')
    assert find_model(str(folder.path)).path == folder.path
    shipped = shipped_folders()
    assert shipped and all(find_model(f.name).path == f.path for f in shipped)
    for name in ('', 'no-such-model', str(tmp_path / 'absent')):
        with pytest.raises(ModelError, match=f'{name!r}.*niki-temporal'):
            find_model(name)


@pytest.mark.parametrize('settings, wanted', [
    ({}, ['detector people', 'landmarks landmarks-full', 'lifter lift', 'solver niki-temporal']),
    ({'observer.model': 'lite', 'observer.detector': '', 'lifter.name': '',
      'solver.name': 'analytic'},
     ['landmarks landmarks-lite']),
    ({'observer.model': 'auto', 'solver.name': 'niki'},
     ['detector people', *(f'landmarks landmarks-{n}' for n in ('lite', 'full', 'heavy')),
      'lifter lift', 'solver niki']),
    ({'observer.name': 'hybrik', 'observer.path': 'PATH'},
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
    with pytest.raises(ModelError, match="''"):
        graphs_of(config)


@pytest.mark.parametrize('name', ['model.onnx', 'manifest.json'])
def test_files_of_something_else_are_not_replaced(tmp_path, name):
    (tmp_path / name).write_text('{"name": "mine"}')
    with pytest.raises(InputError, match=f'{name}.*choose another folder'):
        mlp_folder(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"name": "mine"}'
    before = mlp_folder(tmp_path / 'new')
    assert mlp_folder(tmp_path / 'new').manifest == before.manifest


def test_a_model_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(InputError, match='file'):
        mlp_folder(tmp_path / 'file')
    with pytest.raises(OutputError, match='new'), full_disk(100):
        write_model_folder(tmp_path / 'new', mlp_graph(), {'name': 'a', 'kind': 'niki'})
    assert not list((tmp_path / 'new').iterdir())
