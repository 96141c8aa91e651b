"""Runs a graph with ONNX Runtime: on the CPU, or with its CUDA and TensorRT providers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
import os
from typing import Dict

from niki_ros.backends.engine import checked_inputs, TensorSpec
from niki_ros.common.errors import BackendError, ModelError
from niki_ros.models.graph import Graph
import numpy as np

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}
_DTYPES = {
    'tensor(float)': 'float32', 'tensor(float16)': 'float16', 'tensor(double)': 'float64',
    'tensor(int64)': 'int64', 'tensor(int32)': 'int32', 'tensor(bool)': 'bool',
}


@dataclass(frozen=True)
class PortionNumbers:
    """How a batch is divided on a CPU, by the size of its inputs."""

    # Images of people gain nothing from larger batches (landmarks of 1, 2, 4 and 8 people: 9, 9, 9
    # and 9 ms each on one core), and every further image takes 11 MB.
    max_portion_bytes: int = 2 << 20
    min_parallel_bytes: int = 1 << 20  # images gain from a second thread, joints do not
    max_parallel_runs: int = 4  # where ``parallel`` is 0


class OnnxRuntimeEngine:
    """
    One ONNX Runtime session.

    :param device: ``cpu``, ``cuda`` or ``tensorrt`` (ONNX Runtime's own TensorRT provider).
    :param threads: threads inside one operator. Measured on two cores with one and two threads:
        landmarks of one person 10.6 and 7.2 ms, of two people 19.6 and 11.4 ms. A solver of 23 M
        parameters is limited by memory: 3.5 and 2.9 ms, and 7.7 ms with two threads while another
        process uses the second core.
    :param parallel: portions of a batch that run at the same time on a CPU; 0 = the number of
        cores over ``threads``, four at most. They do not wait for each other, as threads inside
        an operator do.
    :raises BackendError: when the library is missing, or the device is not the one that runs.
    :raises ModelError: when ONNX Runtime cannot read the graph.
    """

    def __init__(self, graph: Graph, device: str = 'cpu', threads: int = 1, parallel: int = 1,
                 portions: PortionNumbers = PortionNumbers()):
        ort = _library()
        self._session = _session(ort, graph, device, threads)
        self._facts = {
            'library': 'onnxruntime', 'version': ort.__version__, 'device': device,
            'precision': graph.precision, 'threads': threads, 'model_sha256': graph.sha256}
        self.inputs = tuple(map(_spec, self._session.get_inputs()))
        self.outputs = tuple(map(_spec, self._session.get_outputs()))
        self._portions = portions
        self._divides = device == 'cpu' and all(
            spec.shape and not _is_fixed(spec.shape[0]) for spec in (*self.inputs, *self.outputs))
        self._parallel = 1
        if self._divides:
            self._parallel = parallel or min(max((os.cpu_count() or 1) // threads, 1),
                                             portions.max_parallel_runs)
        self._pool = (ThreadPoolExecutor(self._parallel, 'niki_graph')
                      if self._parallel > 1 else None)

    def run(self, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the outputs of the graph by name, see :class:`niki_ros.backends.Engine`."""
        if self._session is None:
            raise BackendError('this engine is closed; load it again')
        arrays = checked_inputs(self.inputs, inputs)
        rows, rows_per_run = self._division(arrays)
        if rows <= rows_per_run or any(len(array) != rows for array in arrays.values()):
            return self._run(arrays)
        parts = [{name: a[i:i + rows_per_run] for name, a in arrays.items()}
                 for i in range(0, rows, rows_per_run)]
        results = list((self._pool.map if self._pool else map)(self._run, parts))
        return {name: np.concatenate([part[name] for part in results]) for name in results[0]}

    def describe(self) -> dict:
        return dict(self._facts)

    def close(self) -> None:
        """Free the session."""
        self._session = None
        if self._pool:
            self._pool.shutdown()

    def _division(self, arrays: Dict[str, np.ndarray]) -> tuple:
        """Return the rows of a batch, 0 where it cannot be divided, and the rows of one run."""
        rows = len(next(iter(arrays.values()))) if self._divides else 0
        total_bytes = max(sum(a.nbytes for a in arrays.values()), 1)
        rows_per_run = max(self._portions.max_portion_bytes * rows // total_bytes, 1)
        if total_bytes >= self._portions.min_parallel_bytes:
            rows_per_run = min(rows_per_run, max(-(-rows // self._parallel), 1))
        return rows, rows_per_run

    def _run(self, arrays: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        return dict(zip((spec.name for spec in self.outputs), self._session.run(None, arrays)))


def _library():
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError('backend onnxruntime: the library is not installed '
                           f'({error}); pip install onnxruntime') from error
    return onnxruntime


def _session(ort, graph: Graph, device: str, threads: int):
    """Return the session of a graph, on the provider of ``device`` and no other."""
    provider, options = _provider(ort, device), _session_options(ort, device, threads)
    try:
        session = ort.InferenceSession(graph.data, options, providers=[provider])
    except Exception as error:  # the library has no common base class for its errors
        if device != 'cpu':
            raise BackendError(f'onnxruntime on {device}: {error}') from error
        raise ModelError(f'onnxruntime cannot load the graph: {error}') from error
    running = session.get_providers()
    if running[0] != provider:
        raise BackendError(f'onnxruntime runs {running[0]} instead of {provider}: the {device} '
                           'libraries did not load; see its log above')
    return session


def _session_options(ort, device: str, threads: int):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # a pattern is made for every new batch size: it takes more memory than it saves (landmarks of
    # up to 8 people: 246 MB, without 196), and no time is gained
    options.enable_mem_pattern = False
    if device == 'cpu' and _share_arena(ort):
        options.add_session_config_entry('session.use_env_allocators', '1')
    # threads that wait in a busy loop take the cores from the node and from each other
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    if device != 'cpu':
        # without this an operator that the device lacks runs on the CPU, silently
        options.add_session_config_entry('session.disable_cpu_ep_fallback', '1')
    return options


@lru_cache(maxsize=1)
def _share_arena(ort) -> bool:
    """
    Let the sessions of this process share one memory arena; return whether they can.

    With an arena for each session, detector, landmarks and solver take 125 MB, with one 105.
    """
    try:
        about = ort.OrtMemoryInfo('Cpu', ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0,
                                  ort.OrtMemType.DEFAULT)
        ort.create_and_register_allocator(about, ort.OrtArenaCfg(0, -1, -1, -1))
    except Exception:  # noqa: B902 - an old library, or an arena that the program shares already
        return False
    return True


def _provider(ort, device: str) -> str:
    if device not in PROVIDERS:
        raise BackendError(f'device is {device!r}; expected one of {", ".join(PROVIDERS)}')
    provider = PROVIDERS[device]
    available = ort.get_available_providers()
    if provider not in available:
        raise BackendError(
            f'onnxruntime {ort.__version__} has no {provider} (it has {", ".join(available)}); '
            'pip install onnxruntime-gpu instead of onnxruntime, or use device cpu')
    return provider


def _spec(value) -> TensorSpec:
    shape = tuple(-1 if n is None else n for n in value.shape)
    return TensorSpec(value.name, shape, _DTYPES.get(value.type, 'float32'))


def _is_fixed(size) -> bool:
    return isinstance(size, int) and size >= 0
