"""
Builds a TensorRT engine from a graph, with TensorRT 10.3, 10.16, 11.x or TensorRT-RTX.

Networks are strongly typed: the precision is that of the graph, and no builder flag changes it.
TensorRT-RTX also builds for a GPU that this machine does not have.
"""

from dataclasses import dataclass
from time import perf_counter
from typing import Callable, Dict, List, Optional

from niki_ros.common.errors import BackendError, ModelError
from niki_ros.models.graph import Graph
import numpy as np

WORKSPACE_BYTES = 1 << 30
"""TensorRT's default is all of the device, which on a Jetson is also the robot's memory."""
_MIN_SIZE_CHECK_BYTES = 32 << 20
_MAX_SIZE_RATIO = 1.5
_WEIGHTS_SEARCHED_COUNT, _SAMPLE_NUMBERS_COUNT = 8, 12


@dataclass(frozen=True)
class BuiltEngine:
    """A serialized engine and the facts for its manifest."""

    data: bytes
    build_s: float
    layers_by_precision: Dict[str, int]  # number of layers that multiply
    fp16_weights_found: Dict[str, int]  # see :func:`weights_found`, of the largest weights


def build_engine(library, graph: Graph, max_batch: int, target: Optional[str] = None,
                 progress: Optional[Callable[[str], None]] = None) -> BuiltEngine:
    """
    Build for this machine's GPU, or ahead of time for ``target`` (TensorRT-RTX), such as ``sm89``.

    :param target: one of :func:`targets_of`. :param progress: called with the name of every phase.
    :raises ModelError: when the parser refuses the graph, with its reasons.
    :raises BackendError: when the build fails, or an FP16 graph gives an engine in FP32.
    """
    start = perf_counter()
    logger = _logger(library)
    builder = library.Builder(logger)
    network = builder.create_network(_flags(library))
    parser = library.OnnxParser(network, logger)
    if not parser.parse(graph.data):
        reasons = '; '.join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ModelError(f'{library.__name__} cannot take the graph: {reasons}')
    layers = _layers_by_precision(library, network)
    config = _config(library, builder, network, max_batch, target)
    if progress is not None:
        config.progress_monitor = _monitor(library, progress)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f'{library.__name__} {library.__version__} built no engine for '
                           f'{target or "this GPU"}: {logger.last_error or "see its log"}')
    data, found = bytes(plan), {'fp16': 0, 'fp32': 0}
    if graph.precision == 'fp16':
        found = weights_found(_largest_fp16_weights(library, network), data)
        check_fp16(graph, data, layers, found)
    return BuiltEngine(data, perf_counter() - start, layers, found)


def targets_of(library) -> tuple:
    """Return the GPUs, such as ``sm89``, for which this library can build ahead of time."""
    capabilities = getattr(library, 'ComputeCapability', None)
    names = [n for n in dir(capabilities) if n.startswith('SM')] if capabilities else []
    return tuple(sorted((n.lower() for n in names), key=lambda n: int(n[2:])))


def weights_found(weights: List[np.ndarray], engine: bytes) -> Dict[str, int]:
    """
    Count the matrices (rows, columns) float16 that an engine contains, as FP16 and as FP32.

    A few numbers of a row are searched, and of a column, for an engine that keeps the transpose.
    Weights in an order of the library's own (convolutions) are not found.
    """
    counts = {'fp16': 0, 'fp32': 0}
    for matrix in weights:
        samples = [matrix[0, :_SAMPLE_NUMBERS_COUNT], matrix[:_SAMPLE_NUMBERS_COUNT, 0]]
        # a sample of zeros would be found anywhere
        samples = [s for s in samples if len(np.unique(s)) == _SAMPLE_NUMBERS_COUNT]
        for name, dtype in (('fp16', np.float16), ('fp32', np.float32)):
            counts[name] += any(s.astype(dtype).tobytes() in engine for s in samples)
    return counts


