"""
Writer of graph deltas: a graph as the parts in which it differs from another graph.

:mod:`niki_ros.models.graph_delta` describes the file and rebuilds the graph.
"""

from __future__ import annotations

from io import BytesIO
from typing import Dict, List, Tuple

from niki_ros.models.graph_delta import apply_delta, COPY, LITERAL, TO_FP16, TO_FP32
import numpy as np
import onnx

from niki_training.export.graph_facts import tensors_of

_MIN_WEIGHT_BYTES = 64
"""Smaller weights stay literal: an entry of ``parts`` has 24 bytes."""


def make_delta(base: bytes, graph: bytes) -> bytes:
    """Return the delta from which ``apply_delta(base, delta)`` rebuilds ``graph``."""
    sources = _sources(base)
    parts: List[Tuple[int, int, int]] = []
    literal, done = b'', 0
    for raw in _raw_weights(graph):
        at = graph.find(raw, done)
        if raw not in sources or at < 0:
            continue
        if at > done:
            parts.append((LITERAL, len(literal), at - done))
            literal += graph[done:at]
        parts.append(sources[raw])
        done = at + len(raw)
    parts.append((LITERAL, len(literal), len(graph) - done))
    literal += graph[done:]
    file = BytesIO()
    np.savez_compressed(file, parts=np.array(parts, np.int64),
                        literal=np.frombuffer(literal, np.uint8))
    assert apply_delta(base, file.getvalue()) == graph
    return file.getvalue()


def _raw_weights(graph: bytes) -> List[bytes]:
    """Return the bytes of the weights, in the order of the file."""
    inner = onnx.load_model_from_string(graph).graph
    return [tensor.raw_data for _, tensor in tensors_of(inner)
            if len(tensor.raw_data) >= _MIN_WEIGHT_BYTES]


def _sources(base: bytes) -> Dict[bytes, Tuple[int, int, int]]:
    """Return bytes of weights → the part that makes them from ``base``."""
    sources: Dict[bytes, Tuple[int, int, int]] = {}
    weights = _raw_weights(base)
    with np.errstate(all='ignore'):     # integers read as floats
        for operation, stored, made in ((TO_FP32, '<f2', '<f4'), (TO_FP16, '<f4', '<f2')):
            for raw in weights:
                if len(raw) % np.dtype(stored).itemsize == 0:
                    values = np.frombuffer(raw, stored).astype(made).tobytes()
                    sources[values] = operation, base.find(raw), len(raw)
    sources.update({raw: (COPY, base.find(raw), len(raw)) for raw in weights})
    return sources
