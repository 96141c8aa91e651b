"""Shards of clips on disk: written whole or not at all, so that a run can be taken up again."""

from __future__ import annotations

import json
from pathlib import Path

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.files.archives import opened_npz

CLIP_KEYS = ('betas', 'rotmat', 'camera_matrix', 'height_m', 'age', 'gender', 'weight', 'name',
             'start', 'subject', 'kind', 'people')
"""What holds for a clip; ``rotmat`` has its frames inside."""

TRUTH_KEYS = ('joints_m', 'keypoints_px', 'visible', 'hidden_percent')
OBSERVED_KEYS = ('obs_found', 'obs_joints_m', 'obs_sigma', 'obs_keypoints_px',
                 'obs_keypoint_sigma_px', 'obs_box_px', 'obs_score')


def shard_path(folder: Path, split: str, number: int, suffix: str = 'npz') -> Path:
    """Return where shard ``number`` lies."""
    return Path(folder) / f'{split}-{number:05d}.{suffix}'


def start_run(folder: Path, settings: dict) -> None:
    """
    Make the folder, or take up an earlier run there.

    :raises InputError: when the folder was made with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{settings["split"]}.json'
    if path.is_file():
        before = json.loads(path.read_text('utf-8'))
        other = {k: (before.get(k), v) for k, v in settings.items() if before.get(k) != v}
        if other:
            raise InputError(f'{folder} was begun with other settings: {other} (before, now); '
                             'choose another folder')
    path.write_text(json.dumps(settings, indent=1) + '\n', 'utf-8')


def joined(clips) -> dict:
    """Join dictionaries of clips into arrays with the clips along the first axis."""
    arrays = {}
    for key in clips[0]:
        array = np.stack([np.asarray(clip[key]) for clip in clips])
        arrays[key] = array.astype(np.float32) if array.dtype == np.float64 else array
    return arrays


def write_shard(path: Path, clips) -> None:
    """Write clips (dictionaries of arrays) as one ``.npz``; a ``.part`` until it is whole."""
    half = path.with_suffix('.part')
    with open(half, 'wb') as file:
        np.savez_compressed(file, **joined(clips))
    half.replace(path)


def read_shard(path: Path) -> dict:
    """Read one shard; arrays (clips, ...)."""
    with opened_npz(path, 'a shard', 'niki-data render writes them') as z:
        return {key: z[key] for key in z.files}


def read_shards(folder: Path, split: str, keys=None) -> dict:
    """
    Read all shards of a split; arrays (clips, ...).

    :param keys: what is wanted; None = all that the first shard holds.
    :raises InputError: when there is no shard, or one lacks a key.
    """
    paths = sorted(Path(folder).glob(f'{split}-*.npz'))
    if not paths:
        raise InputError(f'{folder} has no shards of {split!r}; niki-data render writes them')
    parts = [read_shard(path) for path in paths]
    wanted = parts[0] if keys is None else keys
    try:
        return {key: np.concatenate([part[key] for part in parts]) for key in wanted}
    except KeyError as error:
        raise InputError(f'{folder}: a shard of {split!r} has no {error}; '
                         'run niki-data observe, or read shards of one version') from error
