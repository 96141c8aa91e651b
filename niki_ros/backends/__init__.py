"""Libraries that run graphs, behind the protocol :class:`Engine`. May import models."""

from inspect import signature
from os import PathLike
from typing import Callable, Dict, Optional, Union

from niki_ros.backends.engine import BACKENDS, Engine, PRECISIONS, TensorSpec
from niki_ros.common.errors import BackendError, ModelError
from niki_ros.common.heap import return_free_memory
from niki_ros.models.model_folder import load_graph, ModelFolder

__all__ = ['BACKENDS', 'Engine', 'PRECISIONS', 'TensorSpec', 'engine_options', 'load_engine',
           'load_folder_engine']


def load_engine(model: Union[str, PathLike, bytes], backend: str = 'onnxruntime',
                precision: Optional[str] = None, **options) -> Engine:
    """
    Load a model and return the engine that runs it.

    :param model: a model folder, an ``.onnx`` file, or the bytes of one.
    :param backend: ``onnxruntime`` or ``tensorrt``; there is no fallback to the other.
    :param precision: ``fp32``, ``fp16`` or, in onnxruntime, ``int8``; of a model folder only, None
        = its main graph.
    :param options: of the backend: ``device``, ``threads`` and ``parallel`` (onnxruntime);
        ``max_batch`` and ``on_mismatch`` (tensorrt).
    :raises ModelError: when the model is missing or damaged, or has no graph of this precision.
    :raises BackendError: when library or device is missing; with the remedy.
    """
    _check_choice('backend', backend, BACKENDS)
    if precision is not None:
        _check_choice('precision', precision, PRECISIONS)
    if (backend, precision) == ('tensorrt', 'int8'):
        raise BackendError('backend tensorrt: INT8 graphs are made for CPUs; use fp16')
    load = _loader(backend)
    known = signature(load).parameters
    for name in options:
        if name not in known:
            raise BackendError(f'backend {backend} has no option {name!r}; known: '
                               f'{", ".join(list(known)[1:])}')
    engine = load(load_graph(model, precision), **options)
    return_free_memory()  # libraries make several copies while they load a graph
    return engine


def load_folder_engine(folder: ModelFolder, outputs: Dict[str, tuple], **options) -> Engine:
    """
    Return the engine of a model folder after a check of its outputs; options as in load_engine.

    :param outputs: name → shape without the first axis, for every output that the caller uses.
    :raises ModelError: when an output is missing or has another shape.
    """
    engine = load_engine(folder.path, **options)
    found = {spec.name: tuple(spec.shape[1:]) for spec in engine.outputs}
    if any(found.get(name) != shape for name, shape in outputs.items()):
        engine.close()
        raise ModelError(f'{folder.path}: the graph gives {found}; expected {outputs}')
    return engine


def engine_options(settings, one_thread: bool = False,
                   int8_of: Optional[ModelFolder] = None) -> dict:
    """
    Return the options of :func:`load_engine` from ``common.settings.EngineConfig``.

    :param int8_of: a folder whose INT8 graph is used, if it has one and the settings allow it.
    :param one_thread: of onnxruntime, instead of those of the settings. For graphs whose input is
        joints: reading the weights takes most of their time (niki-temporal of one and two people:
        1.8 and 2.1 ms with one thread, 2.0 and 2.8 with two).
    """
    names = {'onnxruntime': ('device', 'threads', 'parallel'),
             'tensorrt': ('max_batch', 'on_mismatch')}
    options = {name: getattr(settings, name)
               for name in ('backend', 'precision', *names[settings.backend])}
    runs_int8 = settings.int8 and (settings.backend, settings.device) == ('onnxruntime', 'cpu')
    if int8_of and runs_int8 and 'int8' in int8_of.precisions:
        options['precision'] = 'int8'
    if one_thread and 'threads' in options:
        options.update(threads=1, parallel=1)
    return options


def _loader(backend: str) -> Callable:
    """Return the function that makes an engine from a graph; import its library."""
    if backend == 'onnxruntime':
        from niki_ros.backends.onnxruntime_engine import OnnxRuntimeEngine
        return OnnxRuntimeEngine
    from niki_ros.backends.tensorrt_cached import load_cached_engine, tensorrt_library
    tensorrt_library()  # raises before a graph is read
    return load_cached_engine


def _check_choice(name: str, value, choices: tuple):
    if value not in choices:
        raise BackendError(f'{name} is {value!r}; expected one of {", ".join(choices)}')
