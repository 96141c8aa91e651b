"""Readers of arrays and weights; a damaged file is an error of one line."""

from contextlib import contextmanager
from pathlib import Path
import pickle
from typing import Iterator

from niki_ros.common.errors import InputError, ModelError, NikiError
import numpy as np

_MAX_REASON = 150


@contextmanager
def opened_npz(path, what: str, remedy: str) -> Iterator:
    """
    Open an ``.npz`` without its pickles; damage or a missing array is an InputError.

    :param what: name of the expected content, such as ``a motion archive``.
    :param remedy: advice for the case that the file has other content.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            if not isinstance(z, np.lib.npyio.NpzFile):
                raise ValueError('one array, no .npz')
            yield z
    except NikiError:
        raise
    except Exception as error:  # a damaged zip or array raises many kinds of errors
        raise InputError(f'{path}: not {what} ({reason(error)}); {remedy}') from error


def read_record(path, maker: str) -> dict:
    """Return the weights and plain values in a checkpoint of the command ``maker``."""
    import torch
    if not Path(path).is_file():
        raise ModelError(f'{path}: there is no such file; {maker} writes checkpoints')
    try:
        record = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f'{path} is no checkpoint of {maker}: it holds more than weights and '
                         'was not loaded, because it could run any program') from error
    except Exception as error:  # torch raises many kinds of errors for a damaged file
        raise ModelError(f'{path}: not a checkpoint of {maker}, or cut off '
                         f'({reason(error)})') from error
    if not isinstance(record, dict):
        raise ModelError(f'{path}: not a checkpoint of {maker} but a {type(record).__name__}')
    return record


def kind_of(checkpoint) -> str:
    """Return the kind of a checkpoint; empty for a checkpoint without a kind, or another file."""
    import torch
    try:
        record = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return ''
    return str(record.get('kind', '')) if isinstance(record, dict) else ''


def reason(error: BaseException) -> str:
    """Return the text of a library's error in one line of at most 150 characters."""
    text = ' '.join(str(error).split())
    if isinstance(error, KeyError):
        text = f'no {text}'
    return (text[:_MAX_REASON] + '…' if len(text) > _MAX_REASON else text) or type(error).__name__
