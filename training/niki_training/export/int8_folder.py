"""
Put an INT8 graph into the model folder of a detector, for CPUs.

Weights have 8 bits per output channel, of which 7 are used: CPUs without instructions for products
of 8 bits sum two such products in 16 bits. Inputs of convolutions have 8 bits, in a range measured
on images of people. The convolutions next to the outputs stay in FP32.
"""

from pathlib import Path
import tempfile
from typing import Any

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import check_samples, IMAGE_INPUTS
from niki_ros.benchmarks.engine_error import compare_outputs, model_outputs
from niki_ros.common.errors import ModelError
from niki_ros.models.graph import sha256
from niki_ros.models.model_folder import ModelFolder, write_file, write_manifest
from niki_ros.models.model_store import find_model, shipped_models
import numpy as np
import onnx

from niki_training.export.graph_delta import make_delta

DELTA = 'model.int8.delta.npz'


def add_arguments(parser) -> None:
    parser.add_argument('model', metavar='MODEL', help='model folder that is written to')
    parser.add_argument('--images', metavar='DIR',
                        help='images of people, for the ranges; default: those that ship')


def main(args) -> int:
    folder = find_model(args.model)
    if folder.path.resolve().parent == shipped_models().resolve():
        raise ModelError(f'{folder.path} belongs to the package and is not written to; copy the '
                         'folder and quantize the copy')
    if folder.manifest['kind'] not in IMAGE_INPUTS:
        raise ModelError(f'{folder.path} is of kind {folder.manifest["kind"]!r}; expected one of '
                         f'{", ".join(IMAGE_INPUTS)}, whose input is an image')
    folder = add_int8_graph(folder, check_samples(folder.manifest, images=args.images))
    print(f'{folder.path / DELTA}: {folder.manifest["graphs"]["int8"]["error"]}')
    return 0


def add_int8_graph(folder: ModelFolder, samples: dict[str, np.ndarray]) -> ModelFolder:
    """
    Quantize the main graph of a folder and store the result there, as a delta.

    :param samples: ``image`` (n, 3, size, size); see
        :func:`niki_ros.benchmarks.check_samples.check_samples`.
    """
    graph = folder.load_graph('fp32').data
    quantized = int8_graph(graph, samples['image'])
    reference, outputs = (model_outputs(load_engine(one), samples, folder.manifest)
                          for one in (graph, quantized))
    write_file(folder.path / DELTA, make_delta(graph, quantized))
    entry: dict[str, Any] = {
        'delta': {'file': DELTA}, 'sha256': sha256(quantized),
        'error': compare_outputs(reference, outputs, samples)}
    graphs = {**folder.manifest.get('graphs', {}), 'int8': entry}
    return write_manifest(folder.path, {**folder.manifest, 'graphs': graphs})


def int8_graph(graph: bytes, images: np.ndarray) -> bytes:
    """Return a graph with convolutions in INT8; ``images`` (n, 3, size, size) give the ranges."""
    import onnxruntime
    from onnxruntime import quantization
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder, 'plain.onnx'), Path(folder, 'int8.onnx')
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(graph, options, providers=['CPUExecutionProvider'])
        quantization.quantize_static(
            plain, quantized, _Images(images), quant_format=quantization.QuantFormat.QDQ,
            per_channel=True, reduce_range=True, op_types_to_quantize=['Conv'],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=last_convolutions(onnx.load(str(plain)).graph))
        return quantized.read_bytes()


def last_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the convolutions without another one between them and an output."""
    maker = {name: node for node in graph.node for name in node.output}
    names, waiting = set(), [output.name for output in graph.output]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.op_type == 'Conv':
            names.add(node.name)
        elif node is not None:
            waiting += node.input
    return sorted(names)


class _Images:
    """Gives one image after the other to the calibration of ONNX Runtime."""

    def __init__(self, images: np.ndarray):
        self._left = iter(images)

    def get_next(self):
        image = next(self._left, None)
        return None if image is None else {'image': image[None]}
