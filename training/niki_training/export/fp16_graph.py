"""
Casts an FP32 graph to FP16, with layers and operators that stay in FP32: its FP32 islands.

The precision is part of the graph, because strongly typed TensorRT (11 and RTX) has no flag for
it. Inputs and outputs stay FP32. Weights that are only stored in FP16 are FP16 in the result,
without a cast. An island is a type of operator, or the name of the output of a node.
"""

from typing import Iterable

from niki_ros.common.errors import ModelError
import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from niki_training.export.weight_storage import store_as_fp32

MOVES = frozenset({'Reshape', 'Concat', 'Split', 'Slice', 'Transpose', 'Gather', 'Unsqueeze',
                   'Squeeze', 'Identity', 'Flatten', 'Expand', 'Where', 'Pad', 'Relu', 'Clip',
                   'MaxPool'})
"""Operators whose results are values of their inputs, which are rounded already."""
_FOLLOWS = MOVES | {'Add'}  # FP32 where one input is: a sum through FP32 layers stays so
_FP32_INPUTS = {'Resize': {1, 2}}  # inputs that an operator requires in FP32 in any case
_MAX_FP16 = 65504.0
_SPLITTER = 8193.0  # 2^13 + 1: Veltkamp's factor that splits 24 bits of mantissa into 11 and 13
_OVERFLOW = 65520.0  # the smallest number that is infinite when it is rounded to FP16


def cast_graph(graph: bytes, islands: Iterable[str] = ()) -> bytes:
    """Return ``graph`` in FP16, with ``islands`` in FP32."""
    return _Cast(graph, frozenset(islands)).result()


def emulated_graph(graph: bytes, islands: Iterable[str] = ()) -> bytes:
    """
    Return an FP32 graph with the results that :func:`cast_graph`'s has on a GPU.

    ONNX Runtime on a CPU has few FP16 kernels: it computes in FP32 between casts and removes
    adjacent casts, so that the error of the FP16 graph is too small there. In this graph every
    result is rounded to FP16 by arithmetic.
    """
    return _Emulation(graph, frozenset(islands)).result()


def load_with_types(graph: bytes) -> tuple:
    """Return the model with shapes inferred, and the element type of every tensor by name."""
    try:
        model = onnx.load_model_from_string(graph)
        store_as_fp32(model)
        model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf's and onnx's own errors have no common base
        raise ModelError(f'the graph cannot be read: {error}') from error
    inner = model.graph
    if any(a.g.node or a.graphs for node in inner.node for a in node.attribute):
        raise ModelError('a graph with branches or loops (If, Loop, Scan) cannot be cast')
    types = {v.name: v.type.tensor_type.elem_type
             for v in (*inner.value_info, *inner.input, *inner.output)}
    types.update({t.name: t.data_type for t in inner.initializer})
    for node in inner.node:
        # shape inference omits these where the shape is known at run time only
        if node.op_type == 'ConstantOfShape' and not types.get(node.output[0]):
            values = [a.t.data_type for a in node.attribute if a.name == 'value']
            types[node.output[0]] = values[0] if values else TensorProto.FLOAT
    return model, types


