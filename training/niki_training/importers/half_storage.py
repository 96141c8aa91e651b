"""Store the weights of an ONNX graph in half of the bytes; it computes in FP32 as before."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

SMALLEST = 16
"""Numbers in a weight from which on it is stored as FP16: less than that is no saving."""


def stored_half(graph: bytes) -> bytes:
    """
    Return the graph with its large FP32 weights stored as FP16, each behind a Cast to FP32.

    A runtime does the casts once, when it loads the graph. Weights that FP16 can hold, such as
    those of BlazePose's and NanoDet's own files, stay what they are; others are rounded to it,
    and those beyond its range stay FP32.
    """
    model = onnx.load_model_from_string(graph)
    casts = []
    for tensor in model.graph.initializer:
        half = _half(tensor)
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


def _half(tensor: onnx.TensorProto):
    """Return the values of a weight as FP16; None = it stays as it is."""
    if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST:
        return None
    with np.errstate(over='ignore'):
        half = numpy_helper.to_array(tensor).astype(np.float16)
    return half if np.isfinite(half).all() else None
