"""
Train the correction of the landmark network's average errors on rendered people.

The network is small, with much noise on its inputs, half of which are set to zero: it learns what
also holds for real people. niki_ros.observers.landmark_errors reads the weights.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from niki_ros.body.skeleton import MIRROR_29
from niki_ros.files.atomic_write import atomic_write
from niki_ros.observers.landmark_errors import INPUTS, inputs, LandmarkErrors, OUTPUTS, split
from niki_ros.observers.landmark_joints import MIRROR_LANDMARKS
from niki_ros.observers.landmark_observation import box_size, observation_from_landmarks
import numpy as np
from scipy.linalg import block_diag
import torch
from torch import nn
from tqdm import tqdm

from niki_training.common.arguments import positive_int
from niki_training.files.outputs import check_arguments
from niki_training.front_end.observe import landmark_axes
from niki_training.render.shards import check_keys, read_shard, shard_paths

_KEYS = ('joints_m', 'keypoints_px', 'camera_matrix', 'image_size', 'obs_found', 'obs_landmarks',
         'obs_landmarks_world_m', 'obs_landmarks_seen')
_MIN_SCALE = 0.05  # added to the standard deviations of the inputs


@dataclass(frozen=True)
class CorrectionNumbers:
    """
    Numbers of the training, chosen on Pose2Sim and on rendered ``val``.

    Less noise is better on rendered people and worse on video.
    """

    max_dropped_ratio: float = 0.5  # largest share of the inputs that are set to zero
    noise: float = 0.7  # standard deviation of the noise on the normalised inputs
    width: int = 128  # of the hidden layers
    batch: int = 256  # samples of a step
    learning_rate: float = 2e-3
    person_m: float = 1.7  # an image error of the person's size weighs as much as this in space


class Samples(NamedTuple):
    """Frames with a person found, in the axes of a camera that points at the hips."""

    inputs: torch.Tensor  # (n, 165)
    observed_m: torch.Tensor  # (n, 29, 3) the front end's joints
    true_m: torch.Tensor  # (n, 29, 3)
    image_error: torch.Tensor  # (n, 29, 2) observed to true positions over the size, or NaN


def read_samples(folder: Path, split: str) -> Samples:
    """Return the samples of shards of ``niki-data render --observe landmarks``."""
    parts = [_of_shard(read_shard(path), path)
             for path in tqdm(shard_paths(folder, split), disable=None)]
    return Samples(*map(torch.cat, zip(*parts)))


def _of_shard(shard: dict, path: Path) -> Samples:
    check_keys(shard, _KEYS, path, 'render it with --observe landmarks')
    found = shard['obs_found']
    normalized, world_m, visible = (shard[f'obs_landmarks{part}'][found].astype(np.float64)
                                    for part in ('', '_world_m', '_seen'))
    clip, t = np.nonzero(found)
    axes, joints_m = landmark_axes(shard, clip, t), shard['joints_m'][found]
    observed = [observation_from_landmarks(*args)
                for args in zip(normalized, world_m, visible, shard['image_size'][clip])]
    known = np.array([np.isfinite(one.keypoint_sigma_px) for one in observed]).reshape(-1, 29)
    image_error = shard['keypoints_px'][found] - np.array(
        [one.keypoints_px for one in observed]).reshape(-1, 29, 2)
    image_error /= np.array([box_size(one.box_px) for one in observed])[:, None, None]
    image_error[~known] = np.nan
    observed_m = np.array([one.joints_m for one in observed]).reshape(-1, 29, 3)
    return Samples(*(torch.from_numpy(array.astype(np.float32)) for array in (
        inputs(normalized, world_m, visible), observed_m, (joints_m - joints_m[:, :1]) @ axes,
        image_error)))


def mirrored(samples: Samples) -> Samples:
    flip, sides = torch.tensor([-1.0, 1.0, 1.0]), MIRROR_LANDMARKS
    world = samples.inputs[:, :99].reshape(-1, 33, 3)[:, sides] * flip
    seen, beyond = samples.inputs[:, 99:132][:, sides], samples.inputs[:, 132:][:, sides]
    other_inputs = torch.cat([world.flatten(1), seen, beyond], dim=1)
    joints = list(MIRROR_29)
    return Samples(other_inputs, samples.observed_m[:, joints] * flip,
                   samples.true_m[:, joints] * flip,
                   samples.image_error[:, joints] * flip[:2])


def error_mm(found, true) -> float:
    """Return the mean error of 24 joints of (n, 29, 3) about the pelvis, millimetres."""
    off = (found - found[:, :1] - true)[:, :24].norm(dim=-1)
    return 1e3 * float(off.mean())


def network(width: int) -> nn.Sequential:
    """Return the network before training, with outputs of zero."""
    net = nn.Sequential(nn.Linear(INPUTS, width), nn.SiLU(), nn.Dropout(0.1),
                        nn.Linear(width, width), nn.SiLU(), nn.Dropout(0.1),
                        nn.Linear(width, OUTPUTS))
    nn.init.zeros_(net[-1].weight)
    nn.init.zeros_(net[-1].bias)
    return net


def train(samples: Samples, steps: int, seed: int = 0,
          numbers: CorrectionNumbers = CorrectionNumbers()) -> dict:
    """Return the weights of a new network, arrays by their names in the file."""
    torch.manual_seed(seed)
    net, rate = network(numbers.width), numbers.learning_rate
    mean, scale = samples.inputs.mean(0), samples.inputs.std(0) + _MIN_SCALE
    optimizer = torch.optim.AdamW(net.parameters(), rate, weight_decay=0.05)
    rise = 0.05 if steps > 100 else 0.3  # OneCycleLR divides by zero where the rise is one step
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=rise)
    for _ in tqdm(range(steps), disable=None, unit='step'):
        batch = _random_batch(samples, numbers.batch)
        loss = _loss(net, batch, _with_noise((batch.inputs - mean) / scale, numbers), numbers)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    weights = {'mean': mean, 'scale': scale}
    for number, layer in enumerate(layers):
        weights |= {f'weight{number}': layer.weight, f'bias{number}': layer.bias}
    # half precision changes joints by 0.01 mm on average, and halves the file
    return {key: value.detach().numpy().astype(np.float16 if 'weight' in key else np.float32)
            for key, value in weights.items()}


def _random_batch(samples: Samples, count: int) -> Samples:
    """Return random samples, half of them mirrored."""
    pick = torch.randint(len(samples.inputs), (count,))
    batch = Samples(*(tensor[pick] for tensor in samples))
    is_plain = torch.rand(count) < 0.5
    return Samples(*(torch.where(is_plain.view(-1, *[1] * (a.ndim - 1)), a, b)
                     for a, b in zip(batch, mirrored(batch))))


def _with_noise(normalized, numbers: CorrectionNumbers):
    """Return inputs (n, 165) with noise, and a random share of them set to zero."""
    count = len(normalized)
    noise = numbers.noise * torch.randn_like(normalized) * (torch.rand(count, 1) < 0.8)
    normalized = normalized + noise
    kept = torch.rand_like(normalized) > numbers.max_dropped_ratio * torch.rand(count, 1)
    return normalized * kept


def _loss(net, batch: Samples, normalized, numbers: CorrectionNumbers):
    """Return the mean error in space, plus that in the image where it is known."""
    offset_m, image_offset = split(net(normalized))
    loss = (batch.observed_m + offset_m - batch.true_m).norm(dim=-1).mean()
    known = torch.isfinite(batch.image_error).all(-1)
    image_error = (image_offset - batch.image_error)[known].norm(dim=-1).sum() / known.numel()
    return loss + numbers.person_m * image_error


def averaged(networks: list) -> dict:
    """
    Return the weights of one network whose output is the mean of several networks' outputs.

    The layers of all stand side by side; the first normalises the inputs, the last one averages.
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
    """Return the errors in space and in the image, before and after correction, as text."""
    offset_m, image_offset = (torch.from_numpy(array.astype(np.float32)) for array in
                              LandmarkErrors(weights).answer(samples.inputs.numpy()))
    before_mm, after_mm = (error_mm(joints_m, samples.true_m) for joints_m in (
        samples.observed_m, samples.observed_m + offset_m))
    before, after = (100 * error.norm(dim=-1).nanmedian() for error in (
        samples.image_error, samples.image_error - image_offset))
    return (f'{before_mm:.1f} mm, corrected {after_mm:.1f} mm; in the image {before:.2f} % of the '
            f'size (median), corrected {after:.2f} %')


def add_arguments(parser) -> None:
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
    print(f'{args.out}: {sum(len(part.inputs) for part in parts)} frames, {args.steps} steps')
    if args.val:
        val = read_samples(args.val, 'val')
        print(f'val, {len(val.inputs)} frames: {report(weights, val)}')
    return 0
