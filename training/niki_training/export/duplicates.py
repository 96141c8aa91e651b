"""Removes weights and operators that a graph has more than once."""

import onnx

_Key = tuple


def without_duplicates(graph: bytes) -> bytes:
    """
    Return the graph in which equal weights are one, and equal operators on equal inputs too.

    Of equal weights the first one stays. Operators that an output of the graph comes from keep
    their names.
    """
    model = onnx.load_model_from_string(graph)
    renamed = _share_weights(model.graph)
    outputs, nodes = {o.name for o in model.graph.output}, []
    made: dict[_Key, onnx.NodeProto] = {}
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)
        same = made.setdefault(_key(node), node)
        if same is node or outputs & set(node.output):
            nodes.append(node)
        else:
            renamed.update(zip(node.output, same.output))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _share_weights(graph: onnx.GraphProto) -> dict:
    """Keep the first one of equal weights, and return {name: name of the one that stays}."""
    first: dict[_Key, str] = {}
    renamed, kept = {}, []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        name = first.setdefault((tensor.data_type, values.shape, values.tobytes()), tensor.name)
        if name == tensor.name:
            kept.append(tensor)
        else:
            renamed[tensor.name] = name
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return renamed


def _key(node: onnx.NodeProto) -> _Key:
    attributes = sorted(attribute.SerializeToString() for attribute in node.attribute)
    return node.domain, node.op_type, tuple(node.input), tuple(attributes)
