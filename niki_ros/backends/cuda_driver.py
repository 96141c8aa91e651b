"""
Calls of the CUDA driver by ctypes: the one CUDA library that every machine with a usable GPU has.

TensorRT works in the device's primary context, and so does this module.
"""

import ctypes
from ctypes import byref, c_char, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Callable

from niki_ros.common.errors import BackendError
import numpy as np

DRIVER_LIBRARIES = ('libcuda.so.1', 'libcuda.so', 'nvcuda.dll')
# values of cuda.h: CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR,
# CU_STREAM_NON_BLOCKING, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
_STREAM_NON_BLOCKING = 1
_CAPTURE_THREAD_LOCAL = 1


@dataclass(frozen=True)
class Gpu:
    """Name of a GPU, and its compute capability such as ``sm89``."""

    name: str
    compute_capability: str


class CudaDriver:
    """The GPU with number ``index``, its primary context and one stream."""

    def __init__(self, index: int = 0):
        self._cuda = _library()
        self._call('cuInit', c_uint(0))
        count, device, self._context = c_int(), c_int(), c_void_p()
        self._call('cuDeviceGetCount', byref(count))
        if index >= count.value:
            raise BackendError(f'there is no GPU {index}: the driver reports {count.value}; check '
                               'nvidia-smi and CUDA_VISIBLE_DEVICES')
        self._call('cuDeviceGet', byref(device), c_int(index))
        self._call('cuDevicePrimaryCtxRetain', byref(self._context), device)
        self._device = device
        self.gpu = self._gpu()
        self.make_current()
        stream = c_void_p()
        self._call('cuStreamCreate', byref(stream), c_uint(_STREAM_NON_BLOCKING))
        self.stream = stream.value

    def make_current(self):
        """Make the context current in the calling thread; each thread needs it once."""
        self._call('cuCtxSetCurrent', self._context)

    def allocate(self, size: int) -> int:
        """Return the address of ``size`` bytes on the device."""
        address = c_ulonglong()
        self._call('cuMemAlloc_v2', byref(address), c_size_t(size))
        return address.value

    def free(self, address: int):
        """Free memory of :meth:`allocate`."""
        self._call('cuMemFree_v2', c_ulonglong(address))

    def allocate_pinned(self, shape: tuple, dtype) -> np.ndarray:
        """Return an array in page-locked host memory, which the GPU reads without a copy."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        pointer = c_void_p()
        self._call('cuMemAllocHost_v2', byref(pointer), c_size_t(max(size, 1)))
        buffer = (ctypes.c_byte * max(size, 1)).from_address(pointer.value)
        return np.frombuffer(buffer, dtype, int(np.prod(shape))).reshape(shape)

    def free_pinned(self, array: np.ndarray):
        """Free an array of :meth:`allocate_pinned`."""
        self._call('cuMemFreeHost', c_void_p(array.ctypes.data))

    def copy_to_device(self, address: int, array: np.ndarray, size: int):
        """Queue a copy of the first ``size`` bytes of ``array`` to the device."""
        self._call('cuMemcpyHtoDAsync_v2', c_ulonglong(address), c_void_p(array.ctypes.data),
                   c_size_t(size), c_void_p(self.stream))

    def copy_to_host(self, array: np.ndarray, address: int, size: int):
        """Queue a copy of ``size`` bytes from the device into ``array``."""
        self._call('cuMemcpyDtoHAsync_v2', c_void_p(array.ctypes.data), c_ulonglong(address),
                   c_size_t(size), c_void_p(self.stream))

    def synchronize(self):
        """Wait until all queued work is done."""
        self._call('cuStreamSynchronize', c_void_p(self.stream))

    def capture_graph(self, queue: Callable[[], None]) -> int:
        """Record the work that ``queue()`` queues, and return it as an executable CUDA graph."""
        graph, executable = c_void_p(), c_void_p()
        self._call('cuStreamBeginCapture_v2', c_void_p(self.stream), c_int(_CAPTURE_THREAD_LOCAL))
        try:
            queue()
        finally:
            self._call('cuStreamEndCapture', c_void_p(self.stream), byref(graph))
        self._call('cuGraphInstantiateWithFlags', byref(executable), graph, c_ulonglong(0))
        self._call('cuGraphDestroy', graph)
        return int(executable.value or 0)

    def launch_graph(self, graph: int):
        """Queue the work of a CUDA graph."""
        self._call('cuGraphLaunch', c_void_p(graph), c_void_p(self.stream))

    def destroy_graph(self, graph: int):
        """Free a CUDA graph of :meth:`capture_graph`."""
        self._call('cuGraphExecDestroy', c_void_p(graph))

    def close(self):
        """Destroy the stream and release the context."""
        if self.stream is not None:
            self.make_current()
            self._call('cuStreamDestroy_v2', c_void_p(self.stream))
            self._call('cuDevicePrimaryCtxRelease_v2', self._device)
            self.stream = None

    def _gpu(self) -> Gpu:
        name, major, minor = (c_char * 128)(), c_int(), c_int()
        self._call('cuDeviceGetName', name, c_int(128), self._device)
        for value, attribute in ((major, _CAPABILITY_MAJOR), (minor, _CAPABILITY_MINOR)):
            self._call('cuDeviceGetAttribute', byref(value), c_int(attribute), self._device)
        return Gpu(name.value.decode('utf-8', 'replace'), f'sm{major.value}{minor.value}')

    def _call(self, function: str, *arguments):
        code = getattr(self._cuda, function)(*arguments)
        if code != 0:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(c_int(code), byref(text))
            reason = (text.value or b'unknown').decode()
            raise BackendError(f'CUDA {function}: {reason} (error {code}); check nvidia-smi')


def _library():
    for name in DRIVER_LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendError(f'no NVIDIA driver: none of {", ".join(DRIVER_LIBRARIES)} can be loaded; '
                       'install the driver (in a container: run with --gpus all), or set the '
                       'backend onnxruntime')
