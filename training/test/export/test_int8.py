"""INT8 graphs of detectors, for CPUs: made by ``niki-export quantize``, stored as deltas."""

import shutil

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import check_samples
from niki_ros.benchmarks.engine_error import compare, limits_of, over_limits
from niki_ros.common.errors import ModelError
from niki_ros.models.graph_delta import apply_delta
from niki_ros.models.model_folder import read_model_folder
from niki_ros.models.model_store import find_model
from niki_training.cli.export import main
from niki_training.export.graph_delta import make_delta
from niki_training.export.int8_folder import DELTA, int8_graph, last_convolutions
from niki_training.export.weight_storage import with_fp16_storage
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest

CHANNELS = 16


def convolutions() -> bytes:
    """Return two convolutions, the second of which is next to the output."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.normal(0, 0.1, shape).astype(np.float32), name)
               for name, shape in (('a', (CHANNELS, 3, 3, 3)), ('b', (4, CHANNELS, 1, 1)))]
    nodes = [helper.make_node('Conv', ['image', 'a'], ['x'], 'first', pads=[1, 1, 1, 1]),
             helper.make_node('Relu', ['x'], ['y'], 'relu'),
             helper.make_node('Conv', ['y', 'b'], ['scores'], 'last')]
    graph = helper.make_graph(
        nodes, 'g', [helper.make_tensor_value_info('image', TensorProto.FLOAT, ['N', 3, 8, 8])],
        [helper.make_tensor_value_info('scores', TensorProto.FLOAT, ['N', 4, 8, 8])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    return with_fp16_storage(model.SerializeToString())


def test_convolutions_are_quantized_but_the_last_one():
    images = np.random.default_rng(1).uniform(0, 1, (6, 3, 8, 8)).astype(np.float32)
    graph = convolutions()
    quantized = int8_graph(graph, images)
    model = onnx.load_model_from_string(quantized).graph
    stored = {tensor.name: tensor.data_type for tensor in model.initializer}
    assert stored['a_quantized'] == TensorProto.INT8 and 'b_quantized' not in stored
    assert last_convolutions(model) == ['last']
    before, after = (load_engine(one).run({'image': images})['scores']
                     for one in (graph, quantized))
    assert 0 < np.abs(after - before).max() < 0.05 * np.abs(before).max()
    assert apply_delta(graph, make_delta(graph, quantized)) == quantized


def test_a_folder_gets_an_int8_graph(tmp_path, capsys):
    shipped = find_model('people')
    copy = tmp_path / 'people'
    shutil.copytree(shipped.path, copy)
    (copy / DELTA).unlink()
    assert main(['quantize', str(copy)]) == 0
    assert DELTA in capsys.readouterr().out
    # the weights are those of the main graph
    assert (copy / DELTA).stat().st_size < 0.02 * (copy / 'model.onnx').stat().st_size
    folder = read_model_folder(copy)
    samples = check_samples(folder.manifest)
    found = compare(load_engine(copy), load_engine(copy, precision='int8'), samples,
                    folder.manifest)
    assert not over_limits(found, limits_of(folder.manifest, precision='int8')), found


@pytest.mark.parametrize('name, said', [('people', 'belongs to the package'),
                                        ('lift', 'belongs to the package')])
def test_shipped_folders_are_not_written_to(name, said, capsys):
    assert main(['quantize', name]) == 2
    assert said in capsys.readouterr().err


def test_folders_without_images_are_refused(tmp_path, capsys):
    shutil.copytree(find_model('lift').path, tmp_path / 'lift')
    assert main(['quantize', str(tmp_path / 'lift')]) == 2
    assert "'lift'" in capsys.readouterr().err


def test_a_damaged_delta_is_named(tmp_path):
    shutil.copytree(find_model('people').path, tmp_path / 'people')
    delta = tmp_path / 'people' / DELTA
    with np.load(delta) as stored:
        np.savez(delta, **{name: stored[name] for name in ('parts', 'literal')})
    with pytest.raises(ModelError, match='delta'):
        read_model_folder(tmp_path / 'people').load_graph('int8')
