"""
Random corruptions of joints for training.

Each sequence gets one of the noises and one of the kinds of hidden joints. A new one is a function
with the decorator ``noise`` or ``hides``, and its odds, under the same name, as the last field of
its group in :mod:`niki_training.corrupt.odds`.
"""

from typing import Callable

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.corrupt import joint_groups as groups
from niki_training.corrupt.odds import CorruptionOdds, odds_by_name

_NOISE_M = (0.004, 0.09)  # range of the level of noise, per coordinate
_MIN_LANDMARK_ERROR_M = 0.015
_SPINE_RATIOS = (0.25, 0.5, 0.75, 1.05, 0.9, 0.9)
"""Positions of six joints that a landmark network lacks, on the line from hips to shoulders."""
_SPINE = tuple(JOINT[name] for name in (
    'spine1', 'spine2', 'spine3', 'neck', 'left_collar', 'right_collar'))
_WITHOUT_LANDMARK = _SPINE + (JOINT['head'], JOINT['head_top'])
_HIDDEN_SINGLE_RATIO = 0.15
_BELOW_CHEST_RATIOS = {JOINT['spine1']: 0.85, JOINT['spine2']: 0.5, 0: 0.5}
"""Joints of the trunk → share of the bodies, hidden below the chest, in which they are hidden."""

NOISES: dict[str, Callable] = {}
"""
Name → function of joints (B, T, 29, 3), level (B,) in metres, normal (B, T, 29, 3) and generator.

``normal`` is a standard normal draw. Returns the error (B, T, 29, 3) in metres and sigma, which
broadcasts to (B, T, 29).
"""
HIDDEN: dict[str, Callable] = {}
"""Name → function of chosen (B,) bool, odds and generator; returns the hidden joints (B, 29)."""


def noise(function):
    NOISES[function.__name__] = function
    return function


def hides(*names: str):
    """Register a kind of hidden joints under its names; sigma reports none named ``silent``."""
    def register(function):
        HIDDEN.update(dict.fromkeys(names, function))
        return function
    return register


def corrupt_for_training(joints_m, rng, clean: int = 0, odds: CorruptionOdds | None = None):
    """
    Corrupt each sequence at random.

    :param joints_m: (B, T, 29, 3) camera axes, metres.
    :param clean: number of sequences, the first ones, without corruption.
    :return: joints (B, T, 29, 3) about the pelvis, metres; sigma (B, T, 29).
    """
    odds = odds or CorruptionOdds()
    noisy_m, sigma = _add_noise(joints_m, odds, rng)
    hidden, is_silent = _choose_hidden(joints_m.shape[:2], odds, rng)
    is_swapped = rng.random((len(joints_m), 1, 1, 1)) < odds.swapped_legs
    noisy_m = np.where(is_swapped, groups.exchange_legs(noisy_m), noisy_m)
    error_m = rng.normal(size=joints_m.shape) * groups.HIDDEN_JOINT_ERROR_M
    is_misplaced = rng.random((len(joints_m), 1, 1, 1)) < odds.misplaced
    hidden_m = np.where(is_misplaced,
                        error_m * rng.choice([0.0, 0.5, 2.0], (len(joints_m), 1, 1, 1)),
                        noisy_m + error_m)
    noisy_m = np.where(hidden[..., None], hidden_m, noisy_m)
    sigma = np.where(hidden & ~is_silent[:, None, None], 1.0, sigma)
    sigma[rng.random(len(joints_m)) < odds.no_sigma] = 1.0
    noisy_m[:clean], sigma[:clean] = joints_m[:clean], 0.0
    return noisy_m - noisy_m[..., :1, :], sigma


def _draw(group, count: int, rng) -> np.ndarray:
    names, _ = zip(*odds_by_name(group))
    return np.asarray(names)[_draw_index(group, count, rng)]


def _draw_index(group, count: int, rng) -> np.ndarray:
    odds = [value for _, value in odds_by_name(group)]
    return rng.choice(len(odds), count, p=np.divide(odds, np.sum(odds)))


def _add_noise(joints_m, odds: CorruptionOdds, rng):
    """Return noisy joints (B, T, 29, 3) and their sigma (B, T, 29)."""
    batch, frames = joints_m.shape[:2]
    level_m = np.exp(rng.uniform(*np.log(_NOISE_M), batch))
    kinds = _draw(odds.noise, batch, rng)
    normal = rng.normal(size=joints_m.shape)
    error_m, sigma = np.zeros(joints_m.shape), np.zeros((batch, frames, 29))
    for name, function in NOISES.items():
        rows = np.flatnonzero(kinds == name)
        if len(rows):
            error_m[rows], sigma[rows] = function(
                joints_m[rows], level_m[rows], normal[rows], rng)
    # a front end does not know its own error exactly
    is_inexact = (rng.random(batch) < odds.inexact_sigma)[:, None, None]
    sigma = np.where(is_inexact, sigma * np.exp(rng.normal(size=(batch, 1, 29)) * 0.4), sigma)
    return joints_m + error_m, np.minimum(sigma, 1.0)


