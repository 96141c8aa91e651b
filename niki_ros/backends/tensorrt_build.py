"""
Build a TensorRT engine from a graph: TensorRT 10.3, 10.16, 11.x and TensorRT-RTX alike.

Networks are strongly typed: the precision is that of the graph, and no builder flag can turn it
into another. TensorRT-RTX also builds for a GPU that this machine does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Callable, Optional

from niki_ros.backends.graph_file import largest_fp16, layers_by_precision, read_weights
from niki_ros.common.errors import BackendError, ModelError
import numpy as np

WORKSPACE_BYTES = 1 << 30
"""TensorRT's default is all of the device, which on a Jetson is also the robot's memory."""
_SIZE_CHECK_BYTES = 32 << 20
_PIECE = 12


@dataclass(frozen=True)
class BuiltEngine:
    """A serialized engine and the facts that its manifest keeps."""

    data: bytes
    build_s: float
    layers_by_precision: dict


def build_engine(library, graph: bytes, max_batch: int, target: Optional[str] = None,
                 progress: Optional[Callable[[str], None]] = None) -> BuiltEngine:
    """
    Build for this machine's GPU, or ahead of time for ``target`` (TensorRT-RTX).

    :param target: such as ``sm89``; None = the GPU of this machine.
    :param progress: called with a line of text for every phase of the build.
    :raises ModelError: when the parser refuses the graph, with its words.
    :raises BackendError: when the build fails, or the engine has not the precision of the graph.
    """
    start = perf_counter()
    logger = _logger(library)
    builder = library.Builder(logger)
    network = builder.create_network(_flags(library))
    parser = library.OnnxParser(network, logger)
    if not parser.parse(graph):
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
    data = bytes(plan)
    _assert_precision(graph, data, layers)
    return BuiltEngine(data, perf_counter() - start, layers)


def targets_of(library) -> tuple:
    """Return the GPUs, as ``sm89``, that this library builds for without having them."""
    capabilities = getattr(library, 'ComputeCapability', None)
    names = [n for n in dir(capabilities) if n.startswith('SM')] if capabilities else []
    return tuple(sorted((n.lower() for n in names), key=lambda n: int(n[2:])))


def _flags(library) -> int:
    # from TensorRT 11 every network is strongly typed and the flag may be gone
    flag = getattr(library.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED', None)
    return 0 if flag is None else 1 << int(flag)


def _config(library, builder, network, max_batch: int, target: Optional[str]):
    config = builder.create_builder_config()
    config.set_memory_pool_limit(library.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    config.profiling_verbosity = library.ProfilingVerbosity.DETAILED
    if hasattr(library.BuilderFlag, 'TF32'):
        config.clear_flag(library.BuilderFlag.TF32)  # fp32 means fp32, not 10 bits of mantissa
    if target is not None:
        known = targets_of(library)
        if target not in known:
            raise BackendError(f'target is {target!r}; {library.__name__} {library.__version__} '
                               f'builds ahead of time for {", ".join(known) or "no GPU"}')
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(library.ComputeCapability, target.upper()), 0)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        sizes = [_with_batch(tensor, n) for n in (1, 1, max_batch)]
        profile.set_shape(tensor.name, *sizes)
    config.add_optimization_profile(profile)
    return config


def _with_batch(tensor, batch: int) -> tuple:
    shape = tuple(tensor.shape)
    if any(n < 0 for n in shape[1:]):
        raise ModelError(f'input {tensor.name} has shape {shape}; only the first dimension, the '
                         'people, may vary')
    return ((batch if shape[0] < 0 else shape[0]), *shape[1:])


def _layers_by_precision(library, network) -> dict:
    """Count the layers that multiply (matrix, convolution) by the type of what they give."""
    names = {library.float32: 'fp32', library.float16: 'fp16'}
    kinds = {library.LayerType.MATRIX_MULTIPLY, library.LayerType.CONVOLUTION,
             library.LayerType.DECONVOLUTION}
    counts: dict = {}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type in kinds:
            kind = layer.get_output(0).dtype
            name = names.get(kind, str(kind))
            counts[name] = counts.get(name, 0) + 1
    return counts


def _assert_precision(graph: bytes, engine: bytes, layers: dict):
    """Refuse an engine that does not have the precision of its graph."""
    weights = read_weights(graph)
    if weights.precision != 'fp16':
        return
    wanted = layers_by_precision(graph)
    if layers.get('fp16', 0) < wanted['fp16']:
        raise BackendError(f'the graph has layers {wanted} and the network came out as {layers}: '
                           'the engine would not be fp16')
    # an engine that says fp16 and keeps fp32 weights is a fault that has been seen in the field:
    # look into the finished engine. Small ones are mostly kernels: size tells of large ones only
    found = weights_found(graph, engine)
    large = weights.total_bytes > _SIZE_CHECK_BYTES and len(engine) > 1.5 * weights.total_bytes
    if found['fp32'] or large:
        raise BackendError(f'the fp16 engine has {len(engine)} bytes for {weights.total_bytes} '
                           f'bytes of weights, found in it as {found}: its weights are not fp16')


def weights_found(graph: bytes, engine: bytes) -> dict:
    """
    Count the largest FP16 weights of a graph that stand in the engine, as FP16 and as FP32.

    A few numbers of a row, or of a column where the engine keeps the transpose. Those that it
    keeps in an order of its own (convolutions) are not found.
    """
    counts = {'fp16': 0, 'fp32': 0}
    for matrix in largest_fp16(graph):
        pieces = [matrix[0, :_PIECE], matrix[:_PIECE, 0]]
        pieces = [p for p in pieces if len(np.unique(p)) == _PIECE]  # zeros would stand anywhere
        for name, kind in (('fp16', np.float16), ('fp32', np.float32)):
            counts[name] += any(p.astype(kind).tobytes() in engine for p in pieces)
    return counts


def _logger(library):
    class Logger(library.ILogger):
        """Keep the last error for our own message; TensorRT prints nothing by itself."""

        def __init__(self):
            library.ILogger.__init__(self)
            self.last_error = ''

        def log(self, severity, message):
            """Take a message of TensorRT."""
            if int(severity) <= int(library.Logger.ERROR):
                self.last_error = message
    return Logger()


def _monitor(library, progress: Callable[[str], None]):
    class Monitor(library.IProgressMonitor):
        """Tell each outermost phase, and how far it is; inner ones come by the hundred."""

        def __init__(self):
            library.IProgressMonitor.__init__(self)
            self._steps = {}

        def phase_start(self, phase_name, parent_phase, num_steps):
            """Take the beginning of a phase."""
            self._steps[phase_name] = num_steps
            if parent_phase in (None, 'Building engine', 'Building engine from subgraph'):
                progress(phase_name)

        def step_complete(self, phase_name, step):
            """Tell every step of the phase that takes longest; True = go on."""
            if phase_name == 'Timing graph nodes' and self._steps.get(phase_name):
                progress(f'{phase_name} {step + 1}/{self._steps[phase_name]}')
            return True

        def phase_finish(self, phase_name):
            """Take the end of a phase."""
            self._steps.pop(phase_name, None)
    return Monitor()
