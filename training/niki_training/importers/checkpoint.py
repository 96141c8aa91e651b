"""Reader of downloaded checkpoints: weights only, with exactly the expected keys."""

from argparse import Namespace
from pathlib import Path
import pickle
import re

from niki_ros.common.errors import ModelError
import numpy as np
import torch

MAX_BYTES = 4 << 30
_WRAPPERS = ('state_dict', 'model', 'model_state_dict', 'net', 'network', 'module')
_PREFIXES = ('module.', '_orig_mod.', 'model.', 'net.')
"""Prefixes of DataParallel, of torch.compile, and of classes with the network as a member."""
_LISTED = 20


def read_checkpoint(path) -> dict[str, torch.Tensor]:
    """Return the tensors of a ``.pth`` or ``.safetensors`` file by key; its code does not run."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f'{path} is no file; download the released weights first')
    if path.stat().st_size > MAX_BYTES:
        raise ModelError(f'{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read')
    if path.suffix == '.safetensors':
        return _read_safetensors(path)
    try:
        with torch.serialization.safe_globals(_harmless_types()):
            found = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r'GLOBAL (\S+)|(Unsupported [^.\n]*)', str(error))
        reason = named[2] or f'it imports {named[1]}' if named else type(error).__name__
        raise ModelError(f'{path} holds more than weights and was not loaded; a checkpoint that '
                         f'needs code to run is refused ({reason})') from error
    except Exception as error:  # torch's own errors for a damaged file have no common base
        raise ModelError(f'{path} is no checkpoint of PyTorch: {error}') from error
    return _tensors(path, found)


def take(state: dict[str, torch.Tensor], expected: dict[str, tuple]) -> dict[str, torch.Tensor]:
    """Return ``state`` in float32; a ModelError lists keys and shapes that do not fit."""
    missing = [f'missing {key} {shape}' for key, shape in expected.items() if key not in state]
    unknown = [f'unknown {key} {tuple(v.shape)}' for key, v in state.items()
               if key not in expected]
    other = [f'{key} is {tuple(state[key].shape)}, expected {shape}'
             for key, shape in expected.items()
             if key in state and tuple(state[key].shape) != shape]
    wrong = missing + unknown + other
    if wrong:
        more = [f'… and {len(wrong) - _LISTED} more'] if len(wrong) > _LISTED else []
        raise ModelError(f'the checkpoint does not fit: {len(missing)} keys missing, '
                         f'{len(unknown)} unknown, {len(other)} of another shape:\n  '
                         + '\n  '.join(wrong[:_LISTED] + more))
    for key, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(f'{key} holds values that are not finite')
    return {key: state[key].float() for key in expected}


def _harmless_types() -> list:
    """Return further types that run no code: numbers and options stored with the weights."""
    core = np._core if hasattr(np, '_core') else np.core
    build = (core.multiarray.scalar, core.multiarray._reconstruct)
    named = [(one, f'{module}.multiarray.{one.__name__}') for one in build
             for module in ('numpy.core', 'numpy._core')]   # as numpy 1 and 2 write it
    return [*named, np.ndarray, np.dtype, *{type(np.dtype(code)) for code in np.typecodes['All']},
            Namespace]


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ModelError(f'{path}: pip install safetensors to read it ({error})') from error
    try:
        return _tensors(path, load_file(path))
    except ModelError:
        raise
    except Exception as error:  # safetensors has its own error type, not exported everywhere
        raise ModelError(f'{path} is no safetensors file: {error}') from error


def _tensors(path: Path, found) -> dict[str, torch.Tensor]:
    """Return the tensors without the dictionaries and prefixes around them."""
    while (inner := _wrapped(found)) is not None:
        found = inner
    if not isinstance(found, dict) or not found:
        raise ModelError(f'{path} holds a {type(found).__name__}; expected a state dict')
    bad = [str(key) for key, v in found.items()
           if not isinstance(key, str) or not isinstance(v, torch.Tensor)]
    if bad:
        raise ModelError(f'{path}: {", ".join(bad[:_LISTED])} are no tensors')
    state = {key: value.detach() for key, value in found.items()}
    while (prefix := next((p for p in _PREFIXES if all(k.startswith(p) for k in state)), None)):
        state = {key[len(prefix):]: value for key, value in state.items()}
    return state


def _wrapped(found) -> dict | None:
    """Return the weights inside of a dictionary with other objects; None without such objects."""
    if not isinstance(found, dict):
        return None
    inner = [found[name] for name in _WRAPPERS if isinstance(found.get(name), dict)]
    return inner[0] if inner else None
