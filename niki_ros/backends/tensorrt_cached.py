"""TensorRT: its library, and the engines of graphs from the cache or built into it."""

from importlib import import_module
import logging
from typing import Callable, Optional, Tuple

from niki_ros.backends.engine_cache import ANY_GPU, EngineCache, EngineKey, EngineRefused
from niki_ros.backends.tensorrt_build import build_engine, targets_of
from niki_ros.common.errors import BackendError
from niki_ros.models.graph import Graph

MAX_BATCH = 16
_LIBRARIES = ('tensorrt', 'tensorrt_rtx')  # tensorrt 10.3 or later
_REMEDY = ('on a Jetson it comes with JetPack (sudo apt install python3-libnvinfer); on a '
           'desktop: pip install tensorrt, or pip install tensorrt-rtx-cu13; or set the backend '
           'onnxruntime')
_log = logging.getLogger(__name__)


def tensorrt_library(*names: str):
    """Return the first installed library of ``names``, or of all known ones."""
    reasons = []
    for name in names or _LIBRARIES:
        try:
            library = import_module(name)
        except ImportError as error:
            reasons.append(f'{name}: {error}')
            continue
        if hasattr(library, 'Builder'):
            return library
        reasons.append(f'{name}: a placeholder without a Builder')
    raise BackendError(f'backend tensorrt: no library ({"; ".join(reasons)}); {_REMEDY}')


def load_cached_engine(graph: Graph, max_batch: int = MAX_BATCH, on_mismatch: str = 'rebuild'):
    """
    Return the engine of a graph for this machine's GPU; it is built where the cache has none.

    :param max_batch: number of people in one run; more people are run in portions.
    :param on_mismatch: ``rebuild``, or ``refuse`` with the command that builds the engine.
    :raises BackendError: without library, driver or GPU, or when a missing engine is refused.
    """
    from niki_ros.backends.cuda_driver import CudaDriver
    from niki_ros.backends.tensorrt_engine import TensorRtEngine
    module, cuda, cache = tensorrt_library(), CudaDriver(), EngineCache()
    this_gpu, any_gpu = (_key(module, graph, name, cuda.gpu.compute_capability, max_batch)
                         for name in (cuda.gpu.name, ANY_GPU))
    try:
        data = cache.load(any_gpu)  # built ahead of time for this compute capability
    except EngineRefused:
        data = cache.get(
            this_gpu, lambda: _build(module, graph, max_batch, None, _log_progress), on_mismatch,
            f'niki engine build MODEL --precision {graph.precision} --max-batch {max_batch}')
    return TensorRtEngine(data, module, cuda, graph.precision, graph.sha256)


def build_into_cache(graph: Graph, target: Optional[str] = None, max_batch: int = MAX_BATCH,
                     on_mismatch: str = 'rebuild', cache: Optional[EngineCache] = None,
                     progress: Optional[Callable[[str], None]] = None) -> EngineKey:
    """
    Build an engine where the cache has none, and return its key.

    :param target: such as ``sm89``: ahead of time, with TensorRT-RTX; None = this machine's GPU.
    :raises BackendError: as :func:`where_to_build`, and when the build fails.
    """
    module, gpu, capability = where_to_build(target)
    key = _key(module, graph, gpu, capability, max_batch)
    (cache or EngineCache()).get(
        key, lambda: _build(module, graph, max_batch, target, progress), on_mismatch)
    return key


def where_to_build(target: Optional[str]) -> Tuple:
    """Return the library that builds for ``target``, and the GPU's name and compute capability."""
    if target is None:
        from niki_ros.backends.cuda_driver import CudaDriver
        module = tensorrt_library()
        try:
            cuda = CudaDriver()
        except BackendError as error:
            targets = ', '.join(targets_of(module))
            hint = f'; or build ahead of time: --target ({targets})' if targets else ''
            raise BackendError(f'{error}{hint}') from error
        cuda.close()
        return module, cuda.gpu.name, cuda.gpu.compute_capability
    module = tensorrt_library('tensorrt_rtx')
    known = targets_of(module)
    if target not in known:
        raise BackendError(f'target is {target!r}; tensorrt_rtx {module.__version__} builds ahead '
                           f'of time for {", ".join(known)}')
    return module, ANY_GPU, target


def _key(module, graph: Graph, gpu: str, capability: str, max_batch: int) -> EngineKey:
    return EngineKey(graph.sha256, module.__name__, str(module.__version__), gpu, capability,
                     graph.precision, max_batch)


def _log_progress(line: str):
    # a build takes seconds to minutes, in which a node without output seems to hang
    _log.warning('building the engine: %s', line)


def _build(module, graph: Graph, max_batch: int, target: Optional[str], progress) -> tuple:
    """Return an engine's bytes and the facts for its manifest."""
    engine = build_engine(module, graph, max_batch, target, progress)
    return engine.data, {'build_s': round(engine.build_s, 2),
                         'layers_by_precision': engine.layers_by_precision,
                         'fp16_weights_found': engine.fp16_weights_found}
