"""
``niki-train landmarks``: learn the landmark network's average errors from rendered people.

A small network, much noise on its inputs and half of them blotted out: what is left is what holds
for real people too. The weights go where ``niki_ros.observers.landmark_errors`` reads them.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from niki_ros.body.skeleton import MIRROR_29
from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.observers.landmark_errors import INPUTS, inputs, LandmarkErrors, OUTPUTS, split
from niki_ros.observers.landmark_observation import box_size, observation_from_landmarks
import numpy as np
from scipy.linalg import block_diag
import torch
from torch import nn
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.files.outputs import check_arguments
from niki_training.front_end.observe import landmark_axes
from niki_training.render.shards import read_shard

KEYS = ('joints_m', 'keypoints_px', 'camera_matrix', 'image_size', 'obs_found', 'obs_landmarks',
        'obs_landmarks_world_m', 'obs_landmarks_seen')
BLOT, NOISE, WIDTH, BATCH, RATE = 0.5, 0.7, 128, 256, 2e-3
"""Chosen on Pose2Sim and on rendered ``val``: less noise is better there and worse on video."""
SCALE_FLOOR = 0.05
PERSON_M = 1.7
"""An error in the image of a share of the person's size weighs as much as this many metres."""
_SIDES = (0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9,
          *(one + step for one in range(11, 33, 2) for step in (1, 0)))
"""The landmarks with left and right exchanged."""


class Samples(NamedTuple):
    """
    Frames in which somebody was found, in the axes of a camera that points at the hips.

    :param shown: (n, 165). :param seen_m: (n, 29, 3) the front end's own joints.
    :param true_m: (n, 29, 3). :param off_share: (n, 29, 2) from its own image positions to the
        true ones over the person's size; NaN where it gives none.
    """

    shown: torch.Tensor
    seen_m: torch.Tensor
    true_m: torch.Tensor
    off_share: torch.Tensor


def read_samples(folder: Path, split: str) -> Samples:
    """
    Read shards of ``niki-data render --observe landmarks``.

    :raises InputError: when there are none, or without landmarks.
    """
    paths = sorted(Path(folder).glob(f'{split}-*.npz'))
    if not paths:
        raise InputError(f'{folder} has no shards of {split!r}; niki-data render writes them')
    parts = [_of_shard(read_shard(path), path) for path in tqdm(paths, disable=None)]
    return Samples(*map(torch.cat, zip(*parts)))


def _of_shard(shard: dict, path: Path) -> Samples:
    missing = [key for key in KEYS if key not in shard]
    if missing:
        raise InputError(f'{path} has no {missing[0]}; render it with --observe landmarks')
    found = shard['obs_found']
    flat, world, visible = (shard[f'obs_landmarks{part}'][found].astype(np.float64)
                            for part in ('', '_world_m', '_seen'))
    clip, t = np.nonzero(found)
    size, straight = shard['image_size'][clip], landmark_axes(shard, clip, t)
    joints = shard['joints_m'][found] - shard['joints_m'][found][:, :1]
    ones = [observation_from_landmarks(*args) for args in zip(flat, world, visible, size)]
    known = np.array([np.isfinite(one.keypoint_sigma_px) for one in ones]).reshape(-1, 29)
    off = shard['keypoints_px'][found] - np.array(
        [one.keypoints_px for one in ones]).reshape(-1, 29, 2)
    off /= np.array([box_size(one.box_px) for one in ones])[:, None, None]
    off[~known] = np.nan
    seen = np.array([one.joints_m for one in ones]).reshape(-1, 29, 3)
    return Samples(*(torch.from_numpy(array.astype(np.float32)) for array in (
        inputs(flat, world, visible), seen, joints @ straight, off)))


def mirrored(samples: Samples) -> Samples:
    """Return the same people with left and right exchanged."""
    flip, sides = torch.tensor([-1.0, 1.0, 1.0]), list(_SIDES)
    world = samples.shown[:, :99].reshape(-1, 33, 3)[:, sides] * flip
    seen, beyond = samples.shown[:, 99:132][:, sides], samples.shown[:, 132:][:, sides]
    shown = torch.cat([world.flatten(1), seen, beyond], dim=1)
    other = list(MIRROR_29)
    return Samples(shown, samples.seen_m[:, other] * flip, samples.true_m[:, other] * flip,
                   samples.off_share[:, other] * flip[:2])


def error_mm(found, true) -> float:
    """Mean error of 24 joints relative to the pelvis, millimetres."""
    off = (found - found[:, :1] - true)[:, :24].norm(dim=-1)
    return 1e3 * float(off.mean())


def network() -> nn.Sequential:
    """Return the network before training: it corrects nothing."""
    net = nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.SiLU(), nn.Dropout(0.1),
                        nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Dropout(0.1),
                        nn.Linear(WIDTH, OUTPUTS))
    nn.init.zeros_(net[-1].weight)
    nn.init.zeros_(net[-1].bias)
    return net