@noise
def exact(joints_m, level_m, normal, rng):
    """Add no noise."""
    return 0.0 * normal, 0.0


@noise
def gaussian(joints_m, level_m, normal, rng):
    """Add the same noise in every direction."""
    return normal * level_m[:, None, None, None], (level_m / SIGMA_UNIT_M)[:, None, None]


@noise
def depth(joints_m, level_m, normal, rng):
    """Add noise in depth, and a third of it in the other axes."""
    spread_m = level_m[:, None, None, None] * (1 / 3, 1 / 3, 1.0)
    return normal * spread_m, (level_m / SIGMA_UNIT_M)[:, None, None]


@noise
def landmark_like(joints_m, level_m, normal, rng):
    """Add errors that last over frames and grow along limbs in depth, as of a landmark network."""
    batch, frames = joints_m.shape[:2]
    size_m = np.maximum(level_m, _MIN_LANDMARK_ERROR_M)[:, None, None, None]
    lasting_m = rng.normal(size=(batch, 1, 29, 3)) * size_m * (0.5, 0.5, 1.0)
    quick_m = rng.normal(size=joints_m.shape) * size_m * (0.2, 0.2, 0.5)
    for limb in groups.LIMBS:
        # the depth of a whole limb is guessed: the error grows towards its end
        reach_m = np.arange(1, 5) / 2 * rng.normal(size=(batch, 1, 1)) * size_m[..., 0]
        lasting_m[:, :, limb, 2] += reach_m
    error_m = lasting_m + quick_m
    error_m[:, :, _SPINE] += _spine_on_a_line(joints_m) - joints_m[:, :, _SPINE]
    sigma = np.broadcast_to(size_m[..., 0] / SIGMA_UNIT_M, (batch, frames, 29)).copy()
    sigma[:, :, _WITHOUT_LANDMARK] += 0.25
    return error_m, sigma * np.exp(rng.normal(size=(batch, 1, 29)) * 0.3)


def _spine_on_a_line(joints_m) -> np.ndarray:
    """Return the six joints (B, T, 6, 3) of the spine on the line from hips to shoulders."""
    hips_m = joints_m[:, :, groups.HIPS].mean(2, keepdims=True)
    shoulders_m = joints_m[:, :, groups.SHOULDERS].mean(2, keepdims=True)
    return hips_m + np.asarray(_SPINE_RATIOS)[:, None] * (shoulders_m - hips_m)


def _choose_hidden(shape, odds: CorruptionOdds, rng):
    """Return the hidden joints (B, T, 29), and the sequences (B,) whose sigma does not say so."""
    batch, frames = shape
    kinds = _draw(odds.hidden, batch, rng)
    mask = np.zeros((batch, 29), dtype=bool)
    for function in dict.fromkeys(HIDDEN.values()):     # limbs and silent limbs in one draw
        names = [name for name, registered in HIDDEN.items() if registered is function]
        mask |= function(np.isin(kinds, names), odds, rng)
    mask |= ((rng.random((batch, 1)) < odds.single_joints)
             & (rng.random((batch, 29)) < _HIDDEN_SINGLE_RATIO))
    start = np.where(rng.random(batch) < odds.begin_later, rng.integers(0, frames + 1, batch), 0)
    end = np.where(rng.random(batch) < odds.end_earlier, rng.integers(0, frames + 1, batch),
                   frames)
    time = np.arange(frames)[None]
    during = (time >= start[:, None]) & (time < np.maximum(end, start + 1)[:, None])
    if frames == 1:
        during[:] = True
    return mask[:, None] & during[..., None], np.char.startswith(kinds, 'silent')


@hides('limbs', 'silent_limbs')
def _hide_limbs(chosen, odds: CorruptionOdds, rng) -> np.ndarray:
    counts = 1 + _draw_index(odds.limbs, len(chosen), rng)
    return groups.limb_mask(np.where(chosen, counts, 0), rng)


@hides('legs')
def _hide_legs(chosen, odds: CorruptionOdds, rng) -> np.ndarray:
    mask = np.zeros((len(chosen), 29), dtype=bool)
    mask[np.ix_(chosen, groups.LEGS)] = True
    return mask


@hides('below_chest')
def _hide_below_chest(chosen, odds: CorruptionOdds, rng) -> np.ndarray:
    mask = np.zeros((len(chosen), 29), dtype=bool)
    mask[np.ix_(chosen, groups.LEGS + groups.HIPS)] = True
    for joint, ratio in _BELOW_CHEST_RATIOS.items():
        mask[:, joint] |= chosen & (rng.random(len(chosen)) < ratio)
    return mask
