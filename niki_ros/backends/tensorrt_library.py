"""Imports the TensorRT that is installed: ``tensorrt`` 10.3 or later, else ``tensorrt_rtx``."""

from __future__ import annotations

from importlib import import_module
from typing import Optional

from niki_ros.common.errors import BackendError

LIBRARIES = ('tensorrt', 'tensorrt_rtx')
_REMEDY = ('on a Jetson it comes with JetPack (sudo apt install python3-libnvinfer); on a '
           'desktop: pip install tensorrt, or pip install tensorrt-rtx-cu13; or set the backend '
           'onnxruntime')


def tensorrt_library(name: Optional[str] = None):
    """
    Return the module ``name``; None = the first of :data:`LIBRARIES` that is installed.

    :raises BackendError: when none can be imported, with every reason and the remedy.
    """
    reasons = []
    for candidate in (name,) if name else LIBRARIES:
        try:
            library = import_module(candidate)
        except ImportError as error:
            reasons.append(f'{candidate}: {error}')
            continue
        if hasattr(library, 'Builder'):
            return library
        reasons.append(f'{candidate}: a placeholder without a Builder')
    raise BackendError(f'backend tensorrt: no library ({"; ".join(reasons)}); {_REMEDY}')
