"""
Removes channels of a convolutional network that are never active; what it computes stays the same.

Two fifths of the weights of BlazePose heavy belong to channels that no image makes positive in
front of their ReLU6. ``niki-import channels`` measures them on photographs and lists them in a
file; the importer of the network cuts them off.
"""

from dataclasses import dataclass
import json
from pathlib import Path
from typing import Iterable

from niki_ros.backends import load_engine
from niki_ros.common.errors import InputError, ModelError
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from niki_training.files.outputs import write_text

Channels = dict[str, np.ndarray]
"""Name of a convolution's output → which of its channels are inactive (C,) bool."""


LISTED = Path(__file__).with_name('inactive_channels.json')
"""The channels that are listed for the networks that ship."""


@dataclass(frozen=True)
class InactiveNumbers:
    """When a channel is inactive, and how many remain."""

    # Distance of the largest value from zero over the range of the values, because what was not
    # measured may exceed what was. The results of a depthwise convolution are bounded by those of
    # the ReLU6 before it, while the first layer of a block reads sums without bounds.
    min_margin_ratio: float = 0.1
    min_depthwise_margin_ratio: float = 0.02
    # ONNX Runtime's fast convolutions need a multiple of the width of AVX-512
    multiple: int = 16


NUMBERS = InactiveNumbers()


def read_channels(file: Path, model: str) -> Channels:
    """
    Return what :func:`write_channels` wrote for ``model``; empty = none are listed, or no file.

    :raises InputError: when the file is of another kind.
    """
    try:
        listed = _read_lists(file).get(model, {})
        return {name: np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8), count=count) == 1
                for name, (count, bits) in listed.items()}
    except (AttributeError, OSError, TypeError, ValueError) as error:
        raise InputError(f'{file} is no list of inactive channels ({error}); niki-import channels '
                         'makes one') from error


def write_channels(file: Path, model: str, channels: Channels) -> None:
    """Write the inactive channels of a model as hexadecimal digits, in place of earlier ones."""
    read_channels(file, model)
    lists = {**_read_lists(file), model: {
        name: [len(flags), np.packbits(flags).tobytes().hex()]
        for name, flags in channels.items()}}
    write_text(file, json.dumps(lists, indent=1) + '\n')


def _read_lists(file: Path) -> dict:
    return json.loads(file.read_text('utf-8')) if file.exists() else {}


def channel_ranges(graph: bytes, batches: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """
    Return the smallest and the largest value (2, C) of the channels that could be removed.

    :param graph: a network with the input ``image``, whose blocks end in ReLU6.
    :param batches: inputs (n, 3, size, size) of the network.
    :return: the values in front of the ReLU6, by the name of the convolution's output.
    """
    model = onnx.load_model_from_string(graph)
    names = sorted({node.output[0] for block in _blocks(model.graph) for node in block.layers})
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                              for name in names)
    engine = load_engine(model.SerializeToString(), threads=1)
    ranges: dict[str, np.ndarray] = {}
    for batch in batches:
        found = engine.run({'image': batch})
        for name in names:
            low, high = found[name].min((0, 2, 3)), found[name].max((0, 2, 3))
            known = ranges.get(name, (low, high))
            ranges[name] = np.stack([np.minimum(known[0], low), np.maximum(known[1], high)])
    return ranges


def inactive_channels(graph: bytes, ranges: dict[str, np.ndarray]) -> Channels:
    """Return which channels are inactive, from their :func:`channel_ranges`."""
    found: Channels = {}
    for block in _blocks(onnx.load_model_from_string(graph).graph):
        for path in block.paths:
            before = None
            for node in path[:-1]:
                if node.op_type != 'Conv':
                    continue
                low, high = ranges[node.output[0]]
                ratio = (NUMBERS.min_margin_ratio if before is None
                         else NUMBERS.min_depthwise_margin_ratio)
                flags = high <= -ratio * (high - low)
                if before is not None:
                    flags &= before > 0  # otherwise the range is that of the bias alone
                found[node.output[0]], before = flags, high
    return found


