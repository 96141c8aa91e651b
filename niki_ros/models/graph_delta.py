"""
Rebuilds a graph from another graph, its base, and a small file of differences.

Two graphs of one network hold the same weights (in FP16 and in FP32, or a network and its part),
which are stored once: the second graph is a list of parts, which joined give its exact bytes.
``niki_training.export.graph_delta`` makes the file, an ``.npz`` with

- ``parts`` (n, 3) int64: operation, first byte, number of bytes;
- ``literal`` (m,) uint8: the bytes that the base does not have.
"""

from io import BytesIO
from zipfile import BadZipFile
import zlib

from niki_ros.common.errors import ModelError
import numpy as np

COPY, TO_FP16, TO_FP32, LITERAL = range(4)
"""Operations: bytes of the base as they are, as FP32 rounded to FP16, as FP16 in FP32; literal."""


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Return the graph of a delta; compare its sha256, because another base is not detected."""
    try:
        with np.load(BytesIO(delta), allow_pickle=False) as stored:
            parts, literal = stored['parts'].tolist(), stored['literal'].tobytes()
        return b''.join(_part(operation, (literal if operation == LITERAL else base)[at:at + size])
                        for operation, at, size in parts)
    except (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError, zlib.error) as error:
        raise ModelError(f'the delta of a graph is damaged: {error}') from error


def _part(operation: int, data: bytes) -> bytes:
    if operation == TO_FP16:
        return np.frombuffer(data, '<f4').astype('<f2').tobytes()
    if operation == TO_FP32:
        return np.frombuffer(data, '<f2').astype('<f4').tobytes()
    return data