def train(samples: Samples, steps: int, seed: int = 0) -> dict:
    """Return the weights as arrays, by the names of the file."""
    torch.manual_seed(seed)
    net, mean = network(), samples.shown.mean(0)
    scale = samples.shown.std(0) + SCALE_FLOOR
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.05)
    for _ in tqdm(range(steps), disable=None, unit='step'):
        pick = torch.randint(len(samples.shown), (BATCH,))
        batch = Samples(*(tensor[pick] for tensor in samples))
        other = mirrored(batch)
        half = torch.rand(BATCH) < 0.5
        batch = Samples(*(torch.where(half.view(-1, *[1] * (a.ndim - 1)), a, b)
                          for a, b in zip(batch, other)))
        shown = (batch.shown - mean) / scale
        shown = shown + NOISE * torch.randn_like(shown) * (torch.rand(BATCH, 1) < 0.8)
        shown = shown * (torch.rand_like(shown) > BLOT * torch.rand(BATCH, 1))
        metres, flat = split(net(shown))
        loss = (batch.seen_m + metres - batch.true_m).norm(dim=-1).mean()
        known = torch.isfinite(batch.off_share).all(-1)
        loss = loss + PERSON_M * (flat - batch.off_share)[known].norm(dim=-1).sum() / known.numel()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    weights = {'mean': mean, 'scale': scale}
    for number, layer in enumerate(layers):
        weights |= {f'weight{number}': layer.weight, f'bias{number}': layer.bias}
    # half precision: 0.01 mm on average, and half of the file
    return {key: value.detach().numpy().astype(np.float16 if 'weight' in key else np.float32)
            for key, value in weights.items()}


def averaged(networks: list) -> dict:
    """
    Return the weights of one network that answers what several networks answer on average.

    They stand side by side in it: their inputs are normalised in the first layer, and the last one
    adds them up.
    """
    count, first, last = len(networks), [], []
    for one in networks:
        w = {key: np.asarray(value, np.float64) for key, value in one.items()}
        scaled = w['weight0'] / w['scale']
        first.append((scaled, w['bias0'] - scaled @ w['mean']))
        last.append((w['weight2'] / count, w['bias2'] / count))
    middle = block_diag(*(np.asarray(one['weight1'], np.float64) for one in networks))
    return {'mean': np.zeros(INPUTS), 'scale': np.ones(INPUTS),
            'weight0': np.concatenate([weight for weight, _ in first]),
            'bias0': np.concatenate([bias for _, bias in first]), 'weight1': middle,
            'bias1': np.concatenate([one['bias1'] for one in networks]),
            'weight2': np.concatenate([weight for weight, _ in last], axis=1),
            'bias2': np.sum([bias for _, bias in last], axis=0)}


def report(weights: dict, samples: Samples) -> str:
    """Return a line: the error before and after, in space and in the image."""
    metres, flat = (torch.from_numpy(array.astype(np.float32)) for array in
                    LandmarkErrors(weights).answer(samples.shown.numpy()))
    after = error_mm(samples.seen_m + metres, samples.true_m)
    off, left = samples.off_share.norm(dim=-1), (samples.off_share - flat).norm(dim=-1)
    return (f'{error_mm(samples.seen_m, samples.true_m):.1f} mm, corrected {after:.1f} mm; in the '
            f'image {100 * off.nanmedian():.2f} % of the size (median), corrected '
            f'{100 * left.nanmedian():.2f} %')


def add_arguments(parser) -> None:
    """Add the options of ``niki-train landmarks``."""
    parser.add_argument('pairs', type=Path, nargs='+',
                        help='folders of niki-data render --observe landmarks, split train')
    parser.add_argument('--val', type=Path, help='folder of the same with split val')
    parser.add_argument('--out', type=Path, required=True, help='the file of weights (.npz)')
    parser.add_argument('--average', type=Path, nargs='+', default=[], metavar='NPZ',
                        help='weights made before: the new network answers the mean of all')
    parser.add_argument('--steps', type=positive_int, default=6000)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (default 2)')


def main(args) -> int:
    """Train the network, write its weights and print its errors."""
    torch.set_num_threads(args.threads)
    check_arguments(args, {'--out': args.out})
    parts = [read_samples(folder, 'train') for folder in args.pairs]
    weights = train(Samples(*map(torch.cat, zip(*parts))), args.steps, args.seed)
    if args.average:
        before = [dict(np.load(path, allow_pickle=False)) for path in args.average]
        weights = {key: value.astype(np.float32)
                   for key, value in averaged([*before, weights]).items()}
    with atomic_write(args.out) as part, part.open('wb') as file:
        np.savez_compressed(file, **weights)
    print(f'{args.out}: {sum(len(part.shown) for part in parts)} frames, {args.steps} steps')
    if args.val:
        val = read_samples(args.val, 'val')
        print(f'val, {len(val.shown)} frames: {report(weights, val)}')
    return 0
