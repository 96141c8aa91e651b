"""Libraries that run graphs, behind the protocol :class:`Engine`. May import models."""

from __future__ import annotations

import ctypes
from inspect import signature
from os import PathLike
from typing import Callable, Dict, Optional, Union

from niki_ros.backends.engine import BACKENDS, Engine, PRECISIONS, TensorSpec
from niki_ros.common.errors import BackendError, ModelError
from niki_ros.models.model_folder import load_graph, ModelFolder

__all__ = ['BACKENDS', 'Engine', 'PRECISIONS', 'TensorSpec', 'engine_options', 'load_engine',
           'load_folder_engine']


def load_engine(model: Union[str, PathLike, bytes], backend: str = 'onnxruntime',
                precision: Optional[str] = None, **options) -> Engine:
    """
    Load a model and return the engine that runs it.

    :param model: a model folder, an ``.onnx`` file, or the bytes of one.
    :param backend: ``onnxruntime`` or ``tensorrt``; exactly this one runs, or it is an error.
    :param precision: ``fp32`` or ``fp16``; None takes the folder's main graph as it is.
    :param options: of the backend: ``device`` and ``threads`` (onnxruntime); ``max_batch`` and
        ``on_mismatch`` (tensorrt).
    :raises ModelError: when the model is missing or damaged.
    :raises BackendError: when library, device or precision cannot be had; with the remedy.
    """
    _check_choice('backend', backend, BACKENDS)
    if precision is not None:
        _check_choice('precision', precision, PRECISIONS)
    load = _loader(backend)
    known = signature(load).parameters
    for name in options:
        if name not in known:
            raise BackendError(f'backend {backend} has no option {name!r}; known: '
                               f'{", ".join(list(known)[1:])}')
    engine = load(load_graph(model, precision), **options)
    _give_back_memory()
    runs = engine.describe()['precision']
    if precision is not None and runs != precision:
        engine.close()
        raise BackendError(f'precision {precision} was asked for and the graph is {runs}; '
                           'niki engine cast MODEL makes an fp16 one')
    return engine


def load_folder_engine(folder: ModelFolder, outputs: Dict[str, tuple], **options) -> Engine:
    """
    Return the engine that runs a model folder's graph, if it gives what its user needs.

    :param outputs: their shapes, without the first axis.
    :param options: of :func:`load_engine`.
    :raises ModelError: when one of ``outputs`` is missing, or of another shape.
    """
    engine = load_engine(folder.path, **options)
    given = {spec.name: tuple(spec.shape[1:]) for spec in engine.outputs}
    if any(given.get(name) != shape for name, shape in outputs.items()):
        engine.close()
        raise ModelError(f'{folder.path}: the graph gives {given}; expected {outputs}')
    return engine


def engine_options(settings) -> dict:
    """Return all that :func:`load_engine` takes of ``common.settings.EngineConfig``."""
    names = {'onnxruntime': ('device', 'threads', 'parallel'),
             'tensorrt': ('max_batch', 'on_mismatch')}
    return {name: getattr(settings, name)
            for name in ('backend', 'precision', *names[settings.backend])}


def _loader(backend: str) -> Callable:
    """Return what makes an engine of ``backend`` from a graph; its library is there."""
    if backend == 'onnxruntime':
        from niki_ros.backends.onnxruntime_engine import OnnxRuntimeEngine
        return OnnxRuntimeEngine
    from niki_ros.backends.tensorrt_library import tensorrt_library
    tensorrt_library()  # absent: say so before hundreds of megabytes are read
    from niki_ros.backends.tensorrt_cached import load_cached_engine
    return load_cached_engine


def _give_back_memory():
    """Give freed memory back to the system: a library reads a graph in several copies."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library


def _check_choice(name: str, value, choices: tuple):
    if value not in choices:
        raise BackendError(f'{name} is {value!r}; expected one of {", ".join(choices)}')
