"""Put an FP16 graph into a model folder, as a delta to the main graph, with its measured error."""

import sys
from typing import Any, Callable

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import check_samples
from niki_ros.benchmarks.engine_error import compare_outputs, limits_of, model_outputs
from niki_ros.cli.arguments import add_error_arguments
from niki_ros.common.errors import ModelError
from niki_ros.models.graph import sha256
from niki_ros.models.model_folder import ModelFolder, write_file, write_manifest
from niki_ros.models.model_store import find_model, shipped_models
import numpy as np

from niki_training.export.fp16_graph import emulated_graph
from niki_training.export.fp16_search import find_fp16_graph
from niki_training.export.graph_delta import make_delta
from niki_training.export.graph_facts import layers_by_precision, weight_bytes

DELTA = 'model.fp16.delta.npz'
MAX_SAMPLES = 200
_UNITS = {'mm': ' mm', 'deg': '°', 'px': ' px', 'score': ' score'}


def add_arguments(parser) -> None:
    parser.add_argument('model', metavar='MODEL', help='model folder that is written to')
    add_error_arguments(parser)


def main(args) -> int:
    folder = find_model(args.model)
    if folder.path.resolve().parent == shipped_models().resolve():
        raise ModelError(f'{folder.path} belongs to the package and is not written to; copy the '
                         'folder and cast the copy')
    samples = check_samples(folder.manifest, args.poses, args.images, MAX_SAMPLES)
    folder = add_fp16_graph(folder, samples, limits_of(folder.manifest, args.limit),
                            lambda line: print(f'  {line}', file=sys.stderr, flush=True))
    facts = folder.manifest['graphs']['fp16']
    error = ', '.join(f'p99 {facts["error"][name]["p99"]:.4g}{unit}'
                      for name, unit in _UNITS.items() if name in facts['error'])
    print(f'{folder.path / DELTA}: {error}, in fp32: {", ".join(facts["fp32_islands"]) or "none"}')
    return 0


def add_fp16_graph(folder: ModelFolder, samples: dict[str, np.ndarray], limits: dict[str, float],
                   progress: Callable[[str], None] = lambda line: None) -> ModelFolder:
    """
    Cast the main graph of a folder to FP16 within ``limits`` and store it there.

    :param samples: see :func:`niki_ros.benchmarks.check_samples.check_samples`.
    :param limits: largest 99th percentile of each measure, such as ``{'mm': 0.5}``.
    """
    manifest, graph = folder.manifest, folder.load_graph('fp32').data
    reference = model_outputs(load_engine(graph), samples, manifest)

    def error(half: bytes) -> dict[str, Any]:
        outputs = model_outputs(load_engine(half), samples, manifest)
        return compare_outputs(reference, outputs, samples)

    def error_over_limit(half: bytes) -> float:
        facts = error(half)
        return max(facts[name]['p99'] / limit for name, limit in limits.items())

    progress('errors are 99th percentiles over the limits: '
             + ', '.join(f'{limit:g} {name}' for name, limit in limits.items()))
    half, _, islands = find_fp16_graph(graph, error_over_limit, 1.0, progress)
    return store_fp16_graph(folder, half, {
        'fp32_islands': islands, 'error': error(emulated_graph(graph, islands))})


def store_fp16_graph(folder: ModelFolder, half: bytes, facts: dict) -> ModelFolder:
    """Write an FP16 graph as a delta to the main graph, and ``facts`` into the manifest."""
    delta = make_delta(folder.load_graph().data, half)
    try:
        write_file(folder.path / DELTA, delta)
    except OSError as error:
        raise ModelError(f'{folder.path} cannot be written ({error}); copy the folder and cast '
                         'the copy') from error
    entry = {'delta': {'file': DELTA}, 'sha256': sha256(half), 'weight_bytes': weight_bytes(half),
             'layers_by_precision': layers_by_precision(half), **facts}
    graphs = {**folder.manifest.get('graphs', {}), 'fp16': entry}
    return write_manifest(folder.path, {**folder.manifest, 'graphs': graphs})
