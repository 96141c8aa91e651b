"""From a graph to a running TensorRT engine by way of the cache."""

from __future__ import annotations

import logging
from typing import Callable, Optional

from niki_ros.backends.engine_cache import ANY_GPU, EngineCache, EngineKey, EngineRefused
from niki_ros.backends.graph_file import read_weights
from niki_ros.backends.tensorrt_build import build_engine, targets_of, weights_found
from niki_ros.backends.tensorrt_library import tensorrt_library
from niki_ros.common.errors import BackendError
from niki_ros.models.model_folder import sha256

MAX_BATCH = 16
_log = logging.getLogger(__name__)


def load_cached_engine(graph: bytes, max_batch: int = MAX_BATCH, on_mismatch: str = 'rebuild',
                       library: Optional[str] = None, cache: Optional[EngineCache] = None,
                       progress: Optional[Callable[[str], None]] = None):
    """
    Return the engine of ``graph`` for this machine's GPU, from the cache or built now.

    :param max_batch: people at once; more go in portions.
    :param on_mismatch: ``rebuild``, or ``refuse`` with the command that builds it.
    :raises BackendError: without library, driver or GPU, or when a missing engine is refused.
    """
    from niki_ros.backends.cuda_driver import CudaDriver
    from niki_ros.backends.tensorrt_engine import TensorRtEngine
    module = tensorrt_library(library)
    cuda = CudaDriver()
    cache = cache or EngineCache()
    precision = read_weights(graph).precision
    keys = [engine_key(module, graph, gpu, cuda.gpu.compute_capability, max_batch)
            for gpu in (cuda.gpu.name, ANY_GPU)]
    try:
        data = cache.load(keys[1])  # built ahead of time for this kind of GPU
    except EngineRefused:
        tell = progress or _tell
        data = cache.get(
            keys[0], lambda: _built(module, graph, max_batch, None, tell), on_mismatch,
            f'niki engine build MODEL --precision {precision} --max-batch {max_batch}')
    return TensorRtEngine(data, module, cuda, precision, sha256(graph))


def build_into_cache(graph: bytes, target: Optional[str] = None, max_batch: int = MAX_BATCH,
                     on_mismatch: str = 'rebuild', cache: Optional[EngineCache] = None,
                     progress: Optional[Callable[[str], None]] = None) -> EngineKey:
    """
    Build one engine unless a sound one is there already, and return its key.

    :param target: such as ``sm89``: ahead of time, with TensorRT-RTX; None = this machine's GPU.
    """
    module, gpu, capability = where_to_build(target)
    key = engine_key(module, graph, gpu, capability, max_batch)
    (cache or EngineCache()).get(
        key, lambda: _built(module, graph, max_batch, target, progress), on_mismatch)
    return key


def where_to_build(target: Optional[str]) -> tuple:
    """
    Return the library that builds for ``target``, and the GPU's name and compute capability.

    :raises BackendError: without the library, or without a GPU when there is no target.
    """
    if target is None:
        from niki_ros.backends.cuda_driver import CudaDriver
        module = tensorrt_library()
        try:
            cuda = CudaDriver()
        except BackendError as error:
            ahead = ', '.join(targets_of(module))
            hint = f'; or build ahead of time: --target ({ahead})' if ahead else ''
            raise BackendError(f'{error}{hint}') from error
        cuda.close()
        return module, cuda.gpu.name, cuda.gpu.compute_capability
    module = tensorrt_library('tensorrt_rtx')
    known = targets_of(module)
    if target not in known:
        raise BackendError(f'target is {target!r}; tensorrt_rtx {module.__version__} builds ahead '
                           f'of time for {", ".join(known)}')
    return module, ANY_GPU, target


def engine_key(module, graph: bytes, gpu: str, capability: str, max_batch: int) -> EngineKey:
    """Return the key of the engine of ``graph``; its precision is read from the graph."""
    return EngineKey(sha256(graph), module.__name__, str(module.__version__), gpu, capability,
                     read_weights(graph).precision, max_batch)


def _tell(line: str):
    # a build takes seconds to minutes, in which a node that is silent looks dead
    _log.warning('building the engine: %s', line)


def _built(module, graph, max_batch, target, progress) -> tuple:
    engine = build_engine(module, graph, max_batch, target, progress)
    return engine.data, {'build_s': round(engine.build_s, 2),
                         'layers_by_precision': engine.layers_by_precision,
                         'fp16_weights_found': weights_found(graph, engine.data)}
