"""Functions on source files and ONNX graphs that the importers share."""

import hashlib
from pathlib import Path

from niki_ros.common.errors import ModelError
import numpy as np
import onnx
from onnx import helper, TensorProto

OPSET, IR_VERSION = 17, 8  # read by ONNX Runtime 1.12, TensorRT 8.6 and all newer versions


def checked_bytes(path: Path, known: dict, what: str) -> tuple:
    """Return the bytes of a source file and its name in ``known`` (sha256 → name)."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error}') from error
    digest = hashlib.sha256(data).hexdigest()
    if digest not in known:
        raise ModelError(f'{path} has sha256 {digest[:16]}…; expected {what}')
    return data, known[digest]


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    """Return the checked model of a graph, without unused nodes and constants."""
    drop_unused(graph)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)],
                              ir_version=IR_VERSION, producer_name='niki_training')
    onnx.checker.check_model(model)
    return model


def drop_unused(graph: onnx.GraphProto) -> None:
    while True:
        used = {name for node in graph.node for name in node.input}
        used |= {output.name for output in graph.output}
        dead = [node for node in graph.node if not used.intersection(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    for item in [i for i in graph.initializer if i.name not in used]:
        graph.initializer.remove(item)


def graph_facts(graph: bytes) -> dict:
    """Return the manifest's facts about a graph: versions, weights and multiplications."""
    return {'opset': OPSET, 'ir_version': IR_VERSION, 'parameters': weights_count(graph),
            'macs': macs(graph)}


def weights_count(graph: bytes) -> int:
    """Return the number of weights."""
    model = onnx.load_model_from_string(graph)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return int(sum(np.prod(t.dims) for t in model.graph.initializer if t.data_type in kinds))


def macs(graph: bytes) -> int:
    """Return the multiplications of all convolutions for one image."""
    model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(graph))
    sizes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
             for v in (*model.graph.value_info, *model.graph.output)}
    weights = {t.name: list(t.dims) for t in model.graph.initializer}
    weights.update({node.output[0]: weights[node.input[0]] for node in model.graph.node
                    if node.op_type == 'Cast' and node.input[0] in weights})
    return int(sum(np.prod(weights[node.input[1]]) * np.prod(sizes[node.output[0]][2:])
                   for node in model.graph.node if node.op_type == 'Conv'))
