"""Training windows of a front end's observations of rendered people, with ground truth."""

import hashlib
from pathlib import Path

from niki_ros.body.skeleton import MIRROR_29
from niki_ros.common.errors import InputError
import numpy as np
from tqdm import tqdm

from niki_training.front_end.observe import with_recomputed_observations
from niki_training.render.shards import check_keys, read_shard, shard_paths

_KEYS = ('rotmat', 'betas', 'joints_m', 'obs_found', 'obs_joints_m', 'obs_sigma')
_FLIP = np.asarray([-1.0, 1.0, 1.0], dtype=np.float32)
_SIDES = list(MIRROR_29)
# added to the observations: without noise a network overfits to a few hundred clips
_LASTING_NOISE_M, _FRAME_NOISE_M = 0.03, 0.01


class Pairs:
    """
    Observations and ground truth of the clips of ``niki-data render --observe``, in memory.

    Where the front end lost the person, the last observation stays with sigma 1, as in the
    pipeline. Windows have ``frames`` frames.
    """

    def __init__(self, folder: Path, split: str, frames: int):
        """Read all shards; observations are recomputed where landmarks are stored."""
        shards = _observed(folder, split)
        self.frames, self.betas, self.rotmat = frames, shards['betas'], shards['rotmat']
        self.joints_m = shards['joints_m'] - shards['joints_m'][:, :, :1]
        self.seen_m, self.sigma = _filled(
            shards['obs_found'], shards['obs_joints_m'], shards['obs_sigma'])
        # (W, 2) clip and first frame of each window that begins with an observation
        found = shards['obs_found']
        self._windows = np.argwhere(found[:, :max(found.shape[1] - frames + 1, 0)])
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
    parts = []
    for path in tqdm(shard_paths(folder, split), disable=None, unit='shard', desc='pairs'):
        shard = with_recomputed_observations(read_shard(path))
        check_keys(shard, _KEYS, path, 'niki-data observe adds it')
        parts.append({key: shard[key] for key in _KEYS})
    return {key: np.concatenate([part[key] for part in parts]) for key in _KEYS}


def _filled(found, joints_m, sigma):
    """Return joints (C, T, 29, 3) and sigma (C, T, 29) without gaps."""
    order = np.where(found, np.arange(found.shape[1]), 0)
    last = np.maximum.accumulate(order, axis=1)
    joints = np.nan_to_num(joints_m[np.arange(len(found))[:, None], last])
    return joints, np.where(found[..., None], sigma, 1.0).astype(np.float32)
