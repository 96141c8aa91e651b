"""Checkpoints of ``niki-train look``: one record in pieces of at most 15 MB."""

import io
from pathlib import Path
import pickle

from niki_ros.common.errors import ModelError
from niki_ros.observers.look_network import KIND
import torch

from niki_training.files.archives import read_record, reason
from niki_training.files.pieces import is_index, read_pieces, write_pieces
from niki_training.look.network import LookConfig, LookNet

INDEX = 'last.json'
_MAKER = 'niki-train look'


def checkpoint_index(path: Path) -> Path:
    """Return the index of a run's folder, or ``path`` itself."""
    return path / INDEX if path.is_dir() else path


def write_checkpoint(folder: Path, record: dict) -> None:
    """Write a record; its step is part of the names of the pieces."""
    buffer = io.BytesIO()
    torch.save(record, buffer)
    facts = {'kind': KIND, 'size': record['network']['size'], 'head': record['network']['head'],
             'total_steps': record['total_steps'], 'total_seconds': record['total_seconds']}
    write_pieces(folder / INDEX, buffer.getvalue(), f"{record['total_steps']:07d}", facts)


def read_checkpoint(path: Path) -> dict:
    """
    Return the record of a run's folder, an index of pieces, or a single file.

    :raises ModelError: for a missing or damaged piece, or another kind of file.
    """
    path = checkpoint_index(Path(path))
    if not is_index(path):
        record = read_record(path, _MAKER)
    else:
        try:
            record = torch.load(io.BytesIO(read_pieces(path)), map_location='cpu',
                                weights_only=True)
        except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise ModelError(f'{path}: not a checkpoint of {_MAKER} ({reason(error)})') from error
    if not isinstance(record, dict) or record.get('kind') != KIND:
        raise ModelError(f'{path} is no checkpoint of {_MAKER}')
    return record


def network_of(record: dict, source) -> LookNet:
    """Return the averaged network of a record, for evaluation; ``source`` is for messages."""
    try:
        net = LookNet(LookConfig(**record['network']))
        net.load_state_dict(record['average'])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f'{source}: not a checkpoint of {_MAKER} ({reason(error)})') from error
    broken = [key for key, value in record['average'].items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f'{source}: {broken[0]} is not finite: that run has failed; use an '
                         'earlier checkpoint')
    return net.eval()
