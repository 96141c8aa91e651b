"""
What lies in an ONNX file, read from its bytes without the onnx package.

A robot needs three facts before it runs a graph: the precision of its weights, how many bytes they
are, and that they are all inside the file. The protobuf wire format gives them in a short walk.
The same walk takes a part out of a graph, so that two models can share one file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Dict, Iterator, List, Set

from niki_ros.common.errors import ModelError
import numpy as np

_FLOAT_BYTES = {1: ('fp32', 4), 10: ('fp16', 2), 11: ('fp64', 8), 16: ('bf16', 2)}
# field numbers of onnx.proto: ModelProto.graph, GraphProto.node, NodeProto.attribute, …
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER = 7, 1, 5
_GRAPH_INPUT, _GRAPH_OUTPUT, _GRAPH_VALUE, _VALUE_NAME = 11, 12, 13, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_KIND, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_NAME, _ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR = 1, 3, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_LOCATION = 1, 2, 8, 9, 14
_FP32, _FP16 = 1, 10
HEAVY = frozenset({'Gemm', 'MatMul', 'Conv', 'ConvTranspose', 'Einsum'})
"""Layers with weights: what FP16 is for."""


@dataclass
class GraphWeights:
    """
    Weights of a graph, as it computes; ``bytes_by_precision`` such as ``{'fp16': 3200000}``.

    Weights that are stored as FP16 and cast to FP32 before anything reads them are FP32 ones: the
    libraries do that cast once, when they load the graph.
    """

    bytes_by_precision: dict = field(default_factory=dict)
    external: list = field(default_factory=list)

    @property
    def total_bytes(self) -> int:
        """Bytes of all floating-point weights: what one pass at batch 1 has to read."""
        return sum(self.bytes_by_precision.values())

    @property
    def precision(self) -> str:
        """Return the precision of most of the weights, ``fp32`` for a graph without weights."""
        if not self.bytes_by_precision:
            return 'fp32'
        sizes = {'fp16': 2, 'bf16': 2, 'fp32': 4, 'fp64': 8}
        return max(self.bytes_by_precision, key=lambda p: self.bytes_by_precision[p] / sizes[p])


@dataclass
class _Tensor:
    """A weight: an initializer, or a constant inside a node."""

    name: str = ''
    dims: list = field(default_factory=list)
    kind: int = 0
    raw: memoryview = field(default_factory=lambda: memoryview(b''))
    external: bool = False


@dataclass
class _Node:
    """A node, as far as weights are concerned."""

    kind: str = ''
    inputs: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    tensors: list = field(default_factory=list)
    to: int = 0


def read_weights(graph: bytes) -> GraphWeights:
    """
    Return the weights of an ONNX file.

    :raises ModelError: when the bytes are no ONNX file, or end too early.
    """
    weights = GraphWeights()
    for tensor, kind in _weights(graph):
        if tensor.external:
            weights.external.append(tensor.name)
        if kind in _FLOAT_BYTES:
            precision, size = _FLOAT_BYTES[kind]
            sizes = weights.bytes_by_precision
            sizes[precision] = sizes.get(precision, 0) + prod(tensor.dims) * size
    return weights


def layers_by_precision(graph: bytes) -> Dict[str, int]:
    """Count the layers with weights by the precision that they compute in."""
    counts: Dict[str, int] = {}
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH and isinstance(value, memoryview):
            tensors, nodes = _content(value)
            half = {t.name for t in tensors if t.kind == _FP16} - _widened(nodes)
            known = {t.name for t in tensors if len(t.dims) > 1}
            known.update(*(n.outputs for n in nodes if n.kind == 'Cast' and known & {*n.inputs}))
            for weights in (known.intersection(n.inputs) for n in nodes if n.kind in HEAVY):
                if weights:
                    name = 'fp16' if weights & half else 'fp32'
                    counts[name] = counts.get(name, 0) + 1
    return counts


def largest_fp16(graph: bytes, count: int = 8) -> List[np.ndarray]:
    """Return the largest weights that compute in FP16, as matrices, at most ``count``."""
    found = [np.frombuffer(tensor.raw, '<f2').reshape(tensor.dims[0], -1)
             for tensor, kind in _weights(graph) if kind == _FP16 and len(tensor.dims) > 1
             and len(tensor.raw) == 2 * prod(tensor.dims)]
    return sorted(found, key=lambda matrix: -matrix.size)[:count]


def part_of(graph: bytes, outputs: Dict[str, str]) -> bytes:
    """
    Return the part of an ONNX file that computes some of its values.

    :param outputs: name of every output of the part: name of the value in ``graph``, of which the
        file must state the shape.
    :raises ModelError: when there is no such value.
    """
    parts = [_field(number, _part(value, outputs)) if number == _MODEL_GRAPH else raw
             for number, value, raw in _segments(memoryview(graph))]
    return b''.join(parts)


def _part(graph: memoryview, outputs: Dict[str, str]) -> bytes:
    """Return the graph with the nodes, weights and inputs that ``outputs`` depend on."""
    segments = list(_segments(graph))
    nodes = [_node(value) if number == _GRAPH_NODE else None for number, value, _ in segments]
    needed = set(outputs.values())
    for node in reversed(nodes):  # a graph's nodes stand in the order of their computation
        if node is not None and needed.intersection(node.outputs):
            needed.update(node.inputs)
    kept, values = [], {}
    for (number, value, raw), node in zip(segments, nodes):
        if number in (_GRAPH_OUTPUT, _GRAPH_VALUE):
            values[_name(value, _VALUE_NAME)] = value
        elif node is not None:
            kept += [raw] * bool(needed.intersection(node.outputs))
        elif number == _GRAPH_INITIALIZER:
            kept += [raw] * (_name(value, _TENSOR_NAME) in needed)
        elif number != _GRAPH_INPUT or _name(value, _VALUE_NAME) in needed:
            kept.append(raw)
    for name, inner in outputs.items():
        if inner not in values:
            raise ModelError(f'the graph states no shape of a value {inner!r}')
        rest = b''.join(raw for number, _, raw in _segments(values[inner])
                        if number != _VALUE_NAME)
        kept.append(_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode()) + rest))
        if name != inner:
            kept.append(_field(_GRAPH_NODE, _field(_NODE_INPUT, inner.encode())
                               + _field(_NODE_OUTPUT, name.encode())
                               + _field(_NODE_KIND, b'Identity')))
    return b''.join(kept)


def _name(message: memoryview, number: int) -> str:
    """Return the text of a field."""
    return next((_text(value) for n, value in _fields(message) if n == number), '')


def _field(number: int, data: bytes) -> bytes:
    """Return the wire format of a field with a length."""
    return _number(number << 3 | 2) + _number(len(data)) + data


def _number(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)


def _weights(graph: bytes) -> Iterator[tuple]:
    """Yield every weight with the element type that it is computed with."""
    found = False
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH and isinstance(value, memoryview):
            found = True
            tensors, nodes = _content(value)
            widened = _widened(nodes)
            for tensor in tensors:
                half = tensor.kind == _FP16 and tensor.name in widened
                yield tensor, _FP32 if half else tensor.kind
    if not found:
        raise ModelError(f'not an ONNX file: {len(graph)} bytes without a graph in them')


def _content(graph: memoryview) -> tuple:
    """Return the weights and the nodes of a graph."""
    tensors, nodes = [], []
    for number, value in _fields(graph):
        if not isinstance(value, memoryview):
            continue
        if number == _GRAPH_INITIALIZER:
            tensors.append(_tensor(value))
        elif number == _GRAPH_NODE:
            node = _node(value)
            nodes.append(node)
            if node.kind == 'Constant' and node.outputs:
                for tensor in node.tensors:
                    tensor.name = node.outputs[0]
            tensors += node.tensors
    return tensors, nodes


def _widened(nodes: list) -> set:
    """Name the values that nothing reads but casts to FP32."""
    cast: Set[str] = set()
    read: Set[str] = set()
    for node in nodes:
        (cast if node.kind == 'Cast' and node.to == _FP32 else read).update(node.inputs)
    return cast - read


def _node(message: memoryview) -> _Node:
    node = _Node()
    for number, value in _fields(message):
        if number == _NODE_INPUT:
            node.inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            node.outputs.append(_text(value))
        elif number == _NODE_KIND:
            node.kind = _text(value)
        elif number == _NODE_ATTRIBUTE and isinstance(value, memoryview):
            _attribute(value, node)
    return node


def _attribute(message: memoryview, node: _Node):
    name, integer = '', 0
    for number, value in _fields(message):
        if number == _ATTRIBUTE_NAME:
            name = _text(value)
        elif number == _ATTRIBUTE_INTEGER:
            integer = value
        elif number == _ATTRIBUTE_TENSOR and isinstance(value, memoryview):
            node.tensors.append(_tensor(value))
    if name == 'to':
        node.to = integer


def _tensor(message: memoryview) -> _Tensor:
    tensor = _Tensor()
    for number, value in _fields(message):
        if number == _TENSOR_DIMS:
            tensor.dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TENSOR_TYPE:
            tensor.kind = value
        elif number == _TENSOR_NAME:
            tensor.name = _text(value)
        elif number == _TENSOR_RAW:
            tensor.raw = value
        elif number == _TENSOR_LOCATION:
            tensor.external = value == 1
    return tensor


def _text(value) -> str:
    return bytes(value).decode('utf-8', 'replace') if isinstance(value, memoryview) else ''


def _fields(message: memoryview) -> Iterator[tuple]:
    """Yield (field number, value); values are integers, or views for fields with a length."""
    for number, value, _ in _segments(message):
        yield number, value


def _segments(message: memoryview) -> Iterator[tuple]:
    """Yield (field number, value, the bytes of both)."""
    at = 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = 0, at + size
        elif kind == 2:
            size, at = _varint(message, at)
            value, at = message[at:at + size], at + size
        else:
            raise ModelError(f'not an ONNX file: wire type {kind} at byte {at}')
        if at > len(message):
            raise ModelError(f'the ONNX file ends {at - len(message)} bytes too early')
        yield tag >> 3, value, message[start:at]


def _varint(message: memoryview, at: int) -> tuple:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ModelError('the ONNX file ends inside a number: truncated or not ONNX')


def _varints(packed: memoryview) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value
