"""Channels that are never active: found, listed, and removed without a change of the result."""

from niki_ros.backends import load_engine
from niki_ros.common.errors import InputError, ModelError
from niki_ros.models.model_store import find_model
from niki_training.importers import cli
from niki_training.importers.channels import varied
from niki_training.importers.inactive_channels import (
    channel_ranges,
    inactive_channels,
    LISTED,
    read_channels,
    remove_channels,
    write_channels,
)
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto
import pytest

SIZE_PX, WIDTH = 8, 40
DEAD_FIRST, DEAD_DEPTHWISE = slice(0, 10), slice(8, 20)


def conv(name: str, source: str, weights: dict, shape: tuple, rng, **attributes):
    weights[f'{name}_weight'] = rng.standard_normal(shape).astype(np.float32) / 8
    weights[f'{name}_bias'] = rng.standard_normal(shape[0]).astype(np.float32) / 8
    return helper.make_node('Conv', [source, f'{name}_weight', f'{name}_bias'], [name], name,
                            **attributes)


def relu6(name: str, source: str):
    return helper.make_node('Clip', [source, 'zero', 'six'], [name], name)


def bottleneck(extra_reader: bool = False) -> onnx.ModelProto:
    """Return image → conv, ReLU6 → depthwise conv with padding, ReLU6 → conv → landmarks."""
    rng = np.random.default_rng(0)
    weights = {'zero': np.float32(0).reshape(()), 'six': np.float32(6).reshape(())}
    nodes = [
        conv('first', 'image', weights, (WIDTH, 3, 1, 1), rng), relu6('first_clip', 'first'),
        conv('depthwise', 'first_clip', weights, (WIDTH, 1, 3, 3), rng, group=WIDTH,
             pads=[1, 1, 1, 1]), relu6('depthwise_clip', 'depthwise'),
        conv('last', 'depthwise_clip', weights, (4, WIDTH, 1, 1), rng)]
    weights['first_bias'][:] = 1
    weights['first_bias'][DEAD_FIRST] = -5
    weights['depthwise_bias'][DEAD_FIRST] = np.linspace(-1, 2, 10)
    weights['depthwise_bias'][DEAD_DEPTHWISE] = -9
    shape = ['N', 4, SIZE_PX, SIZE_PX]
    outputs = [helper.make_tensor_value_info('last', TensorProto.FLOAT, shape)]
    if extra_reader:
        nodes.append(helper.make_node('MaxPool', ['first_clip'], ['pooled'], kernel_shape=[2, 2]))
        outputs.append(helper.make_tensor_value_info('pooled', TensorProto.FLOAT, None))
    graph = helper.make_graph(
        nodes, 'bottleneck', [helper.make_tensor_value_info(
            'image', TensorProto.FLOAT, ['N', 3, SIZE_PX, SIZE_PX])], outputs,
        [numpy_helper.from_array(value, name) for name, value in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)


def images(count: int = 8) -> np.ndarray:
    return np.random.default_rng(1).random((count, 3, SIZE_PX, SIZE_PX)).astype(np.float32)


def measured(model: onnx.ModelProto) -> dict:
    graph = model.SerializeToString()
    return inactive_channels(graph, channel_ranges(graph, [images()[:3], images()[3:]]))


def test_removed_channels_leave_the_result_as_it_was():
    model = bottleneck()
    wanted = load_engine(model.SerializeToString()).run({'image': images()})['last']
    inactive = measured(model)
    assert inactive['first'][DEAD_FIRST].all() and inactive['depthwise'][10:20].all()
    changed = remove_channels(model, inactive)
    onnx.checker.check_model(model, full_check=True)
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    # of 20 that remain 32, the next multiple of 16, are kept
    assert shapes['first_weight'] == (32, 3, 1, 1)
    assert shapes['depthwise_weight'] == (32, 1, 3, 3) and shapes['last_weight'] == (4, 32, 1, 1)
    # behind a channel of zeros a depthwise convolution is its bias: the last layer gets it
    assert changed == {'last_bias'}
    found = load_engine(model.SerializeToString()).run({'image': images()})['last']
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_channels_that_something_else_reads_stay():
    model = bottleneck(extra_reader=True)
    before = model.SerializeToString()
    assert measured(model) == {}
    assert remove_channels(model, {'first': np.ones(WIDTH, bool)}) == set()
    assert model.SerializeToString() == before


def test_channels_of_another_network_are_refused():
    with pytest.raises(ModelError, match='first has 40 channels, and 39 are listed'):
        remove_channels(bottleneck(), {'first': np.ones(39, bool)})


def test_a_list_comes_back_from_its_file(tmp_path):
    file, inactive = tmp_path / 'channels.json', measured(bottleneck())
    write_channels(file, 'small', {name: ~flags for name, flags in inactive.items()})
    write_channels(file, 'other', {})
    write_channels(file, 'small', inactive)
    again = read_channels(file, 'small')
    assert set(again) == set(inactive) and read_channels(file, 'absent') == {}
    for name, flags in inactive.items():
        np.testing.assert_array_equal(again[name], flags)


@pytest.mark.parametrize('text', ['[1]', 'no JSON', '{"small": {"first": 1}}'])
def test_a_file_of_another_kind_is_not_replaced(tmp_path, text):
    file = tmp_path / 'other.json'
    file.write_text(text)
    with pytest.raises(InputError, match='no list of inactive channels'):
        write_channels(file, 'small', {})
    assert file.read_text() == text


def test_the_command_refuses_another_network(tmp_path, refused):
    file, out = tmp_path / 'a.tflite', tmp_path / 'out.json'
    file.write_bytes(b'something else')
    refused(cli.main, ['channels', file, '--images', tmp_path, '--out', out], '@mediapipe/pose')
    assert not out.exists()


def test_variants_are_images_that_differ():
    rng, image = np.random.default_rng(0), images(1)[0]
    variants = np.stack([varied(image, rng) for _ in range(20)])
    assert variants.shape == (20, *image.shape) and variants.dtype == np.float32
    assert variants.min() >= 0 and variants.max() <= 1
    assert np.abs(variants - variants[0]).max((1, 2, 3))[1:].min() > 0.1


def test_the_heavy_network_that_ships_is_cut():
    """All layers of a block have the same width, and the widths suit AVX-512."""
    model = onnx.load_from_string(find_model('landmarks-heavy').load_graph().data)
    shapes = {t.name.removesuffix('_fp16'): tuple(t.dims) for t in model.graph.initializer}
    listed = read_channels(LISTED, 'heavy')
    widths = {name: (len(flags), shapes[f'{name.removesuffix("_conv")}_weight'][0])
              for name, flags in listed.items()}
    cut = {name: width for name, (full, width) in widths.items() if width < full}
    assert len(cut) > 30 and all(width % 16 == 0 for width in cut.values())
    assert sum(cut.values()) < 0.7 * sum(widths[name][0] for name in cut)
