"""Weights of an ONNX graph that are stored as FP16 and cast to FP32 before they are used."""

from typing import Container

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

_MIN_NUMBERS_COUNT = 16  # smaller weights stay FP32: a Cast takes more bytes than they would save


def with_fp16_storage(graph: bytes, keep: Container[str] = ()) -> bytes:
    """
    Return the graph with its FP32 weights stored as FP16, each with a Cast to FP32.

    A runtime does the casts once, when it loads the graph, which computes in FP32 as before.
    Weights that are FP16 values, such as those in BlazePose's and NanoDet's own files, stay equal;
    others are rounded, and those beyond the range of FP16 stay FP32.

    :param keep: names of weights that stay FP32.
    """
    model = onnx.load_model_from_string(graph)
    casts = []
    for tensor in model.graph.initializer:
        half = None if tensor.name in keep else _as_fp16(tensor)
        if half is not None:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_fp16'))
            casts.append(helper.make_node('Cast', [f'{name}_fp16'], [name], f'{name}_cast',
                                          to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def with_fp32_storage(graph: bytes) -> bytes:
    """Return the graph with FP32 weights in place of those that are only stored as FP16."""
    model = onnx.load_model_from_string(graph)
    store_as_fp32(model)
    return model.SerializeToString()


def store_as_fp32(model: onnx.ModelProto) -> None:
    """Replace in place the weights that are stored as FP16 and cast to FP32."""
    inner = model.graph
    stored = {t.name: t for t in inner.initializer if t.data_type == TensorProto.FLOAT16}
    casts = [node for node in inner.node if node.op_type == 'Cast' and node.input[0] in stored
             and node.attribute[0].i == TensorProto.FLOAT]
    for node in casts:
        values = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        inner.initializer.append(numpy_helper.from_array(values, node.output[0]))
        inner.node.remove(node)
    read = {name for node in inner.node for name in node.input}
    for name in {node.input[0] for node in casts} - read:
        inner.initializer.remove(stored[name])


def _as_fp16(tensor: onnx.TensorProto):
    """Return the values of a weight as FP16; None = it stays FP32."""
    if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _MIN_NUMBERS_COUNT:
        return None
    with np.errstate(over='ignore'):
        half = numpy_helper.to_array(tensor).astype(np.float16)
    return half if np.isfinite(half).all() else None
