"""Shards of clips on disk, one ``.npz`` each; an interrupted run is resumed at whole shards."""

import json
from pathlib import Path
from typing import Iterable

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
import numpy as np

from niki_training.files.archives import opened_npz

TRUTH_KEYS = ('joints_m', 'keypoints_px', 'visible', 'hidden_percent')  # of each clip and frame


def shard_path(folder: Path, split: str, number: int, suffix: str = 'npz') -> Path:
    return Path(folder) / f'{split}-{number:05d}.{suffix}'


def shard_paths(folder: Path, split: str) -> list[Path]:
    """Return the shards of a split; an InputError where there are none."""
    paths = sorted(Path(folder).glob(f'{split}-*.npz'))
    if not paths:
        raise InputError(f'{folder} has no shards of {split!r}; niki-data render writes them')
    return paths


def start_run(folder: Path, settings: dict) -> None:
    """Make the folder of a run, or check that it holds the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{settings["split"]}.json'
    if path.is_file():
        before = json.loads(path.read_text('utf-8'))
        other = {k: (before.get(k), v) for k, v in settings.items() if before.get(k) != v}
        if other:
            raise InputError(f'{folder} holds a run with other settings: {other} (before, now); '
                             'choose another folder')
    path.write_text(json.dumps(settings, indent=1) + '\n', 'utf-8')


def write_shard(path: Path, clips) -> None:
    """Write clips (dictionaries of arrays) as one ``.npz``; float64 becomes float32."""
    arrays = {key: np.stack([np.asarray(clip[key]) for clip in clips]) for key in clips[0]}
    with atomic_write(path) as part, open(part, 'wb') as file:
        np.savez_compressed(file, **{
            key: array.astype(np.float32) if array.dtype == np.float64 else array
            for key, array in arrays.items()})


def read_shard(path: Path) -> dict:
    """Return the arrays (clips, ...) of one shard."""
    with opened_npz(path, 'a shard', 'niki-data render writes them') as z:
        return {key: z[key] for key in z.files}


def check_keys(shard: dict, keys: Iterable[str], path: Path, remedy: str) -> None:
    """Raise an InputError with the remedy where a shard has not all arrays ``keys``."""
    missing = [key for key in keys if key not in shard]
    if missing:
        raise InputError(f'{path} has no {missing[0]}; {remedy}')


def read_shards(folder: Path, split: str, keys=None) -> dict:
    """Return the arrays (clips, ...) of all shards; ``keys`` None = those of the first shard."""
    parts = [read_shard(path) for path in shard_paths(folder, split)]
    wanted = parts[0] if keys is None else keys
    try:
        return {key: np.concatenate([part[key] for part in parts]) for key in wanted}
    except KeyError as error:
        raise InputError(f'{folder}: a shard of {split!r} has no {error}; '
                         'run niki-data observe, or give shards of one version') from error