class _Cast:
    """One pass over the nodes; every tensor is computed in one precision and cast where needed."""

    def __init__(self, graph: bytes, islands: frozenset[str]):
        self.model, self.types = load_with_types(graph)
        self.islands = islands
        self.float, self.half = TensorProto.FLOAT, TensorProto.FLOAT16
        self.weights = {t.name: t for t in self.model.graph.initializer}
        self.made: dict[str, int] = {v.name: self.float for v in self.model.graph.input}
        self.nodes: list = []
        self.copies: dict[tuple, str] = {}
        self.new_weights: dict[str, object] = {}

    def result(self) -> bytes:
        outputs = {v.name for v in self.model.graph.output}
        for node in list(self.model.graph.node):
            self._node(node, outputs)
        inner = self.model.graph
        del inner.node[:], inner.initializer[:], inner.value_info[:]
        inner.node.extend(self.nodes)
        inner.initializer.extend(self.new_weights.values())
        return self.model.SerializeToString(deterministic=True)

    def _node(self, node, outputs: set[str]):
        floats = [i for i, name in enumerate(node.input) if self.types.get(name) == self.float]
        gives = [i for i, name in enumerate(node.output) if self.types.get(name) == self.float]
        precision = self._precision(node, floats)
        fixed = _FP32_INPUTS.get(node.op_type, set())
        for index, name in enumerate(node.input):
            if index in floats:
                want = self.float if index in fixed else precision
                node.input[index] = self._as(name, want)
            elif name in self.weights:
                self.new_weights[name] = self.weights[name]
        if gives and precision == self.half:
            self._attributes(node)
        renamed = []
        for index in gives:
            name = node.output[index]
            self.made[name] = precision
            if name in outputs and precision == self.half:
                # the graph's output keeps its name and stays FP32
                node.output[index] = f'{name}__fp16'
                self.made[node.output[index]] = self.half
                self.types[node.output[index]] = self.float
                self.copies[name, self.half] = node.output[index]
                self.made[name] = self.float
                renamed.append((node.output[index], name))
        self.nodes.append(node)
        if precision == self.half:
            self._after(node)
        for half, name in renamed:
            self._convert(half, name, self.float)

    def _after(self, node):
        """Change nothing behind an FP16 node; the emulation rounds its results."""

    def _convert(self, name: str, result: str, precision: int):
        """Append the nodes that convert tensor ``name`` to ``result`` of another precision."""
        self.nodes.append(helper.make_node('Cast', [name], [result], to=precision))

    def _precision(self, node, floats: list[int]) -> int:
        """Return the precision of a node; one that moves values has that of its inputs."""
        if node.op_type in _FOLLOWS:
            given = [self.made[node.input[i]] for i in floats if node.input[i] in self.made]
            if self.float in given:
                return self.float
        if node.op_type == 'ConstantOfShape' and not node.attribute:
            return self.float  # without a value it is zero in float32
        named = node.op_type in self.islands or node.output[0] in self.islands
        return self.float if named else self.half

    def _as(self, name: str, precision: int) -> str:
        """Return the name of tensor ``name`` in ``precision``; one cast serves all its readers."""
        if name in self.weights:
            return self._weight(name, precision)
        if self.made[name] == precision:
            return name
        key = (name, precision)
        if key not in self.copies:
            self.copies[key] = f'{name}__{"fp16" if precision == self.half else "fp32"}'
            self._convert(name, self.copies[key], precision)
        return self.copies[key]

    def _weight(self, name: str, precision: int) -> str:
        if precision == self.float:
            self.new_weights[name] = self.weights[name]
            return name
        half = f'{name}__fp16'
        if half not in self.new_weights:
            self.new_weights[half] = self._halved(self.weights[name], half)
        return half

    def _halved(self, tensor, name: str):
        values = numpy_helper.to_array(tensor)
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
        if largest > _MAX_FP16:
            raise ModelError(f'weight {tensor.name} holds {largest:g}; at most 65504 is fp16')
        return numpy_helper.from_array(self._stored(values.astype(np.float16)), name)

    def _stored(self, half: np.ndarray) -> np.ndarray:
        return half

    def _attributes(self, node):
        """Convert the attributes of constants and of casts to FP16."""
        for attribute in node.attribute:
            if node.op_type == 'Cast' and attribute.name == 'to' and attribute.i == self.float:
                attribute.i = self.half
            elif attribute.HasField('t') and attribute.t.data_type == self.float:
                attribute.t.CopyFrom(self._halved(attribute.t, attribute.t.name))
            elif attribute.name in ('value_float', 'value_floats'):
                raise ModelError(f'a Constant with {attribute.name} cannot be cast; fold it')


class _Emulation(_Cast):
    """The same casts with FP32 tensors, rounded to 11 bits and infinite beyond FP16's range."""

    def _stored(self, half: np.ndarray) -> np.ndarray:
        return half.astype(np.float32)

    def _convert(self, name: str, result: str, precision: int):
        if precision == self.half:
            self._round(name, result)
        else:
            self.nodes.append(helper.make_node('Identity', [name], [result]))

    def _after(self, node):
        if node.op_type in MOVES:
            return
        for index, name in enumerate(node.output):
            if self.types.get(name) == self.float:
                node.output[index] = f'{name}__exact'
                self._round(node.output[index], name)

    def _attributes(self, node):
        if node.op_type != 'Cast':
            super()._attributes(node)

    def _round(self, name: str, result: str):
        """
        Append x → c - (c - x) with c = (2^13 + 1) x, divided by (|x| < 65520).

        The split is Veltkamp's (Dekker, A floating-point technique for extending the available
        precision, 1971); a division by zero gives infinity.
        """
        make = helper.make_node
        for constant, value in (('__split', _SPLITTER), ('__largest', _OVERFLOW)):
            if constant not in self.new_weights:
                self.new_weights[constant] = numpy_helper.from_array(
                    np.float32(value).reshape(()), constant)
        c, d, r, m, i, f = (f'{result}__{letter}' for letter in 'cdrmif')
        self.nodes += [
            make('Mul', [name, '__split'], [c]), make('Sub', [c, name], [d]),
            make('Sub', [c, d], [r]), make('Abs', [name], [m]),
            make('Less', [m, '__largest'], [i]), make('Cast', [i], [f], to=self.float),
            make('Div', [r, f], [result])]
