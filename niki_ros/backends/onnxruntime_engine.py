"""Run a graph with ONNX Runtime: CPU, or its CUDA and TensorRT providers on request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
import os

from niki_ros.backends.engine import checked_inputs, TensorSpec
from niki_ros.backends.graph_file import read_weights
from niki_ros.common.errors import BackendError, ModelError
from niki_ros.models.model_folder import sha256
import numpy as np

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
PORTION_BYTES = 2 << 20
"""
Inputs that a CPU is given at once. Pictures of people gain nothing from larger batches (landmarks
of 1, 2, 4 and 8 people: 9, 9, 9 and 9 ms each on one core), and every picture more takes 11 MB.
"""
MOST_PARALLEL, PARALLEL_BYTES = 4, 1 << 20
"""Pictures are worth a second thread, the joints of people are not."""
_DTYPES = {
    'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(double)': 'float64',
    'tensor(int64)': 'int64', 'tensor(int32)': 'int32', 'tensor(bool)': 'bool',
}


class OnnxRuntimeEngine:
    """
    One ONNX Runtime session.

    :param graph: bytes of the ``.onnx`` file.
    :param device: ``cpu``, ``cuda`` or ``tensorrt`` (ONNX Runtime's own TensorRT provider).
    :param threads: threads inside one operator. One person is limited by memory: measured on 23 M
        parameters and two cores, one thread takes 3.5 ms, two take 2.9 ms on an idle machine and
        7.7 ms when another process wants the second core.
    :param parallel: parts of a batch that run at the same time on a CPU; 0 = one for each core,
        four at most. Unlike threads inside an operator they need not wait for each other.
    :raises BackendError: when the library is absent or the device asked for is not what runs.
    :raises ModelError: when ONNX Runtime cannot read the graph.
    """

    def __init__(self, graph: bytes, device: str = 'cpu', threads: int = 1,
                 parallel: int = 1):
        ort = _library()
        provider = _provider(ort, device)
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # made for every batch size anew, it takes more memory than it saves (landmarks of up to 8
        # people: 246 MB, without 196), and no time is gained
        options.enable_mem_pattern = False
        if device == 'cpu' and _share_scratch(ort):
            options.add_session_config_entry('session.use_env_allocators', '1')
        # threads that wait in a busy loop take the cores from the node and from each other
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        if device != 'cpu':
            # without this an operator that the device lacks runs on the CPU, silently
            options.add_session_config_entry('session.disable_cpu_ep_fallback', '1')
        self._weights = read_weights(graph)
        if self._weights.external:
            raise ModelError('the graph keeps weights in other files (such as '
                             f'{self._weights.external[0]}); export it as one file')
        try:
            self._session = ort.InferenceSession(graph, options, providers=[provider])
        except Exception as error:  # the library has no common base class for its errors
            if device != 'cpu':
                raise BackendError(f'onnxruntime on {device}: {error}') from error
            raise ModelError(f'onnxruntime cannot load the graph: {error}') from error
        running = self._session.get_providers()
        if running[0] != provider:
            raise BackendError(f'onnxruntime was asked for {provider} and runs {running[0]}: the '
                               f'{device} libraries did not load; see its log above')
        self._version, self._device, self._threads = ort.__version__, device, threads
        self._sha256 = sha256(graph)
        self.inputs = tuple(map(_spec, self._session.get_inputs()))
        self.outputs = tuple(map(_spec, self._session.get_outputs()))
        self._portions = device == 'cpu' and all(
            spec.shape and not _is_fixed(spec.shape[0]) for spec in (*self.inputs, *self.outputs))

        self._parallel = (parallel or min(os.cpu_count() or 1, MOST_PARALLEL)
                          ) if self._portions else 1
        self._pool = (ThreadPoolExecutor(self._parallel, 'niki_graph')
                      if self._parallel > 1 else None)

    def run(self, inputs: dict) -> dict:
        """Return ``{output name: array}`` for ``{input name: array}``."""
        if self._session is None:
            raise BackendError('this engine is closed; load it again')
        arrays = checked_inputs(self.inputs, inputs)
        count = len(next(iter(arrays.values()))) if self._portions else 0
        total = max(sum(a.nbytes for a in arrays.values()), 1)
        size = max(PORTION_BYTES * count // total, 1)
        if total >= PARALLEL_BYTES:
            size = min(size, max(-(-count // self._parallel), 1))
        if count <= size or any(len(array) != count for array in arrays.values()):
            return self._run(arrays)
        parts = [{name: a[i:i + size] for name, a in arrays.items()}
                 for i in range(0, count, size)]
        parts = list((self._pool.map if self._pool else map)(self._run, parts))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, arrays: dict) -> dict:
        return dict(zip((spec.name for spec in self.outputs), self._session.run(None, arrays)))

    def describe(self) -> dict:
        """Return library, version, device, precision, threads and which graph it is."""
        return {'library': 'onnxruntime', 'version': self._version, 'device': self._device,
                'precision': self._weights.precision, 'threads': self._threads,
                'model_sha256': self._sha256}

    def close(self) -> None:
        """Free the session."""
        self._session = None
        if self._pool:
            self._pool.shutdown()


def _library():
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError('backend onnxruntime: the library is not installed '
                           f'({error}); pip install onnxruntime') from error
    return onnxruntime


@lru_cache(maxsize=1)
def _share_scratch(ort) -> bool:
    """
    Let the sessions of this process share the memory of what lies between a graph's layers.

    Each would keep its own: detector, landmarks and solver 125 MB, shared 105.
    """
    try:
        about = ort.OrtMemoryInfo('Cpu', ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(about, ort.OrtArenaCfg(0, -1, -1, -1))
    except Exception:  # noqa: B902 - an old library, or the program has shared it already
        return False
    return True


def _provider(ort, device: str) -> str:
    if device not in PROVIDERS:
        raise BackendError(f'device is {device!r}; expected one of {", ".join(PROVIDERS)}')
    provider = PROVIDERS[device]
    have = ort.get_available_providers()
    if provider not in have:
        raise BackendError(
            f'onnxruntime {ort.__version__} has no {provider} (it has {", ".join(have)}); '
            'pip install onnxruntime-gpu instead of onnxruntime, or use device cpu')
    return provider


def _spec(value) -> TensorSpec:
    shape = tuple(-1 if n is None else n for n in value.shape)
    return TensorSpec(value.name, shape, _DTYPES.get(value.type, 'float32'))


def _is_fixed(size) -> bool:
    return isinstance(size, int) and size >= 0
