"""Files of arrays and of weights, opened so that a damaged one is an error of one line."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
import pickle
from typing import Iterator

from niki_ros.common.errors import InputError, ModelError, NikiError
import numpy as np


@contextmanager
def opened_npz(path, what: str, remedy: str) -> Iterator:
    """
    Open an ``.npz``; nothing in it is unpickled.

    :param what: it should be, such as ``a motion archive``. :param remedy: what to do if not.
    :raises InputError: when it is none, cut off or damaged, or lacks what the caller reads.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            if not hasattr(z, 'files'):
                raise ValueError('one array, no .npz')
            yield z
    except NikiError:
        raise
    except Exception as error:  # a damaged zip or array can raise nearly anything
        raise InputError(f'{path}: not {what} ({reason(error)}); {remedy}') from error


def read_record(path, maker: str) -> dict:
    """
    Return the record of a checkpoint; weights and plain values only.

    :param maker: the command that writes such checkpoints.
    :raises ModelError: when it is none, cut off, or a pickle that wants to run code.
    """
    import torch
    if not Path(path).is_file():
        raise ModelError(f'{path}: there is no such file; {maker} writes checkpoints')
    try:
        record = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f'{path} is no checkpoint of {maker}: it holds more than weights and was '
                         'not loaded, for it could run any program') from error
    except Exception as error:  # torch has no common error for a damaged file
        raise ModelError(f'{path}: not a checkpoint of {maker}, or cut off '
                         f'({reason(error)})') from error
    if not isinstance(record, dict):
        raise ModelError(f'{path}: not a checkpoint of {maker} but a {type(record).__name__}')
    return record


def kind_of(checkpoint) -> str:
    """Return what a checkpoint says it is of; empty where it does not say, or is none."""
    import torch
    try:
        record = torch.load(checkpoint, map_location='cpu', weights_only=True, mmap=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
        return ''
    return str(record.get('kind', '')) if isinstance(record, dict) else ''


def reason(error: BaseException) -> str:
    """Return an error of a library as part of one line."""
    text = ' '.join(str(error).split())
    if isinstance(error, KeyError):
        text = f'no {text}'
    return (text[:150] + '…' if len(text) > 150 else text) or type(error).__name__
