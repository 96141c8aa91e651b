"""
Turn an FP32 graph into an FP16 one, with islands of FP32 where the error says so.

The precision lies in the graph, because strongly typed TensorRT (11 and RTX) has no flag for it.
Inputs and outputs stay FP32. Weights that are only stored in FP16 are FP16 afterwards, without a
cast. Needs the ``onnx`` package, and only here: a model folder can carry the finished FP16 graph,
so a robot does without.
"""

from __future__ import annotations

from typing import Callable, Dict, FrozenSet, Iterable, List, Set

from niki_ros.backends.graph_file import HEAVY, read_weights
from niki_ros.common.errors import BackendError, ModelError
import numpy as np

_LAYER_GROUPS = 64
_SMALL_SHARE = 0.01
# inputs that the operator wants in FP32 whatever its data is
_FP32_INPUTS = {'Resize': {1, 2}}
_HALF_MAX = 65504.0
_MOVES = frozenset({'Reshape', 'Concat', 'Split', 'Slice', 'Transpose', 'Gather', 'Unsqueeze',
                    'Squeeze', 'Identity', 'Flatten', 'Expand', 'Where', 'Pad', 'Relu', 'Clip',
                    'MaxPool'})
"""Operators that give values they were given, already rounded."""
_FOLLOWS = _MOVES | {'Add'}
"""Those in FP32 where one of their inputs is: a sum that goes on through FP32 layers stays so."""


def find_half_graph(graph: bytes, error_of: Callable[[bytes], float], limit: float,
                    progress: Callable[[str], None] = lambda line: None) -> tuple:
    """
    Cast ``graph`` with as little in FP32 as keeps the error under ``limit``.

    Every unit (a kind of element-wise operator, a few neighbouring layers) is measured alone in
    FP16; those that do most harm for their size go to FP32, as many as it takes.

    :param error_of: measures a graph, such as the 99th percentile in millimetres; it is given
        :func:`emulated_graph`, whose every step is rounded as a GPU rounds it.
    :return: the FP16 graph, its error, and what stays in FP32, as :func:`cast_graph` takes it.
    :raises BackendError: when more than half of the weights would have to stay in FP32.
    """
    def measure(islands) -> float:
        error = float(error_of(emulated_graph(graph, islands)))
        return error if error == error else float('inf')  # NaN comes of an overflow

    error = measure(())
    progress(f'everything in fp16: error {error:.4g}')
    if error <= limit:
        return cast_graph(graph), error, []
    worst = _worst_first(units_of(graph), _sizes(graph), measure, progress)
    best = _fewest(worst, measure, limit, progress)
    if best is not None:
        half = cast_graph(graph, frozenset().union(*best[0]))
        if read_weights(half).precision == 'fp16':
            return half, best[1], sorted(frozenset().union(*best[0]))
    raise BackendError('no graph with most of its weights in fp16 keeps the error under '
                       f'{limit:g} (all in fp16: {error:.4g}); use fp32, or allow more: --limit')


def _worst_first(units, sizes: Dict[str, int], measure, progress) -> List[FrozenSet[str]]:
    """
    Order units by the error that each makes when it alone is FP16, for its size.

    Errors of many units add up as squares. What has no weights is counted as a small layer.
    """
    everything: FrozenSet[str] = frozenset().union(*units)
    small = _SMALL_SHARE * sum(sizes.values())
    harm = {}
    for number, unit in enumerate(units, 1):
        error = measure(everything - unit)
        harm[unit] = error**2 / (small + sum(sizes.get(name, 0) for name in unit))
        progress(f'{number}/{len(units)} {_called(unit)} alone in fp16: error {error:.4g}')
    return sorted(units, key=lambda unit: -harm[unit])


def _sizes(graph: bytes) -> Dict[str, int]:
    """Return the number of weights of every layer, by the name of its output."""
    model, _ = _load(graph)
    counts = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
    return {node.output[0]: sum(counts.get(name, 0) for name in node.input)
            for node in model.graph.node if node.op_type in HEAVY}


def _fewest(worst, measure, limit: float, progress):
    """Return how few of the worst units in FP32 keep the limit, and the error; None = never."""
    low, high, best = 1, len(worst), None
    while low <= high:
        middle = (low + high) // 2
        error = measure(frozenset().union(*worst[:middle]))
        progress(f'the worst {middle} of {len(worst)} in fp32: error {error:.4g}')
        if error <= limit:
            best, high = (worst[:middle], error), middle - 1
        else:
            low = middle + 1
    return best


