"""An ONNX graph: its bytes, and the facts about them that a manifest states."""

from dataclasses import dataclass, field
from functools import cached_property
import hashlib
from typing import Mapping, Optional

UNKNOWN = 'unknown'
"""Precision of a graph without a manifest: the libraries that run it do not report it."""


@dataclass(frozen=True)
class Graph:
    """
    The bytes of an ONNX file and the facts that its model folder states.

    Weights that are stored as FP16 and cast to FP32 before they are used count as FP32 in all
    facts: the libraries do that cast once, when they load the graph.
    """

    data: bytes = field(repr=False)
    precision: str = UNKNOWN  # of most weights: ``fp32``, ``fp16``, or UNKNOWN
    weight_bytes: Optional[int] = None  # None where the manifest does not state them
    # number of layers with weights by the precision of their computation: {'fp16': 53, 'fp32': 1}
    layers_by_precision: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        return sha256(self.data)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()
