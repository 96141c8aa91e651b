"""The TensorRT engine: buffers, portions and CUDA graphs, with a stand-in for the library."""

from types import SimpleNamespace

from niki_ros.backends.tensorrt_engine import TensorRtEngine
from niki_ros.common.errors import BackendError
import numpy as np
import pytest

GPU = SimpleNamespace(name='Stand-in', compute_capability='sm89')


class HostCuda:
    """Device memory is host memory; queued work is done at once, or recorded."""

    gpu, stream = GPU, 7

    def __init__(self, records=True):
        self.memory, self.recording, self.records = {}, None, records
        self.replays = self.freed = 0

    def make_current(self):
        pass

    def allocate(self, size):
        self.memory[len(self.memory) + 1] = np.zeros(size, np.uint8)
        return len(self.memory)

    def allocate_pinned(self, shape, dtype):
        return np.zeros(shape, dtype)

    def free(self, address):
        self.freed += 1

    def free_pinned(self, array):
        self.freed += 1

    def _do(self, work):
        if self.recording is not None:
            self.recording.append(work)
        else:
            work()

    def copy_to_device(self, address, array, size):
        source = array.reshape(-1).view(np.uint8)
        self._do(lambda: self.memory[address].__setitem__(slice(size), source[:size]))

    def copy_to_host(self, array, address, size):
        target = array.reshape(-1).view(np.uint8)
        self._do(lambda: target.__setitem__(slice(size), self.memory[address][:size]))

    def synchronize(self):
        pass

    def capture_graph(self, queue):
        if not self.records:
            raise BackendError('cannot be recorded')
        self.recording = []
        queue()
        graph, self.recording = self.recording, None
        return graph

    def launch_graph(self, graph):
        self.replays += 1
        for work in graph:
            work()

    def destroy_graph(self, graph):
        pass

    def close(self):
        pass


MODES = SimpleNamespace(INPUT=0, OUTPUT=1)


class Context:
    def __init__(self, cuda):
        self.cuda, self.address, self.rows = cuda, {}, 0

    def set_tensor_address(self, name, address):
        self.address[name] = address

    def set_input_shape(self, name, shape):
        self.rows = shape[0]

    def execute_async_v3(self, stream):
        rows = self.rows
        self.cuda._do(lambda: self._compute(rows))
        return stream == 7

    def _compute(self, rows):
        size = rows * 12
        x = self.cuda.memory[self.address['x']][:size].view(np.float32)
        self.cuda.memory[self.address['y']][:size] = (2 * x).view(np.uint8)


class DoublingEngine:
    """y (n, 3) = 2 x (n, 3), at most 4 rows."""

    num_io_tensors = 2

    def __init__(self, cuda, text):
        self.create_execution_context = lambda: Context(cuda)
        self.create_engine_inspector = lambda: SimpleNamespace(
            get_engine_information=lambda form: text)
        self.get_tensor_name = 'xy'.__getitem__
        self.get_tensor_mode = {'x': MODES.INPUT, 'y': MODES.OUTPUT}.get
        self.get_tensor_dtype = lambda name: np.float32
        self.get_tensor_shape = lambda name: (-1, 3)
        self.get_tensor_profile_shape = lambda name, profile: ((1, 3), (1, 3), (4, 3))


def library(cuda, text='"Half"'):
    return SimpleNamespace(
        __name__='tensorrt', __version__='10.3.0', TensorIOMode=MODES, nptype=lambda t: t,
        Logger=type('Logger', (), {'ERROR': 1, '__init__': lambda self, level: None}),
        LayerInformationFormat=SimpleNamespace(JSON=0),
        Runtime=lambda log: SimpleNamespace(
            deserialize_cuda_engine=lambda d: DoublingEngine(cuda, text) if d == b'ok' else None))


@pytest.mark.parametrize('records', [True, False])
def test_every_number_of_people_with_and_without_cuda_graphs(records):
    cuda = HostCuda(records)
    engine = TensorRtEngine(b'ok', library(cuda), cuda, 'fp16')
    rng = np.random.RandomState(0)
    for count in (1, 4, 2, 9, 1, 4, 1, 9, 3):
        x = rng.standard_normal((count, 3)).astype(np.float32)
        np.testing.assert_array_equal(engine.run({'x': x})['y'], 2 * x)
    assert len(cuda.memory) == 2, 'device buffers are allocated once'
    assert (cuda.replays > 0) == records == engine.describe()['cuda_graph']
    facts = engine.describe()
    assert facts['device'] == 'Stand-in' and facts['precision'] == 'fp16'
    assert {'library', 'version', 'threads', 'model_sha256'} <= set(facts)
    engine.close()
    assert cuda.freed == 4
    with pytest.raises(BackendError, match='closed'):
        engine.run({'x': x})


def test_an_answer_is_not_overwritten_by_the_next():
    cuda = HostCuda()
    engine = TensorRtEngine(b'ok', library(cuda), cuda, 'fp16')
    first = engine.run({'x': np.ones((1, 3))})['y']
    engine.run({'x': np.zeros((1, 3))})
    np.testing.assert_array_equal(first, np.full((1, 3), 2))


def test_an_engine_that_is_refused_or_not_of_its_precision_is_an_error():
    cuda = HostCuda()
    with pytest.raises(BackendError, match='niki engine build'):
        TensorRtEngine(b'other', library(cuda), cuda, 'fp16')
    with pytest.raises(BackendError, match='niki engine build.*fp16'):
        TensorRtEngine(b'ok', library(cuda, '"Float"'), cuda, 'fp16')


def test_without_a_driver_the_message_has_the_remedy(monkeypatch):
    from niki_ros.backends import cuda_driver
    monkeypatch.setattr(cuda_driver, 'DRIVER_LIBRARIES', ('libno-such-cuda.so',))
    with pytest.raises(BackendError, match='libno-such-cuda.so.*onnxruntime'):
        cuda_driver.CudaDriver()
