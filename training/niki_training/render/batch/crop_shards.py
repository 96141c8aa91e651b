"""Shards of rendered crops: images as JPEG with their truth, read as one sequence."""

import json
from pathlib import Path
import sys
from typing import Mapping, Sequence

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.images.pixels import jpeg_from_rgb, rgb_from_jpeg
import numpy as np
import torch
from tqdm import tqdm

from niki_training.common.processes import process_pool
from niki_training.render.batch.bank import facts_of_run, load_bank
from niki_training.render.batch.renderer import BatchRenderer
from niki_training.render.shards import read_shard, shard_path, shard_paths, start_run

SHARD_CROPS = 512
_BATCH_CROPS = 8  # more are slower: a CPU keeps what belongs to few in its cache
_JPEG_QUALITY = 93  # the compression by the simulated camera comes before it
TRUTH = ('uv', 'joints_m', 'root_m', 'focal', 'rotmat', 'betas', 'twist', 'visible', 'in_image',
         'present', 'hidden_percent')

_renderer: BatchRenderer | None = None  # of this process


class StoredCrops:
    """
    Crops of shards; ``crops[rows]`` returns the dict of arrays of :meth:`BatchRenderer.batch`.

    ``truth`` are the arrays of all crops but their images, ``facts`` what each of their folders
    states about their making.
    ``image`` is (n, 256, 256, 3) uint8 RGB; the compressed images of all crops are in memory.
    """

    def __init__(self, shards: list[dict], facts: list[dict]):
        self.facts = facts
        self.truth = {name: np.concatenate([shard[name] for shard in shards]) for name in TRUTH}
        self._jpegs = [shard['jpeg'][first:end] for shard in shards
                       for first, end in zip(shard['jpeg_at'], shard['jpeg_at'][1:])]

    def __len__(self) -> int:
        return len(self._jpegs)

    def __getitem__(self, rows) -> dict[str, np.ndarray]:
        index = np.arange(len(self))[rows]
        if index.ndim != 1:
            raise InputError(f'rows {rows!r}; expected a slice or an array of rows (n,)')
        images = [rgb_from_jpeg(self._jpegs[row].tobytes()) for row in index]
        return {'image': np.stack(images), **{name: v[index] for name, v in self.truth.items()}}


def read_crops(folders: Sequence[Path], split: str) -> StoredCrops:
    """Return the crops of a split in the order of the folders and their shards."""
    shards = [shard for folder in folders for shard in _shards(Path(folder), split)]
    return StoredCrops(shards, [json.loads((Path(folder) / f'{split}.json').read_text('utf-8'))
                                for folder in folders])


def _shards(folder: Path, split: str) -> list[dict]:
    shards = [read_shard(path) for path in shard_paths(folder, split)]
    for name in ('jpeg', 'jpeg_at', *TRUTH):
        if any(name not in shard for shard in shards):
            raise InputError(f'{folder}: a shard of {split!r} has no {name}; niki-data crops '
                             'writes shards of crops, into a folder of their own')
    return shards


def has_crops(folder: Path, split: str) -> bool:
    """Return whether a folder has crops of a split."""
    return (Path(folder) / f'{split}.json').is_file() and any(
        Path(folder).glob(f'{split}-*.npz'))


def render_shards(bank: Path, folder: Path, count: int, seed: int = 0, processes: int = 1,
                  device: str = 'cpu') -> None:
    """Write the shards of ``count`` crops that are missing; each is complete or absent."""
    facts = facts_of_run(load_bank(bank))
    start_run(folder, {'split': facts['split'], 'seed': seed, 'shard_crops': SHARD_CROPS,
                       'bank': facts})
    missing = [number for number in range(-(-count // SHARD_CROPS))
               if not shard_path(folder, facts['split'], number).is_file()]
    jobs = [(shard_path(folder, facts['split'], number), number) for number in missing]
    progress = tqdm(total=len(jobs) * SHARD_CROPS, unit='crop', desc='crops', file=sys.stderr,
                    disable=None)
    with progress, process_pool(processes, _start, (bank, device, seed)) as pool:
        for crops in pool.map(_render, *zip(*jobs)) if jobs else ():
            progress.update(crops)


def _start(bank: Path, device: str, seed: int) -> None:
    """Load the bank in a process of the pool."""
    global _renderer
    torch.set_num_threads(1)
    _renderer = BatchRenderer(bank, device, seed)


def _render(path: Path, number: int) -> int:
    assert _renderer is not None
    first = number * SHARD_CROPS
    arrays = rendered_arrays(_renderer, range(first, first + SHARD_CROPS))
    with atomic_write(path) as part, open(part, 'wb') as file:
        np.savez(file, **arrays)
    return SHARD_CROPS


def rendered_arrays(renderer: BatchRenderer, numbers) -> dict[str, np.ndarray]:
    """Return the arrays of a shard of the crops with these numbers."""
    numbers, parts, jpegs = np.asarray(numbers), [], []
    for first in range(0, len(numbers), _BATCH_CROPS):
        batch = renderer.batch(numbers[first:first + _BATCH_CROPS])
        jpegs += [jpeg_from_rgb(image, _JPEG_QUALITY) for image in images_of(batch)]
        parts.append({name: batch[name].cpu().numpy() for name in TRUTH})
    return {'jpeg': np.frombuffer(b''.join(jpegs), np.uint8),
            'jpeg_at': np.cumsum([0, *map(len, jpegs)]),
            **{name: np.concatenate([part[name] for part in parts]) for name in TRUTH}}


def images_of(batch: Mapping) -> np.ndarray:
    """Return the images of a batch of the renderer as (N, 256, 256, 3) uint8 RGB."""
    return (batch['image'].permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
