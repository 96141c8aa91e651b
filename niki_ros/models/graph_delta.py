"""
Rebuilds a graph from another graph, its base, and a small file of differences.

Two graphs of one network hold the same weights (in FP16, FP32 and INT8, or a network and its
part), which are stored once: the second graph is a list of parts, which joined give its bytes.
``niki_training.export.graph_delta`` makes the file, an ``.npz`` with

- ``parts`` (n, 3) int64: operation, first byte, number of bytes;
- ``literal`` (m,) uint8: the bytes that the base does not have;
- ``scales`` (k,) float32: of the parts ``TO_INT8``, one after the other; only where there are any.
"""

from io import BytesIO
from zipfile import BadZipFile
import zlib

from niki_ros.common.errors import ModelError
import numpy as np

COPY, TO_FP16, TO_FP32, LITERAL, TO_INT8 = range(5)
"""
Operations: bytes of the base as they are, as FP32 rounded to FP16, as FP16 in FP32; literal; FP16
over a scale, rounded to INT8.
"""


def apply_delta(base: bytes, delta: bytes) -> bytes:
    """Return the graph of a delta; compare its sha256, because another base is not detected."""
    try:
        with np.load(BytesIO(delta), allow_pickle=False) as stored:
            parts, literal = stored['parts'], stored['literal'].tobytes()
            scales = np.ones(len(parts), np.float32)
            if TO_INT8 in parts[:, 0]:
                scales[parts[:, 0] == TO_INT8] = stored['scales']
        return b''.join(
            _part(operation, (literal if operation == LITERAL else base)[at:at + size], scale)
            for (operation, at, size), scale in zip(parts.tolist(), scales))
    except (BadZipFile, EOFError, IndexError, KeyError, OSError, TypeError, ValueError,
            zlib.error) as error:
        raise ModelError(f'the delta of a graph is damaged: {error}') from error


def int8_of(fp16: np.ndarray, scale) -> np.ndarray:
    """Return FP16 values over their scale, a number or one for each, rounded to INT8."""
    return np.clip(np.rint(fp16.astype(np.float32) / scale), -127, 127).astype(np.int8)


def _part(operation: int, data: bytes, scale: np.float32) -> bytes:
    if operation == TO_FP16:
        return np.frombuffer(data, '<f4').astype('<f2').tobytes()
    if operation == TO_FP32:
        return np.frombuffer(data, '<f2').astype('<f4').tobytes()
    if operation == TO_INT8:
        return int8_of(np.frombuffer(data, '<f2'), scale).tobytes()
    return data
