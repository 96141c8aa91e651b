"""
What front ends do to joints: corruptions of the evaluation protocol, and of a landmark network.

All work on sequences (B, T, 29, 3) in camera axes, metres; numpy, seeded by the caller.
"""

from __future__ import annotations

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINT
import numpy as np

LIMBS = tuple(
    tuple(JOINT[f'{side}_{part}'] for part in parts)
    for parts in (('elbow', 'wrist', 'hand', 'middle_finger'),
                  ('knee', 'ankle', 'foot', 'big_toe'))
    for side in ('left', 'right')
)
"""Left arm, right arm, left leg, right leg."""
LEGS = LIMBS[2] + LIMBS[3]
HIPS = (JOINT['left_hip'], JOINT['right_hip'])
LEFT_LEG, RIGHT_LEG = LIMBS[2], LIMBS[3]
NEVER_SEEN = tuple(JOINT[name] for name in (
    'spine1', 'spine2', 'spine3', 'neck', 'left_collar', 'right_collar', 'head', 'head_top'))
OCCLUDED_M = 0.2

PROTOCOL = ('clean', 'noise-10', 'noise-20', 'noise-40', 'noise-80', 'depth-40', 'occluded-1',
            'occluded-2', 'occluded-4', 'truncated-legs', 'truncated-waist', 'silent-1',
            'silent-2', 'swapped')
"""The rows of the evaluation table."""


def protocol(name: str, joints, rng):
    """
    Corrupt as the evaluation protocol says.

    :param name: such as ``noise-20`` (mm), ``depth-40``, ``occluded-2``, ``truncated-legs``.
    :param joints: (B, T, 29, 3); limbs are chosen once a sequence, noise is new in each frame.
    :return: joints (B, T, 29, 3) root-aligned, sigma (B, T, 29), wrong (B, T, 29) bool.
    """
    kind, _, value = name.partition('-')
    joints = joints.copy()
    sigma = np.zeros(joints.shape[:-1])
    hidden = np.zeros((len(joints), 29), dtype=bool)
    if kind in ('noise', 'depth'):
        spread = np.full(3, float(value) / 1000) * (1, 1, 1)
        if kind == 'depth':
            spread[:2] /= 3
        joints += rng.normal(size=joints.shape) * spread
        sigma[:] = min(1.0, float(value) / 1000 / SIGMA_UNIT_M)
    elif kind in ('occluded', 'silent'):
        hidden = limb_mask(np.full(len(joints), int(value)), rng)
    elif kind == 'truncated':
        below = LEGS if value == 'legs' else LEGS + HIPS + (0, JOINT['spine1'], JOINT['spine2'])
        hidden[:, list(below)] = True
    elif kind == 'swapped':
        joints[:, :, LEFT_LEG + RIGHT_LEG] = joints[:, :, RIGHT_LEG + LEFT_LEG]
    wrong = np.broadcast_to(hidden[:, None], sigma.shape)
    joints = np.where(
        wrong[..., None], joints + rng.normal(size=joints.shape) * OCCLUDED_M, joints)
    if kind != 'silent':
        sigma = np.where(wrong, 1.0, sigma)
    return joints - joints[..., :1, :], sigma, wrong


def limb_mask(count, rng) -> np.ndarray:
    """Choose ``count`` (B,) of the four limbs of each body: mask (B, 29)."""
    order = np.argsort(rng.random((len(count), 4)), axis=1)
    mask = np.zeros((len(count), 29), dtype=bool)
    for limb, joints in enumerate(LIMBS):
        mask[:, joints] = (order[:, limb] < count)[:, None]
    return mask


def training_mix(joints, rng, clean: int = 0):
    """
    Draw a corruption for each sequence: a kind of noise, and on top of it missing joints.

    :param joints: (B, T, 29, 3) camera axes, metres.
    :param clean: so many of the first sequences stay as they are.
    :return: joints (B, T, 29, 3) root-aligned, sigma (B, T, 29).
    """
    noisy, sigma = _noise(joints, rng)
    hidden, silent = _hidden(joints.shape[:2], rng)
    noisy = _swap_legs(noisy, rng, 0.06)
    noise = rng.normal(size=joints.shape) * OCCLUDED_M
    junk = rng.random((len(joints), 1, 1, 1)) < 0.1
    place = np.where(junk, noise * rng.choice([0.0, 0.5, 2.0], (len(joints), 1, 1, 1)),
                     noisy + noise)
    noisy = np.where(hidden[..., None], place, noisy)
    sigma = np.where(hidden & ~silent[:, None, None], 1.0, sigma)
    nothing = rng.random(len(joints)) < 0.01
    sigma[nothing] = 1.0
    noisy[:clean], sigma[:clean] = joints[:clean], 0.0
    return noisy - noisy[..., :1, :], sigma


