"""Weights and operators that a graph has twice are kept once, and its outputs stay the same."""

from niki_ros.backends import load_engine
from niki_training.export.duplicates import without_duplicates
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


def graph_of(*weights, bias=1.0):
    """Return a graph with a branch for each weight: relu(x · weight), and their sum."""
    nodes, tensors = [], [numpy_helper.from_array(np.float32([bias]), 'bias')]
    for number, weight in enumerate(weights):
        tensors.append(numpy_helper.from_array(weight, f'w{number}'))
        nodes += [helper.make_node('MatMul', ['x', f'w{number}'], [f'm{number}']),
                  helper.make_node('Relu', [f'm{number}'], [f'r{number}'])]
    nodes += [helper.make_node('Sum', [f'r{k}' for k in range(len(weights))], ['sum']),
              helper.make_node('Add', ['sum', 'bias'], ['y']),
              helper.make_node('Relu', ['m0'], ['z'])]
    x, y, z = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', width])
               for name, width in (('x', 2), ('y', 3), ('z', 3)))
    graph = helper.make_graph(nodes, 'branches', [x], [y, z], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)],
                             ir_version=9).SerializeToString()


def counts(graph):
    inner = onnx.load_model_from_string(graph).graph
    return len(inner.initializer), len(inner.node)


def test_equal_branches_become_one_and_others_stay():
    x = np.float32([[1.0, -2.0], [0.5, 3.0]])
    for weights, expected in (((WEIGHT, WEIGHT), (2, 5)), ((WEIGHT, -WEIGHT), (3, 7)),
                              ((WEIGHT, WEIGHT.reshape(3, 2).T.copy()), (3, 7))):
        graph = graph_of(*weights)
        fewer = without_duplicates(graph)
        assert counts(fewer) == expected
        before, after = (load_engine(data).run({'x': x}) for data in (graph, fewer))
        for name, array in before.items():
            np.testing.assert_array_equal(after[name], array)
        assert without_duplicates(fewer) == fewer


def test_the_first_of_equal_weights_stays():
    inner = onnx.load_model_from_string(without_duplicates(graph_of(WEIGHT, WEIGHT))).graph
    assert [tensor.name for tensor in inner.initializer] == ['bias', 'w0']
