"""
Store the graph of a model folder as a delta to the graph of another folder.

The network for one frame, niki, is a part of niki-temporal, and so its weights ship once.
:mod:`niki_ros.models.graph_delta` describes and reads the delta.
"""

from io import BytesIO
from pathlib import Path

from niki_ros.common.errors import ModelError
from niki_ros.models import model_folder
from niki_ros.models.graph_delta import (
    apply_delta,
    COPY,
    int8_of,
    LITERAL,
    TO_FP16,
    TO_FP32,
    TO_INT8,
)
from niki_ros.models.model_folder import ModelFolder
import numpy as np
import onnx
from onnx import numpy_helper

from niki_training.export.graph_facts import tensors_of

DELTA = 'model.delta.npz'
_INT8 = '_quantized'  # end of the names of INT8 weights, as ONNX Runtime gives them
_MAX_DELTA_RATIO = 0.2  # of a delta to its graph; without common weights it is 0.9
_MIN_WEIGHT_BYTES = 64  # smaller weights stay literal: an entry of ``parts`` has 24 bytes


def make_delta(base: bytes, graph: bytes) -> bytes:
    """Return the delta from which ``apply_delta(base, delta)`` rebuilds ``graph``."""
    weights = _raw_weights(base)
    sources = _sources(base, weights)
    int8_scales = _int8_scales(graph)
    parts: list[tuple[int, int, int]] = []
    scales: list[float] = []
    literal, done = b'', 0
    for raw in _raw_weights(graph):
        at = graph.find(raw, done)
        if raw in int8_scales:
            found = _int8_parts(base, weights, raw, int8_scales[raw])
        else:
            found = [sources[raw]] if raw in sources else []
        if not found or at < 0:
            continue
        if at > done:
            parts.append((LITERAL, len(literal), at - done))
            literal += graph[done:at]
        parts += found
        scales += int8_scales[raw].tolist() if raw in int8_scales else []
        done = at + len(raw)
    parts.append((LITERAL, len(literal), len(graph) - done))
    literal += graph[done:]
    file = BytesIO()
    arrays = {'parts': np.array(parts, np.int64), 'literal': np.frombuffer(literal, np.uint8)}
    if scales:
        arrays['scales'] = np.array(scales, np.float32)
    np.savez_compressed(file, **arrays)
    assert apply_delta(base, file.getvalue()) == graph
    return file.getvalue()


def _raw_weights(graph: bytes) -> list[bytes]:
    inner = onnx.load_model_from_string(graph).graph
    return [tensor.raw_data for _, tensor in tensors_of(inner)
            if len(tensor.raw_data) >= _MIN_WEIGHT_BYTES]


def _int8_scales(graph: bytes) -> dict[bytes, np.ndarray]:
    """Return bytes of INT8 weights → the scale (channels,) of each output channel."""
    tensors = dict(tensors_of(onnx.load_model_from_string(graph).graph))
    return {tensor.raw_data: numpy_helper.to_array(tensors[name[:-len(_INT8)] + '_scale']).ravel()
            for name, tensor in tensors.items() if name.endswith(_INT8)
            and tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1}


def _int8_parts(base: bytes, weights: list[bytes], raw: bytes,
                scales: np.ndarray) -> list[tuple[int, int, int]]:
    """Return the parts of ``base``, one for each scale, that make INT8 weights; [] = none do."""
    int8 = np.frombuffer(raw, np.int8)
    per_value = np.repeat(scales, len(int8) // len(scales))
    for stored in weights:
        if len(stored) == 2 * len(int8):
            with np.errstate(all='ignore'):     # integers read as floats
                is_source = np.array_equal(int8_of(np.frombuffer(stored, '<f2'), per_value), int8)
            if is_source:
                at, size = base.find(stored), len(stored) // len(scales)
                return [(TO_INT8, at + i * size, size) for i in range(len(scales))]
    return []


def _sources(base: bytes, weights: list[bytes]) -> dict[bytes, tuple[int, int, int]]:
    """Return bytes of weights → the part that makes them from ``base``."""
    sources: dict[bytes, tuple[int, int, int]] = {}
    with np.errstate(all='ignore'):     # integers read as floats
        for operation, stored, made in ((TO_FP32, '<f2', '<f4'), (TO_FP16, '<f4', '<f2')):
            for raw in weights:
                if len(raw) % np.dtype(stored).itemsize == 0:
                    values = np.frombuffer(raw, stored).astype(made).tobytes()
                    sources[values] = operation, base.find(raw), len(raw)
    sources.update({raw: (COPY, base.find(raw), len(raw)) for raw in weights})
    return sources


def add_arguments(parser) -> None:
    parser.add_argument('part', type=Path, metavar='PART', help='model folder that is rewritten')
    parser.add_argument('whole', type=Path, metavar='WHOLE',
                        help='model folder with the same weights, in the same parent folder')


def main(args) -> int:
    folder = share_graph(args.part, args.whole)
    size = (folder.path / DELTA).stat().st_size
    print(f'{folder.path}: {size / 1e3:.1f} kB, the weights are those of {args.whole}')
    return 0


def share_graph(part: Path, whole: Path) -> ModelFolder:
    """Replace ``model.onnx`` of ``part`` by a delta to the graph of ``whole``; its bytes stay."""
    folder, base = model_folder.read_model_folder(part), model_folder.read_model_folder(whole)
    if folder.path.resolve().parent != base.path.resolve().parent:
        raise ModelError(f'{whole} is not in the same parent folder as {part}')
    graph = folder.load_graph().data
    delta = make_delta(base.load_graph().data, graph)
    if len(delta) > _MAX_DELTA_RATIO * len(graph):
        raise ModelError(f'{part} and {whole} have few weights in common: the delta would have '
                         f'{len(delta)} bytes, the graph has {len(graph)}')
    model_folder.write_file(folder.path / DELTA, delta)
    link = {'file': DELTA, 'base': base.path.resolve().name}
    shared = model_folder.write_manifest(folder.path, {**folder.manifest, 'delta': link})
    (folder.path / model_folder.GRAPH).unlink(missing_ok=True)
    return shared