def remove_channels(model: onnx.ModelProto, inactive: Channels) -> set[str]:
    """
    Remove inactive channels from a model in place, so many that a multiple of 16 remains.

    What a removed channel adds to the next layer is a constant, which is added to its bias.

    :return: the names of the biases that were changed.
    :raises ModelError: when the channels are those of another network.
    """
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    changed: set[str] = set()
    for block in _blocks(model.graph):
        constants = [_constants(path, weights, inactive) for path in block.paths]
        spare = np.flatnonzero(np.isfinite(constants).all(0))
        width = len(constants[0])
        kept = -(-(width - len(spare)) // NUMBERS.multiple) * NUMBERS.multiple
        removed = spare[:max(width - kept, 0)]
        if not len(removed):
            continue
        for layer in block.layers:
            for name in layer.input[1:]:
                _replace(weights[name], np.delete(_values(weights[name]), removed, 0))
            _set_groups(layer, kept)
        for path, constant in zip(block.paths, constants):
            kernel, bias = (weights[name] for name in path[-1].input[1:])
            added = np.einsum('oihw,i->o', _values(kernel)[:, removed].astype(np.float64),
                              constant[removed])
            if added.any():
                _replace(bias, (_values(bias) + added).astype(np.float32))
                changed.add(bias.name)
            _replace(kernel, np.delete(_values(kernel), removed, 1))
    return changed


@dataclass(frozen=True)
class _Block:
    """
    Layers of one width: a convolution, and depthwise convolutions behind it.

    :param paths: nodes from the first layer to each convolution that mixes the channels again.
    """

    layers: list
    paths: list


def _blocks(graph: onnx.GraphProto) -> list[_Block]:
    """Return the blocks of convolutions whose channels are read by nothing else."""
    readers: dict[str, list] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ends = {value.name for value in graph.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type == 'Conv' and _groups(node) == 1:
            paths = _paths(node, readers, weights, ends)
            if paths:
                layers = {layer.output[0]: layer for path in paths for layer in path[:-1]
                          if layer.op_type == 'Conv'}
                found.append(_Block(list(layers.values()), paths))
    return found


def _paths(node, readers, weights, ends) -> list[list] | None:
    """Return the paths from a node to the next full convolutions; None = other nodes read it."""
    paths: list[list] = []
    if node.output[0] in ends:
        return None
    for reader in readers.get(node.output[0], []):
        if _mixes_channels(reader):
            paths.append([node, reader])
            continue
        depthwise = reader.op_type == 'Conv' and weights[reader.input[1]].dims[1] == 1
        rest = _paths(reader, readers, weights, ends) if depthwise or _is_relu6(
            reader, weights) else None
        if rest is None:
            return None
        paths += [[node, *path] for path in rest]
    return paths or None


def _constants(path: list, weights: dict, inactive: Channels) -> np.ndarray:
    """Return the constant (C,) that each channel is at the end of a path; NaN where it varies."""
    values = np.full(weights[path[0].input[1]].dims[0], np.nan)
    for node in path[:-1]:
        if node.op_type == 'Clip':
            values = np.clip(values, *(_values(weights[name]) for name in node.input[1:]))
            continue
        if node is not path[0]:  # its padding is zero, and so is its result beside the bias
            values = np.where(values == 0, _values(weights[node.input[2]]), np.nan)
        flags = inactive.get(node.output[0], np.zeros(len(values), bool))
        if len(flags) != len(values):
            raise ModelError(f'{node.output[0]} has {len(values)} channels, and {len(flags)} are '
                             'listed: measure the inactive channels again')
        values = np.where(flags & ~np.isfinite(values), -1.0, values)  # any value below zero
    return values if path[-2].op_type == 'Clip' else np.full(len(values), np.nan)


def _mixes_channels(node) -> bool:
    """Return whether a node is a full convolution without padding."""
    return node.op_type == 'Conv' and _groups(node) == 1 and not any(
        _attribute(node, 'pads', [0]))


def _is_relu6(node, weights) -> bool:
    return node.op_type == 'Clip' and _values(weights[node.input[1]]) == 0


def _groups(node) -> int:
    return _attribute(node, 'group', 1)


def _set_groups(node, count: int) -> None:
    for attribute in node.attribute:
        if attribute.name == 'group' and attribute.i > 1:
            attribute.i = count


def _attribute(node, name: str, default):
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def _values(tensor: TensorProto) -> np.ndarray:
    return numpy_helper.to_array(tensor)


def _replace(tensor: TensorProto, values: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
