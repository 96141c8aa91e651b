"""Facts about the weights of an ONNX graph, for the manifest of a model folder."""

from typing import Iterator

import numpy as np
import onnx
from onnx import TensorProto

LAYER_OPERATORS = frozenset({'Gemm', 'MatMul', 'Conv', 'ConvTranspose', 'Einsum'})
"""Operators with weights, which FP16 accelerates."""
_FLOATS = {TensorProto.FLOAT: ('fp32', 4), TensorProto.FLOAT16: ('fp16', 2),
           TensorProto.DOUBLE: ('fp64', 8), TensorProto.BFLOAT16: ('bf16', 2)}


def tensors_of(graph: onnx.GraphProto) -> Iterator[tuple[str, TensorProto]]:
    """Yield (name, tensor) of every weight: initializers, and constants inside of nodes."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField('t'):
                is_constant = node.op_type == 'Constant' and node.output
                yield node.output[0] if is_constant else attribute.t.name, attribute.t


def weight_counts(graph: bytes) -> dict[str, int]:
    """Return how many numbers of weights are computed with in each precision, such as ``fp32``."""
    inner = onnx.load_model_from_string(graph).graph
    stored_only = _cast_to_fp32(inner)
    counts: dict[str, int] = {}
    for name, tensor in tensors_of(inner):
        if tensor.data_type in _FLOATS:
            precision = 'fp32' if name in stored_only else _FLOATS[tensor.data_type][0]
            counts[precision] = counts.get(precision, 0) + int(np.prod(tensor.dims))
    return counts


def weight_bytes(graph: bytes) -> int:
    """Return the bytes of all weights in the precision that they are computed with."""
    sizes = dict(_FLOATS.values())
    return sum(count * sizes[precision] for precision, count in weight_counts(graph).items())


def precision_of(graph: bytes) -> str:
    """Return the precision of most weights, ``fp32`` for a graph without weights."""
    counts = weight_counts(graph)
    return max(counts, key=lambda precision: counts[precision]) if counts else 'fp32'


def layers_by_precision(graph: bytes) -> dict[str, int]:
    """Return the number of layers with weights by the precision that they compute in."""
    inner = onnx.load_model_from_string(graph).graph
    tensors = dict(tensors_of(inner))
    half = {name for name, tensor in tensors.items()
            if tensor.data_type == TensorProto.FLOAT16} - _cast_to_fp32(inner)
    matrices = {name for name, tensor in tensors.items() if len(tensor.dims) > 1}
    for node in inner.node:
        if node.op_type == 'Cast' and matrices & {*node.input}:
            matrices.update(node.output)
    counts: dict[str, int] = {}
    for node in inner.node:
        weights = matrices & {*node.input} if node.op_type in LAYER_OPERATORS else set()
        if weights:
            precision = 'fp16' if weights & half else 'fp32'
            counts[precision] = counts.get(precision, 0) + 1
    return counts


def _cast_to_fp32(graph: onnx.GraphProto) -> set[str]:
    """Return the names of the values that are read by casts to FP32 only."""
    cast: set[str] = set()
    read: set[str] = set()
    for node in graph.node:
        is_cast = node.op_type == 'Cast' and any(
            a.name == 'to' and a.i == TensorProto.FLOAT for a in node.attribute)
        (cast if is_cast else read).update(node.input)
    return cast - read
