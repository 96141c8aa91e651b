"""Searches the FP32 islands of an FP16 graph: as few as keep its error under a limit."""

from typing import Callable

from niki_ros.common.errors import ModelError
import numpy as np
from onnx import TensorProto

from niki_training.export.fp16_graph import cast_graph, emulated_graph, load_with_types, MOVES
from niki_training.export.graph_facts import LAYER_OPERATORS, precision_of

_MAX_LAYER_UNITS = 64
_MIN_COST_RATIO = 0.01  # cost of a unit without weights, over all weights: that of a small layer
Unit = frozenset[str]  # a set of islands that are decided together, see :func:`units_of`


def find_fp16_graph(graph: bytes, error_of: Callable[[bytes], float], limit: float,
                    progress: Callable[[str], None] = lambda line: None) -> tuple:
    """
    Cast ``graph`` with the fewest islands whose error is at most ``limit``.

    Every unit is measured alone in FP16. The units with the largest error for their size go to
    FP32; their number is found by bisection.

    :param error_of: measures an :func:`emulated_graph`, whose results are rounded as on a GPU,
        such as its 99th percentile in millimetres.
    :return: the FP16 graph, its error, and its islands.
    :raises ModelError: when more than half of the weights would have to stay in FP32.
    """
    def measure(islands) -> float:
        error = float(error_of(emulated_graph(graph, islands)))
        return float('inf') if np.isnan(error) else error  # an overflow gives NaN

    error = measure(())
    progress(f'everything in fp16: error {error:.4g}')
    if error <= limit:
        return cast_graph(graph), error, []
    worst = _worst_first(units_of(graph), _weight_counts(graph), measure, progress)
    fewest = _fewest(worst, measure, limit, progress)
    if fewest is not None:
        islands, island_error = fewest
        half = cast_graph(graph, islands)
        if precision_of(half) == 'fp16':
            return half, island_error, sorted(islands)
    raise ModelError('no graph with most of its weights in fp16 keeps the error under '
                     f'{limit:g} (all in fp16: {error:.4g}); use fp32, or allow more: --limit')


def units_of(graph: bytes) -> list[Unit]:
    """
    Return the units that can be put into FP32 separately.

    A unit is one type of element-wise operator, or a few adjacent layers with weights, by the
    names of their outputs. Operators that move values follow their inputs.
    """
    model, types = load_with_types(graph)
    operators, layers = set(), []
    for node in model.graph.node:
        if not any(types.get(name) == TensorProto.FLOAT for name in node.output):
            continue
        if node.op_type in LAYER_OPERATORS:
            layers.append(node.output[0])
        elif node.op_type not in MOVES | {'Cast', 'Constant'}:
            operators.add(node.op_type)
    size = -(-len(layers) // _MAX_LAYER_UNITS) or 1
    groups = [frozenset(layers[i:i + size]) for i in range(0, len(layers), size)]
    return [frozenset({operator}) for operator in sorted(operators)] + groups


def _worst_first(units: list[Unit], counts: dict[str, int], measure, progress) -> list[Unit]:
    """Order units by the square of their error alone in FP16 over their number of weights."""
    everything: Unit = frozenset().union(*units)
    smallest = _MIN_COST_RATIO * sum(counts.values())
    harm = {}
    for number, unit in enumerate(units, 1):
        error = measure(everything - unit)
        # errors of many units add up as squares
        harm[unit] = error**2 / (smallest + sum(counts.get(name, 0) for name in unit))
        progress(f'{number}/{len(units)} {_name(unit)} alone in fp16: error {error:.4g}')
    return sorted(units, key=lambda unit: -harm[unit])


def _weight_counts(graph: bytes) -> dict[str, int]:
    model, _ = load_with_types(graph)
    counts = {t.name: int(np.prod(t.dims)) for t in model.graph.initializer}
    return {node.output[0]: sum(counts.get(name, 0) for name in node.input)
            for node in model.graph.node if node.op_type in LAYER_OPERATORS}


def _fewest(worst: list[Unit], measure, limit: float, progress) -> tuple[Unit, float] | None:
    """Return the fewest of the worst units that keep the limit, and their error; None = none."""
    low, high, best = 1, len(worst), None
    while low <= high:
        middle = (low + high) // 2
        islands: Unit = frozenset().union(*worst[:middle])
        error = measure(islands)
        progress(f'the worst {middle} of {len(worst)} in fp32: error {error:.4g}')
        if error <= limit:
            best, high = (islands, error), middle - 1
        else:
            low = middle + 1
    return best


def _name(unit: Unit) -> str:
    names = sorted(unit)
    return names[0] if len(names) == 1 else f'{names[0]} and {len(names) - 1} more'
