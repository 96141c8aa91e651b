"""
Outputs of the frozen layers, computed once and kept in memory-mapped files in half precision.

On a CPU most of the time of a step goes into the lower layers of the trunk. While they stay frozen
their outputs for augmented crops do not change, and a step reads them instead.
"""

import json
from pathlib import Path

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import make_folder
import numpy as np
import torch
from tqdm import tqdm

from niki_training.files.outputs import write_text
from niki_training.look.crop_batches import RandomOrder
from niki_training.look.frozen_layers import CROSSING, FrozenBatches

_CHUNK = 32  # crops that are computed together
_SETTINGS = 'features.json'
_PREFIX = f'{CROSSING}.'  # begin of the names of tensors between frozen and trained layers


class StoredFeatures:
    """
    Batches of stored features and truth, in a random order that visits each row once.

    :param folder: of :func:`store_features`. :param rank: of this process, one of ``world``.
    """

    def __init__(self, folder: Path, device, seed: int, rank: int = 0, world: int = 1):
        settings = _read_settings(folder)
        if settings['done'] < settings['count']:
            raise InputError(f'{folder} has {settings["done"]} of {settings["count"]} features; '
                             'start the same command again to compute the others')
        self._arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r')
                        for name in settings['arrays']}
        self._device = device
        self._order = RandomOrder(settings['count'], seed, rank, world)

    def __len__(self) -> int:
        return self._order.size

    def batch(self, count: int, step: int) -> dict:
        """Return ``crossing``, the tensors of ``LookNet.forward_upper``, and the truth."""
        # sorted: a disk reads rows in their order
        rows = np.sort(self._order.rows(count, step))
        own = {name: torch.from_numpy(value[rows]).to(self._device)
               for name, value in self._arrays.items()}
        crossing = {name[len(_PREFIX):]: own.pop(name).float() for name in list(own)
                    if name.startswith(_PREFIX)}
        return {CROSSING: crossing, **own}


def store_features(source: FrozenBatches, count: int, folder: Path, facts: dict) -> Path:
    """
    Store what the frozen layers return for ``count`` crops; resumed after a kill.

    :param facts: of crops and network; a folder with other facts is an InputError.
    """
    folder = make_folder(folder)
    facts = {**facts, 'trainable_from': source.layers.net.trunk.trainable_from,
             'frozen_sha256': source.layers.sha256(), 'count': count}
    if not (folder / _SETTINGS).is_file():
        _create(folder, _chunk(source, 0), count, facts)
    settings = _read_settings(folder)
    if any(settings.get(name) != value for name, value in facts.items()):
        raise InputError(f'{folder} has features of other crops or another network; remove it, or '
                         'use another --out')
    arrays = {name: np.load(folder / f'{name}.npy', mmap_mode='r+')
              for name in settings['arrays']}
    with tqdm(total=count, initial=settings['done'], desc=folder.name, unit='crop',
              disable=None) as bar:
        while settings['done'] < count:
            first = settings['done']
            for name, value in _chunk(source, first // _CHUNK).items():
                arrays[name][first:first + _CHUNK] = value[:count - first]
                arrays[name].flush()
            settings['done'] = min(first + _CHUNK, count)
            write_text(folder / _SETTINGS, json.dumps(settings) + '\n')
            bar.update(settings['done'] - first)
    return folder


def _chunk(source: FrozenBatches, step: int) -> dict:
    """Return the features and truth of one batch as arrays by name."""
    batch = source.batch(_CHUNK, step)
    crossing = {_PREFIX + name: value.half() for name, value in batch.pop(CROSSING).items()}
    return {name: value.cpu().numpy() for name, value in {**crossing, **batch}.items()}


def _create(folder: Path, first: dict, count: int, facts: dict) -> None:
    """Create empty files for ``count`` rows like those of the first chunk."""
    for name, value in first.items():
        np.lib.format.open_memmap(folder / f'{name}.npy', 'w+', value.dtype,
                                  (count, *value.shape[1:]))
    settings = {**facts, 'done': 0, 'arrays': sorted(first)}
    write_text(folder / _SETTINGS, json.dumps(settings) + '\n')


def _read_settings(folder: Path) -> dict:
    try:
        settings = json.loads((folder / _SETTINGS).read_text('utf-8'))
        return {**settings, 'done': int(settings['done']), 'count': int(settings['count'])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{folder} has no features, or damaged ones; remove it and start the '
                         'same command again') from error
