"""Training batches of a solver: motion, augmented, corrupted and turned into network inputs."""

from typing import Iterator, Protocol

from niki_ros.body.skeleton import Skeleton
import numpy as np
import torch

from niki_training.corrupt.odds import CorruptionOdds
from niki_training.corrupt.training import corrupt_for_training
from niki_training.data import shape_estimates
from niki_training.data.augmentation import random_bodies
from niki_training.data.motion import Motion
from niki_training.data.sampling import WindowSampler
from niki_training.data.solver_inputs import filter_windows, solver_inputs, with_targets

TWISTS = 46


class PairSource(Protocol):
    """Source of pairs: observations of a front end and their ground truth."""

    def draw(self, count: int, rng) -> dict:
        """
        Draw windows of T frames.

        :return: ``rotmat`` (N, T, 24, 3, 3), ``joints`` and ``noisy`` (N, T, 29, 3) in metres
            about the pelvis, all in camera axes; ``sigma`` (N, T, 29), ``betas`` (N, 10) and,
            where the front end gives twists, ``twist`` (N, T, 23, 2) as cosine and sine.
        """

    def digest(self) -> str:
        """Return a hash of the observations, kept in checkpoints."""


class Batches:
    """
    Endless stream of training batches, seeded.

    :param batch: windows of a batch. :param frames: frames of a window.
    :param clean_share: share of each batch, at its beginning, without corruption.
    :param pairs: observations of a front end, or None.
    :param pairs_share: share of each batch, at its end, drawn from ``pairs``.
    :param odds: odds of the corruptions; None = the defaults.
    """

    def __init__(self, motion: Motion, skeleton: Skeleton, batch: int, frames: int = 1,
                 seed: int = 0, clean_share: float = 0.125, pairs: PairSource | None = None,
                 pairs_share: float = 0.0, odds: CorruptionOdds | None = None):
        self.windows = WindowSampler(motion, frames)
        self.skeleton, self.batch, self.frames, self.seed = skeleton, batch, frames, seed
        self.clean, self.odds = int(batch * clean_share), odds
        self.pairs = pairs
        self.paired = int(batch * pairs_share) if pairs else 0

    def draw(self, rng) -> dict:
        """Return a batch, arrays (B, T, …) float32 of :func:`with_targets`, and ``twist``."""
        (rotmat, true_joints_m, true_betas), joints_m, sigma, twist = self._observations(rng)
        if self.frames > 1:
            betas, beta_sigma = shape_estimates.tracked_betas(
                joints_m, sigma, true_betas, self.frames, self.skeleton, rng)
        else:
            betas, beta_sigma = shape_estimates.single_frame_betas(
                joints_m, sigma, true_betas, self.skeleton, rng)
        betas, beta_sigma = shape_estimates.with_pipeline_betas(
            betas, beta_sigma, true_betas, self.paired, self.skeleton, rng)
        if self.frames > 1:
            joints_m, sigma = filter_windows(joints_m, sigma, betas, self.frames, self.skeleton)
        inputs = solver_inputs(joints_m, sigma, self.skeleton, betas, beta_sigma)
        batch = with_targets(
            inputs, rotmat.reshape(-1, 24, 3, 3), true_joints_m.reshape(-1, 29, 3),
            np.repeat(true_betas, self.frames, axis=0), self.skeleton)
        batch = {name: value.reshape((self.batch, self.frames) + value.shape[1:])
                 for name, value in batch.items()}
        return {**batch, 'twist': twist}

    def _observations(self, rng) -> tuple:
        """Return (rotmat, joints, betas), observed joints, sigma (B · T, …), twist (B, T, 46)."""
        rotmat, true_joints_m, betas = random_bodies(
            self.windows.draw(self.batch - self.paired, rng), rng, self.skeleton)
        joints_m, sigma = corrupt_for_training(true_joints_m, rng, self.clean, self.odds)
        twist = np.zeros((self.batch, self.frames, TWISTS), np.float32)   # 0 where unknown
        drawn = {'rotmat': rotmat, 'joints': true_joints_m, 'betas': betas, 'noisy': joints_m,
                 'sigma': sigma}
        if self.pairs is not None and self.paired:
            paired = self.pairs.draw(self.paired, rng)
            drawn = {name: np.concatenate([value, paired[name]]) for name, value in drawn.items()}
            if 'twist' in paired:
                twist[-self.paired:] = paired['twist'].reshape(self.paired, self.frames, TWISTS)
        truth = drawn['rotmat'], drawn['joints'], drawn['betas']
        return truth, drawn['noisy'].reshape(-1, 29, 3), drawn['sigma'].reshape(-1, 29), twist

    def __iter__(self) -> Iterator[dict]:
        """Yield batches of tensors without end; each worker of a loader has its own stream."""
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield {name: torch.from_numpy(value) for name, value in self.draw(rng).items()}
