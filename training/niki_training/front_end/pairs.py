"""Training windows of a front end's observations of rendered people, with ground truth."""

from __future__ import annotations

import hashlib
from pathlib import Path

from niki_ros.body.skeleton import MIRROR_29
from niki_ros.common.errors import InputError
import numpy as np
from tqdm import tqdm

from niki_training.front_end.observe import with_recomputed_observations
from niki_training.render.shards import read_shard

_KEYS = ('rotmat', 'betas', 'joints_m', 'obs_found', 'obs_joints_m', 'obs_sigma')
_FLIP = np.asarray([-1.0, 1.0, 1.0], dtype=np.float32)
_SIDES = list(MIRROR_29)
_LASTING_NOISE_M, _FRAME_NOISE_M = 0.03, 0.01
"""Added to the observations: without noise a network overfits to a few hundred clips."""


class Pairs:
    """
    Observations and ground truth of clips, all in memory.

    Where the front end lost the person, the last observation stays with sigma 1, as in the
    pipeline.

    :param folder: shards of ``niki-data render --observe``. :param split: such as ``train``.
    :param frames: length of the windows.
    """

    def __init__(self, folder: Path, split: str, frames: int):
        """
        Read all shards; observations are recomputed where landmarks are stored.

        :raises InputError: when there are no shards, or no window of ``frames`` frames in them.
        """
        shards = _observed(Path(folder), split)
        self.frames, self.betas = frames, shards['betas']
        self.rotmat = shards['rotmat']
        joints = shards['joints_m']
        self.joints_m = joints - joints[:, :, :1]
        self.seen_m, self.sigma = _filled(
            shards['obs_found'], shards['obs_joints_m'], shards['obs_sigma'])
        self._windows = _begins(shards['obs_found'], frames)
        if not len(self._windows):
            raise InputError(f'{folder}: no {frames} frames of {split} begin with a person found')

    def digest(self) -> str:
        """Return a hash of the observations, kept in checkpoints."""
        return hashlib.sha256(self.seen_m[::7].tobytes()).hexdigest()[:16]

    def draw(self, count: int, rng) -> dict:
        """
        Return ``count`` random windows, half of them mirrored, with noise added.

        :return: ``rotmat`` (N, T, 24, 3, 3), ``joints`` and ``noisy`` (N, T, 29, 3) root-relative
            in camera axes, ``sigma`` (N, T, 29), ``betas`` (N, 10).
        """
        clip, start = self._windows[rng.integers(len(self._windows), size=count)].T
        at = clip[:, None], start[:, None] + np.arange(self.frames)
        rotmat, sigma = self.rotmat[at], self.sigma[at]
        joints, noisy = self.joints_m[at], self.seen_m[at]
        is_mirrored = rng.random(count) < 0.5
        rotmat[is_mirrored] = _FLIP[:, None] * rotmat[is_mirrored][:, :, _SIDES[:24]] * _FLIP
        sigma[is_mirrored] = sigma[is_mirrored][:, :, _SIDES]
        for points in (joints, noisy):
            points[is_mirrored] = points[is_mirrored][:, :, _SIDES] * _FLIP
        # the pelvis stays: observations are relative to it
        for noise_m, frames in ((_LASTING_NOISE_M, 1), (_FRAME_NOISE_M, self.frames)):
            noise = rng.normal(size=(count, frames, 28, 3)).astype(np.float32)
            noisy[:, :, 1:] += noise_m * noise
        return {'rotmat': rotmat, 'joints': joints, 'noisy': noisy, 'sigma': sigma,
                'betas': self.betas[clip]}


def _observed(folder: Path, split: str) -> dict:
    """Return the arrays of all shards; only what is needed of each stays in memory."""
    paths = sorted(folder.glob(f'{split}-*.npz'))
    parts = []
    for path in tqdm(paths, disable=None, unit='shard', desc='pairs'):
        shard = with_recomputed_observations(read_shard(path))
        missing = [key for key in _KEYS if key not in shard]
        if missing:
            raise InputError(f'{path} has no {missing[0]}; niki-data observe adds it')
        parts.append({key: shard[key] for key in _KEYS})
    if not parts:
        raise InputError(f'{folder} has no shards of {split!r}; niki-data render writes them')
    return {key: np.concatenate([part[key] for part in parts]) for key in _KEYS}


def _filled(found, joints_m, sigma):
    """Return joints (C, T, 29, 3) and sigma (C, T, 29) without gaps."""
    order = np.where(found, np.arange(found.shape[1]), 0)
    last = np.maximum.accumulate(order, axis=1)
    joints = np.nan_to_num(joints_m[np.arange(len(found))[:, None], last])
    return joints, np.where(found[..., None], sigma, 1.0).astype(np.float32)


def _begins(found, frames: int) -> np.ndarray:
    """Return clip and first frame (W, 2) of each window that begins with an observation."""
    begins = found[:, :max(found.shape[1] - frames + 1, 0)]
    return np.argwhere(begins)
