"""
What lies in an ONNX file, read from its bytes without the onnx package.

A robot needs three facts before it runs a graph: the precision of its weights, how many bytes they
are, and that they are all inside the file. The protobuf wire format gives them in a short walk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Iterator, List

from niki_ros.core.errors import ModelError
import numpy as np

_FLOAT_BYTES = {1: ('fp32', 4), 10: ('fp16', 2), 11: ('fp64', 8), 16: ('bf16', 2)}
# field numbers of onnx.proto: ModelProto.graph, GraphProto.node, NodeProto.attribute, …
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR = 7, 1, 5, 5, 5
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW, _TENSOR_LOCATION = 1, 2, 8, 9, 14
_FP16 = 10


@dataclass
class GraphWeights:
    """Weights of a graph; ``bytes_by_precision`` such as ``{'fp16': 3200000, 'fp32': 400}``."""

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


def read_weights(graph: bytes) -> GraphWeights:
    """
    Return the weights of an ONNX file.

    :raises ModelError: when the bytes are no ONNX file, or end too early.
    """
    weights = GraphWeights()
    found = False
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH and isinstance(value, memoryview):
            found = True
            for tensor in _tensors(value):
                _add(weights, tensor)
    if not found:
        raise ModelError(f'not an ONNX file: {len(graph)} bytes without a graph in them')
    return weights


def largest_fp16(graph: bytes, count: int = 8) -> List[np.ndarray]:
    """Return the largest FP16 weights as matrices (rows, columns), at most ``count``."""
    found = []
    for number, value in _fields(memoryview(graph)):
        if number == _MODEL_GRAPH and isinstance(value, memoryview):
            for tensor in _tensors(value):
                dims, kind, raw = _content(tensor)
                if kind == _FP16 and len(dims) > 1 and len(raw) == 2 * prod(dims):
                    found.append(np.frombuffer(raw, '<f2').reshape(dims[0], -1))
    return sorted(found, key=lambda matrix: -matrix.size)[:count]


def _content(tensor: memoryview) -> tuple:
    """Return dimensions, element type and raw bytes of a tensor."""
    dims, kind, raw = [], 0, memoryview(b'')
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TENSOR_TYPE:
            kind = value
        elif number == _TENSOR_RAW:
            raw = value
    return dims, kind, raw


def _tensors(graph: memoryview) -> Iterator[memoryview]:
    """Yield every tensor of a graph: initializers, and the constants inside nodes."""
    for number, value in _fields(graph):
        if not isinstance(value, memoryview):
            continue
        if number == _GRAPH_INITIALIZER:
            yield value
        elif number == _GRAPH_NODE:
            for inner, attribute in _fields(value):
                if inner == _NODE_ATTRIBUTE and isinstance(attribute, memoryview):
                    yield from (v for n, v in _fields(attribute)
                                if n == _ATTRIBUTE_TENSOR and isinstance(v, memoryview))


def _add(weights: GraphWeights, tensor: memoryview):
    dims, kind, name, location = [], 0, '', 0
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == _TENSOR_TYPE:
            kind = value
        elif number == _TENSOR_NAME:
            name = bytes(value).decode('utf-8', 'replace')
        elif number == _TENSOR_LOCATION:
            location = value
    if location == 1:
        weights.external.append(name)
    if kind in _FLOAT_BYTES:
        precision, size = _FLOAT_BYTES[kind]
        sizes = weights.bytes_by_precision
        sizes[precision] = sizes.get(precision, 0) + prod(dims) * size


def _fields(message: memoryview) -> Iterator[tuple]:
    """Yield (field number, value); values are integers, or views for fields with a length."""
    at = 0
    while at < len(message):
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
        yield tag >> 3, value


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
