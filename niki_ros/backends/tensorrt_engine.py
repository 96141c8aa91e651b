"""Runs a TensorRT engine: buffers are allocated once, and each batch size has a CUDA graph."""

from typing import Dict, Iterator, Set

from niki_ros.backends.engine import checked_inputs, TensorSpec
from niki_ros.common.errors import BackendError
import numpy as np

MAX_CUDA_GRAPHS = 8


class TensorRtEngine:
    """
    One deserialized engine and its execution context.

    :param data: the serialized engine, whose sha256 was checked.
    :param library: ``tensorrt`` or ``tensorrt_rtx``.
    :param cuda: see :class:`niki_ros.backends.cuda_driver.CudaDriver`.
    :param precision: of the graph. :param model_sha256: of the graph.
    :raises BackendError: when the library refuses the engine, or reports another precision.
    """

    def __init__(self, data: bytes, library, cuda, precision: str, model_sha256: str = ''):
        self._library, self._cuda, self._precision = library, cuda, precision
        self._model_sha256 = model_sha256
        self._logger = library.Logger(library.Logger.ERROR)
        self._runtime = library.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise BackendError(f'{library.__name__} {library.__version__} on {cuda.gpu.name} does '
                               'not take this engine; build it again: niki engine build MODEL')
        self._check_precision()
        self._context = self._engine.create_execution_context()
        self.inputs = tuple(self._specs(library.TensorIOMode.INPUT))
        self.outputs = tuple(self._specs(library.TensorIOMode.OUTPUT))
        self.max_batch = self._max_batch()
        self._host: Dict[str, np.ndarray] = {}
        self._device: Dict[str, int] = {}
        for spec in (*self.inputs, *self.outputs):
            array = cuda.allocate_pinned((self.max_batch, *spec.shape[1:]), spec.dtype)
            self._host[spec.name] = array
            self._device[spec.name] = cuda.allocate(array.nbytes)
            self._context.set_tensor_address(spec.name, self._device[spec.name])
        self._graphs: Dict[int, int] = {}
        self._batches_run: Set[int] = set()
        self._can_capture = True

    def run(self, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the outputs by name; a batch above :attr:`max_batch` is run in portions."""
        if self._context is None:
            raise BackendError('this engine is closed; load it again')
        arrays = checked_inputs(self.inputs, inputs)
        self._cuda.make_current()
        rows = len(next(iter(arrays.values())))
        portions = [self._run({name: a[i:i + self.max_batch] for name, a in arrays.items()})
                    for i in range(0, rows, self.max_batch)]
        if len(portions) == 1:
            return portions[0]
        return {spec.name: np.concatenate([p[spec.name] for p in portions])
                for spec in self.outputs}

    def describe(self) -> dict:
        return {'library': self._library.__name__, 'version': self._library.__version__,
                'device': self._cuda.gpu.name,
                'compute_capability': self._cuda.gpu.compute_capability,
                'precision': self._precision, 'threads': 1, 'cuda_graph': bool(self._graphs),
                'model_sha256': self._model_sha256}

    def close(self) -> None:
        """Free buffers, CUDA graphs, context and engine."""
        if self._context is None:
            return
        self._cuda.make_current()
        for graph in self._graphs.values():
            self._cuda.destroy_graph(graph)
        self._context = self._engine = self._runtime = None
        for name, address in self._device.items():
            self._cuda.free(address)
            self._cuda.free_pinned(self._host[name])
        self._cuda.close()

    def _run(self, arrays: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        batch = len(next(iter(arrays.values())))
        for name, array in arrays.items():
            self._host[name][:batch] = array
        if batch in self._graphs:
            self._cuda.launch_graph(self._graphs[batch])
        else:
            self._run_without_graph(batch)
        self._cuda.synchronize()
        return {spec.name: self._host[spec.name][:batch].copy() for spec in self.outputs}

    def _run_without_graph(self, batch: int):
        """Run a batch size the first time (TensorRT prepares it); capture it the second time."""
        for spec in self.inputs:
            self._context.set_input_shape(spec.name, (batch, *spec.shape[1:]))
        is_first = batch not in self._batches_run
        if is_first or not self._can_capture or len(self._graphs) >= MAX_CUDA_GRAPHS:
            self._batches_run.add(batch)
            self._queue(batch)
            return
        try:
            self._graphs[batch] = self._cuda.capture_graph(lambda: self._queue(batch))
        except BackendError:
            # an engine that synchronises inside cannot be captured; it runs without a graph
            self._can_capture = False
            self._queue(batch)
            return
        self._cuda.launch_graph(self._graphs[batch])

    def _queue(self, batch: int):
        for spec in self.inputs:
            array = self._host[spec.name]
            self._cuda.copy_to_device(self._device[spec.name], array, batch * array[0].nbytes)
        if not self._context.execute_async_v3(self._cuda.stream):
            raise BackendError(f'{self._library.__name__} could not run a batch of {batch}')
        for spec in self.outputs:
            array = self._host[spec.name]
            self._cuda.copy_to_host(array, self._device[spec.name], batch * array[0].nbytes)

    def _specs(self, mode) -> Iterator[TensorSpec]:
        engine = self._engine
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            if engine.get_tensor_mode(name) == mode:
                dtype = np.dtype(self._library.nptype(engine.get_tensor_dtype(name))).name
                yield TensorSpec(name, tuple(engine.get_tensor_shape(name)), dtype)

    def _max_batch(self) -> int:
        name = self.inputs[0].name
        return int(tuple(self._engine.get_tensor_profile_shape(name, 0)[2])[0])

    def _check_precision(self):
        """Refuse an FP16 engine when the library reports FP32 for all of its layers."""
        inspector = self._engine.create_engine_inspector()
        text = inspector.get_engine_information(self._library.LayerInformationFormat.JSON) or ''
        if self._precision == 'fp16' and 'Float' in text and 'Half' not in text:
            raise BackendError('this fp16 engine has only fp32 layers; build it again: '
                               'niki engine build MODEL --precision fp16')