def _noise(joints, rng):
    """Add Gaussian, depth or landmark-like noise, or none; return joints and sigma (B, T, 29)."""
    batch, frames = joints.shape[:2]
    level = np.exp(rng.uniform(np.log(0.004), np.log(0.09), batch))
    kind = rng.choice(4, batch, p=[0.4, 0.36, 0.12, 0.12])
    level[kind == 0] = 0.0
    spread = level[:, None, None, None] * np.ones((1, 1, 1, 3))
    spread = np.where((kind == 2)[:, None, None, None], spread * (1 / 3, 1 / 3, 1.0), spread)
    noise = rng.normal(size=joints.shape) * spread
    sigma = np.broadcast_to((level / SIGMA_UNIT_M)[:, None, None], (batch, frames, 29)).copy()
    like = np.flatnonzero(kind == 3)
    if len(like):
        noise[like], sigma[like] = _landmark_like(joints[like], level[like], rng)
    # a front end does not know its own error exactly
    vague = (rng.random(batch) < 0.2)[:, None, None]
    sigma = np.where(vague, sigma * np.exp(rng.normal(size=(batch, 1, 29)) * 0.4), sigma)
    return joints + noise, np.minimum(sigma, 1.0)


def _landmark_like(joints, level, rng):
    """
    Errors that last over frames, grow along limbs in depth, and joints made up from others.

    :return: the error (B, T, 29, 3) and sigma (B, T, 29).
    """
    batch, frames = joints.shape[:2]
    size = np.maximum(level, 0.015)[:, None, None, None]
    lasting = rng.normal(size=(batch, 1, 29, 3)) * size * (0.5, 0.5, 1.0)
    quick = rng.normal(size=joints.shape) * size * (0.2, 0.2, 0.5)
    for limb in LIMBS:
        # the depth of a whole limb is guessed: the error grows towards its end
        reach = np.arange(1, 5) / 2 * rng.normal(size=(batch, 1, 1)) * size[..., 0]
        lasting[:, :, limb, 2] += reach
    error = lasting + quick
    middle_hips = joints[:, :, list(HIPS)].mean(2, keepdims=True)
    shoulders = [JOINT['left_shoulder'], JOINT['right_shoulder']]
    middle_shoulders = joints[:, :, shoulders].mean(2, keepdims=True)
    share = np.asarray([0.25, 0.5, 0.75, 1.05, 0.9, 0.9])[:, None]
    placed = middle_hips + share * (middle_shoulders - middle_hips)
    made = list(NEVER_SEEN[:6])
    error[:, :, made] += placed - joints[:, :, made]
    sigma = np.broadcast_to(size[..., 0] / SIGMA_UNIT_M, (batch, frames, 29)).copy()
    sigma[:, :, list(NEVER_SEEN)] += 0.25
    sigma *= np.exp(rng.normal(size=(batch, 1, 29)) * 0.3)
    return error, sigma


def _hidden(shape, rng):
    """Choose joints that are missing: mask (B, T, 29), and which sequences do not know it (B,)."""
    batch, frames = shape
    kind = rng.choice(5, batch, p=[0.36, 0.26, 0.09, 0.10, 0.19])
    count = np.where((kind == 1) | (kind == 4), rng.choice(
        [1, 2, 3, 4], batch, p=[0.35, 0.4, 0.15, 0.1]), 0)
    mask = limb_mask(count, rng)
    mask[np.ix_(kind == 2, LEGS)] = True
    mask[np.ix_(kind == 3, LEGS + HIPS)] = True
    for joint, share in ((JOINT['spine1'], 0.85), (JOINT['spine2'], 0.5), (0, 0.5)):
        mask[:, joint] |= (kind == 3) & (rng.random(batch) < share)
    # single joints too, and now and then a limb without its last joint
    mask |= (rng.random((batch, 1)) < 0.08) & (rng.random((batch, 29)) < 0.15)
    # over time: a third of the sequences lose the joints midway, or have them back
    start = np.where(rng.random(batch) < 0.4, rng.integers(0, frames + 1, batch), 0)
    end = np.where(rng.random(batch) < 0.15, rng.integers(0, frames + 1, batch), frames)
    time = np.arange(frames)[None]
    during = (time >= start[:, None]) & (time < np.maximum(end, start + 1)[:, None])
    if frames == 1:
        during[:] = True
    return mask[:, None] & during[..., None], kind == 4


def _swap_legs(joints, rng, share: float):
    """Exchange the legs of some sequences."""
    swapped = joints.copy()
    swapped[:, :, LEFT_LEG + RIGHT_LEG] = joints[:, :, RIGHT_LEG + LEFT_LEG]
    chosen = rng.random((len(joints), 1, 1, 1)) < share
    return np.where(chosen, swapped, joints)
