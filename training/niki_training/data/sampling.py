"""Balanced random windows of consecutive frames of motion."""

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import Motion

_UPRIGHT_WEIGHT, _MAX_BENT_WEIGHT = 0.5, 2.5  # a bent pose: up to six times as often


class WindowSampler:
    """
    Draws windows of consecutive frames from motion.

    A subject with n frames is drawn in proportion to the square root of n, because walking fills a
    few subjects and would outweigh the other motion. Bent poses are drawn more often.
    """

    def __init__(self, motion: Motion, frames: int):
        self.motion, self.frames = motion, frames
        usable = motion.lengths >= frames
        if not usable.any():
            longest = max(motion.lengths, default=0)
            raise InputError(f'no piece of the motion has {frames} frames, the longest has '
                             f'{longest}; prepare sequences, or set frames=… lower')
        lengths = np.where(usable, motion.lengths - frames + 1, 0)
        subjects = motion.subjects
        total = {s: lengths[subjects == s].sum() for s in set(subjects)}
        weight = np.repeat([1 / np.sqrt(max(total[s], 1)) for s in subjects], motion.lengths)
        first = np.concatenate([np.arange(n) < m for n, m in zip(motion.lengths, lengths)])
        bent = np.linalg.norm(motion.rotvec[:, 1:], axis=-1).mean(axis=1)
        bent_weight = _UPRIGHT_WEIGHT + np.minimum(bent / np.median(bent), _MAX_BENT_WEIGHT)
        weight = weight * first * bent_weight
        self._cumulative = np.cumsum(weight / weight.sum())

    def draw_starts(self, count: int, rng) -> np.ndarray:
        """Return the first frames (count,) of windows."""
        return np.searchsorted(self._cumulative, rng.random(count) * self._cumulative[-1])

    def draw(self, count: int, rng) -> np.ndarray:
        """Return rotation vectors (count, frames, 24, 3), radians."""
        start = self.draw_starts(count, rng)
        return self.motion.rotvec[start[:, None] + np.arange(self.frames)]