def units_of(graph: bytes) -> List[FrozenSet[str]]:
    """
    Return what can be put into FP32 by itself.

    A kind of element-wise operator, or neighbouring layers with weights by the names of their
    outputs. Operators that only move values follow their inputs.
    """
    model, types = _load(graph)
    kinds, layers = set(), []
    for node in model.graph.node:
        if not any(types.get(name) == _float(model) for name in node.output):
            continue
        if node.op_type in HEAVY:
            layers.append(node.output[0])
        elif node.op_type not in _MOVES | {'Cast', 'Constant'}:
            kinds.add(node.op_type)
    size = -(-len(layers) // _LAYER_GROUPS) or 1
    groups = [frozenset(layers[i:i + size]) for i in range(0, len(layers), size)]
    return [frozenset({kind}) for kind in sorted(kinds)] + groups


def _called(unit: FrozenSet[str]) -> str:
    names = sorted(unit)
    return names[0] if len(names) == 1 else f'{names[0]} and {len(names) - 1} more'


def cast_graph(graph: bytes, islands: Iterable[str] = ()) -> bytes:
    """Return ``graph`` in FP16, but ``islands`` (kinds, or nodes by their output) in FP32."""
    return _Cast(graph, frozenset(islands)).result()


def emulated_graph(graph: bytes, islands: Iterable[str] = ()) -> bytes:
    """
    Return an FP32 graph that computes what the FP16 one computes on a GPU.

    ONNX Runtime on a CPU has few FP16 kernels: it computes in FP32 between casts, drops the casts
    that meet, and so shows an error that is too small. Here every result is rounded by arithmetic.
    """
    return _Emulation(graph, frozenset(islands)).result()


def widened(graph: bytes) -> bytes:
    """Return ``graph`` with the weights that are only stored in FP16 as plain FP32 ones."""
    model = _onnx().load_model_from_string(graph)
    _widen(model)
    return model.SerializeToString()


def _widen(model):
    """Put FP32 weights in the place of FP16 ones that are cast to FP32."""
    onnx = _onnx()
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    inner = model.graph
    stored = {t.name: t for t in inner.initializer if t.data_type == half}
    casts = [node for node in inner.node if node.op_type == 'Cast' and node.input[0] in stored
             and node.attribute[0].i == full]
    for node in casts:
        values = onnx.numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        inner.initializer.append(onnx.numpy_helper.from_array(values, node.output[0]))
        inner.node.remove(node)
    read = {name for node in inner.node for name in node.input}
    for name in {node.input[0] for node in casts} - read:
        inner.initializer.remove(stored[name])


def _onnx():
    try:
        import onnx
    except ImportError as error:
        raise BackendError(
            f'to cast a graph to fp16 the onnx package is needed ({error}): pip install onnx; or '
            'take a model folder that has model.fp16.onnx') from error
    return onnx


def _float(model) -> int:
    return _onnx().TensorProto.FLOAT


def _load(graph: bytes) -> tuple:
    """Return the model with its shapes inferred, and the element type of every tensor."""
    onnx = _onnx()
    try:
        model = onnx.load_model_from_string(graph)
        _widen(model)
        model = onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf's and onnx's own errors have no common base
        raise ModelError(f'the graph cannot be read: {error}') from error
    inner = model.graph
    if any(a.g.node or a.graphs for node in inner.node for a in node.attribute):
        raise ModelError('the graph has branches or loops (If, Loop, Scan): no fp16 for these')
    types = {v.name: v.type.tensor_type.elem_type
             for v in (*inner.value_info, *inner.input, *inner.output)}
    types.update({t.name: t.data_type for t in inner.initializer})
    for node in inner.node:
        # shape inference leaves these out where the shape is only known at run time
        if node.op_type == 'ConstantOfShape' and not types.get(node.output[0]):
            values = [a.t.data_type for a in node.attribute if a.name == 'value']
            types[node.output[0]] = values[0] if values else onnx.TensorProto.FLOAT
    return model, types


class _Cast:
    """One pass over the nodes; every tensor is made in one precision and cast where needed."""

    def __init__(self, graph: bytes, islands: FrozenSet[str]):
        self.onnx = _onnx()
        self.model, self.types = _load(graph)
        self.islands = islands
        self.float, self.half = self.onnx.TensorProto.FLOAT, self.onnx.TensorProto.FLOAT16
        self.weights = {t.name: t for t in self.model.graph.initializer}
        self.made: Dict[str, int] = {v.name: self.float for v in self.model.graph.input}
        self.nodes: List = []
        self.copies: Dict[tuple, str] = {}
        self.new_weights: Dict[str, object] = {}

    def result(self) -> bytes:
        """Return the new graph."""
        outputs = {v.name for v in self.model.graph.output}
        for node in list(self.model.graph.node):
            self._node(node, outputs)
        inner = self.model.graph
        del inner.node[:], inner.initializer[:], inner.value_info[:]
        inner.node.extend(self.nodes)
        inner.initializer.extend(self.new_weights.values())
        return self.model.SerializeToString(deterministic=True)

    def _node(self, node, outputs: Set[str]):
        """Rewrite one node: its inputs in its own precision, its outputs noted in it."""
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
        if gives:
            self._attributes(node, precision)
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
        """Tell the emulation that ``node`` has been put, in FP16."""

    def _convert(self, name: str, result: str, precision: int):
        """Put the nodes that turn tensor ``name`` into ``result`` of another precision."""
        self.nodes.append(self.onnx.helper.make_node('Cast', [name], [result], to=precision))

    def _precision(self, node, floats: List[int]) -> int:
        """Return the precision that a node works in; what only moves values takes theirs."""
        if node.op_type in _FOLLOWS:
            given = [self.made[node.input[i]] for i in floats if node.input[i] in self.made]
            if self.float in given:
                return self.float
        if node.op_type == 'ConstantOfShape' and not node.attribute:
            return self.float  # its value is a float32 zero unless it says otherwise
        named = node.op_type in self.islands or node.output[0] in self.islands
        return self.float if named else self.half

    def _as(self, name: str, precision: int) -> str:
        """Return the name of tensor ``name`` in ``precision``, cast once for all its readers."""
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
        values = self.onnx.numpy_helper.to_array(tensor)
        largest = float(np.abs(values[np.isfinite(values)]).max(initial=0))
        if largest > _HALF_MAX:
            raise ModelError(f'weight {tensor.name} holds {largest:g}, more than fp16 can (65504)')
        return self.onnx.numpy_helper.from_array(self._stored(values.astype(np.float16)), name)

    def _stored(self, half: np.ndarray) -> np.ndarray:
        return half

    def _attributes(self, node, precision: int):
        """Constants and casts inside the graph give the precision of their node too."""
        for attribute in node.attribute:
            if precision != self.half:
                continue
            if node.op_type == 'Cast' and attribute.name == 'to' and attribute.i == self.float:
                attribute.i = self.half
            elif attribute.HasField('t') and attribute.t.data_type == self.float:
                attribute.t.CopyFrom(self._halved(attribute.t, attribute.t.name))
            elif attribute.name in ('value_float', 'value_floats'):
                raise ModelError(f'a Constant with {attribute.name} cannot be cast: fold it')


class _Emulation(_Cast):
    """The same decisions; FP16 is FP32 rounded to 11 significant bits, infinite past its range."""

    def _stored(self, half: np.ndarray) -> np.ndarray:
        return half.astype(np.float32)

    def _convert(self, name: str, result: str, precision: int):
        if precision == self.half:
            self._round(name, result)
        else:
            self.nodes.append(self.onnx.helper.make_node('Identity', [name], [result]))

    def _after(self, node):
        if node.op_type in _MOVES:
            return
        for index, name in enumerate(node.output):
            if self.types.get(name) == self.float:
                node.output[index] = f'{name}__exact'
                self._round(node.output[index], name)

    def _attributes(self, node, precision: int):
        if node.op_type != 'Cast':
            super()._attributes(node, precision)

    def _round(self, name: str, result: str):
        """Veltkamp's split: c = (2^13 + 1) x, x rounded = c - (c - x); then x / (|x| < 65520)."""
        make = self.onnx.helper.make_node
        for constant, value in (('__split', 8193.0), ('__largest', 65520.0)):
            if constant not in self.new_weights:
                self.new_weights[constant] = self.onnx.numpy_helper.from_array(
                    np.float32(value).reshape(()), constant)
        c, d, r, m, i, f = (f'{result}__{letter}' for letter in 'cdrmif')
        self.nodes += [
            make('Mul', [name, '__split'], [c]), make('Sub', [c, name], [d]),
            make('Sub', [c, d], [r]), make('Abs', [name], [m]),
            make('Less', [m, '__largest'], [i]), make('Cast', [i], [f], to=self.float),
            make('Div', [r, f], [result])]