def check_fp16(graph: Graph, engine: bytes, layers: Dict[str, int], found: Dict[str, int]):
    """
    Raise a BackendError for the engine of an FP16 graph that computes or stores weights in FP32.

    An engine that reports fp16 and keeps fp32 weights is a fault that was seen in the field.

    :param layers: of the parsed network, see :class:`BuiltEngine`.
    :param found: see :func:`weights_found`.
    """
    expected = dict(graph.layers_by_precision) or {'fp16': 1}
    if layers.get('fp16', 0) < expected['fp16']:
        raise BackendError(f'the graph has layers {expected} and the network has {layers}: the '
                           'engine would not be fp16')
    # a small engine is mostly kernels, so that its size says nothing about its weights
    weight_bytes = graph.weight_bytes or 0
    is_large = (weight_bytes > _MIN_SIZE_CHECK_BYTES
                and len(engine) > _MAX_SIZE_RATIO * weight_bytes)
    if found['fp32'] or is_large:
        raise BackendError(f'the fp16 engine has {len(engine)} bytes for {weight_bytes} bytes of '
                           f'weights, found in it as {found}: its weights are not fp16')


def _flags(library) -> int:
    # from TensorRT 11 on every network is strongly typed, and the flag may be missing
    flag = getattr(library.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    return 0 if flag is None else 1 << int(flag)


def _config(library, builder, network, max_batch: int, target: Optional[str]):
    config = builder.create_builder_config()
    config.set_memory_pool_limit(library.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if hasattr(library.BuilderFlag, 'TF32'):
        config.clear_flag(library.BuilderFlag.TF32)  # TF32 has 10 bits of mantissa
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(library.ComputeCapability, target.upper()), 0)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes = [_with_batch(tensor, batch) for batch in (1, 1, max_batch)]
        profile.set_shape(tensor.name, *shapes)
    config.add_optimization_profile(profile)
    return config


def _with_batch(tensor, batch: int) -> tuple:
    shape = tuple(tensor.shape)
    if any(size < 0 for size in shape[1:]):
        raise ModelError(f'input {tensor.name} has shape {shape}; only the first dimension, the '
                         'people, may vary')
    return ((batch if shape[0] < 0 else shape[0]), *shape[1:])


def _layers_by_precision(library, network) -> Dict[str, int]:
    """Count the layers that multiply (matrices, convolutions) by the type of their output."""
    names = {library.float32: 'fp32', library.float16: 'fp16'}
    multiplying = {library.LayerType.MATRIX_MULTIPLY, library.LayerType.CONVOLUTION,
                   library.LayerType.DECONVOLUTION}
    counts: Dict[str, int] = {}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type in multiplying:
            dtype = layer.get_output(0).dtype
            name = names.get(dtype, str(dtype))
            counts[name] = counts.get(name, 0) + 1
    return counts


def _largest_fp16_weights(library, network) -> List[np.ndarray]:
    """Return the largest FP16 weights of a network as matrices (rows, columns)."""
    found = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        # the library returns every layer as ILayer; setting the class gives access to its weights
        if layer.type == library.LayerType.CONSTANT:
            layer.__class__ = library.IConstantLayer
            values, rows = np.asarray(layer.weights), tuple(layer.shape)[:1]
        elif layer.type == library.LayerType.CONVOLUTION:
            layer.__class__ = library.IConvolutionLayer
            values, rows = np.asarray(layer.kernel), (layer.num_output_maps,)
        else:
            continue
        if rows and values.dtype == np.float16 and values.size > rows[0]:
            found.append(values.reshape(rows[0], -1))
    return sorted(found, key=lambda matrix: -matrix.size)[:_WEIGHTS_SEARCHED_COUNT]


def _logger(library):
    class Logger(library.ILogger):
        """Keeps the last error for the message of a BackendError, and prints nothing."""

        def __init__(self):
            library.ILogger.__init__(self)
            self.last_error = ''

        def log(self, severity, message):
            if int(severity) <= int(library.Logger.ERROR):
                self.last_error = message
    return Logger()


def _monitor(library, progress: Callable[[str], None]):
    class Monitor(library.IProgressMonitor):
        """Reports the outermost phases and the steps of the longest; inner phases are many."""

        def __init__(self):
            library.IProgressMonitor.__init__(self)
            self._steps = {}

        def phase_start(self, phase_name, parent_phase, num_steps):
            self._steps[phase_name] = num_steps
            if parent_phase in (None, 'Building engine', 'Building engine from subgraph'):
                progress(phase_name)

        def step_complete(self, phase_name, step):
            if phase_name == 'Timing graph nodes' and self._steps.get(phase_name):
                progress(f'{phase_name} {step + 1}/{self._steps[phase_name]}')
            return True  # continue

        def phase_finish(self, phase_name):
            self._steps.pop(phase_name, None)
    return Monitor()
