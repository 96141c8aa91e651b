"""Training and scores of one cell of the toy experiment: a method, a level, a seed."""

from dataclasses import dataclass
from functools import lru_cache
import json
import os
from pathlib import Path
import time

import numpy as np
import torch

from niki_training.evaluate.model_fit import minimize_with_adam
from niki_training.toy import figures
from niki_training.toy.figures import Figure, SIZE_PX
from niki_training.toy.network import Cells, cells_of, ToyCnn

TRAINED = ('direct joint', 'direct parameter', 'kinematic')
METHODS = (*TRAINED, 'model fit')


@dataclass(frozen=True)
class ToyConfig:
    """Settings of the experiment; ``train`` and ``epochs`` are in the names of result files."""

    train: int = 16000  # images to train on
    test: int = 1000  # images to score on
    epochs: int = 12
    batch: int = 128  # per step
    learning_rate: float = 1e-3
    fit_steps: int = 300  # of the model fit
    fit_rate: float = 0.03  # its learning rate


LOSS_UNIT_PX = 45.0  # length in the loss, and of the networks' joint outputs


@dataclass(frozen=True)
class Samples:
    """Images of one level with their ground truth."""

    cells: Cells
    theta: torch.Tensor  # (n, K) motion parameters
    joints: torch.Tensor  # (n, J, 2) pixels


def samples(shape: Figure, count: int, seed: int) -> Samples:
    """Return ``count`` images of a level; drawn 500 at a time, to save memory."""
    theta = figures.draw_parameters(shape, count, np.random.default_rng([seed, shape.level]))
    parts = [cells_of(figures.draw_images(shape, theta[k:k + 500])) for k in range(0, count, 500)]
    offsets = np.cumsum([0] + [p.ends[-1] for p in parts])
    cells = Cells(
        np.concatenate([p.windows for p in parts]), np.concatenate([p.place for p in parts]),
        np.concatenate([[0], *[p.ends[1:] + o for p, o in zip(parts, offsets)]]))
    parameters = torch.tensor(theta, dtype=torch.float32)
    return Samples(cells, parameters, shape.pose(parameters))


def fast_bf16() -> bool:
    """Return whether this processor multiplies bfloat16 natively, three times faster."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def outputs_of(method: str, shape: Figure) -> int:
    return 2 * len(shape.joints) if method == 'direct joint' else len(shape.low)


def loss_of(method: str, shape: Figure, out, theta, joints):
    """Return the paper's loss: half the squared distance, of joints or of parameters."""
    if method == 'direct parameter':
        return (out - shape.scaled(theta)).square().sum(-1).mean() / 2
    found = joints_of(method, shape, out)
    return ((found - joints) / LOSS_UNIT_PX).square().sum((-1, -2)).mean() / 2


def joints_of(method: str, shape: Figure, out):
    """Return the joints (n, J, 2) in pixels of a network's output (n, K)."""
    if method == 'direct joint':
        return out.unflatten(-1, (-1, 2)) * LOSS_UNIT_PX + SIZE_PX / 2
    return shape.pose(shape.unscaled(out))


def run_network(net, data: Samples, images, bf16: bool):
    """Return the network's output for images by index."""
    windows, place = data.cells.pick(images)
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        return net(windows.to(torch.bfloat16 if bf16 else torch.float32), place, len(images))


def train(method: str, shape: Figure, data: Samples, config: ToyConfig, seed: int):
    """Return the trained network: Adam, the learning rate falls along a cosine."""
    torch.manual_seed(seed)
    rng, bf16 = np.random.default_rng(seed), fast_bf16()
    net = ToyCnn(outputs_of(method, shape))
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate, fused=True)
    batches = len(data.cells) // config.batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, max(config.epochs * batches, 1))
    for _ in range(config.epochs):
        order = rng.permutation(len(data.cells))
        for images in order[:batches * config.batch].reshape(-1, config.batch):
            out = run_network(net, data, images, bf16)
            loss = loss_of(method, shape, out, data.theta[images], data.joints[images])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def predict(net, data: Samples, batch: int = ToyConfig.batch):
    """Return the network's output for all images."""
    with torch.no_grad():
        parts = np.array_split(np.arange(len(data.cells)), max(len(data.cells) // batch, 1))
        return torch.cat([run_network(net, data, images, fast_bf16()) for images in parts])


def fitted(shape: Figure, joints, config: ToyConfig = ToyConfig()):
    """Return the parameters (n, K) whose joints are nearest to joints (n, J, 2)."""
    start = torch.zeros(len(joints), len(shape.low))

    def miss(share):
        found = shape.pose(shape.unscaled(share))
        return ((found - joints) / LOSS_UNIT_PX).square().sum()

    return shape.unscaled(minimize_with_adam(start, miss, config.fit_steps, config.fit_rate))


def scores(shape: Figure, joints, theta, data: Samples) -> dict:
    """
    Return joint error (px), angle error (deg) and deviation of the bone lengths (%).

    :param joints: (n, J, 2) pixels. :param theta: (n, K); None = the angles of the joints' bones.
    """
    joints, truth = joints.numpy(), data.joints.numpy()
    angles = shape.angles(joints) if theta is None else theta.numpy()[:, 2:]
    off = np.abs(figures.wrapped(angles - data.theta.numpy()[:, 2:]))
    bones = np.linalg.norm(joints[:, shape.bones[:, 1]] - joints[:, shape.bones[:, 0]], axis=-1)
    lengths = np.linalg.norm(truth[:, shape.bones[:, 1]] - truth[:, shape.bones[:, 0]], axis=-1)
    return {
        'joint_px': float(np.linalg.norm(joints - truth, axis=-1).mean()),
        'angle_deg': float(np.degrees(off).mean()),
        'bone_percent': float(100 * (bones.std(0) / lengths.mean(0)).mean()),
    }


def run_cell(folder, method: str, level: int, seed: int, config: ToyConfig) -> dict:
    """Train and score one cell, or read its result from ``folder``."""
    path = Path(folder) / (f'{method.replace(" ", "_")}_level{level}_seed{seed}_{config.train}x'
                           f'{config.epochs}.json')
    if path.exists():
        return json.loads(path.read_text('utf-8'))
    torch.set_num_threads(1)
    begin, shape = time.process_time(), figures.figure(level)
    data, test = _images(level, config.train, config.test)
    net = train(method, shape, data, config, seed)
    out = predict(net, test)
    joints = joints_of(method, shape, out).float()
    theta = None if method == 'direct joint' else shape.unscaled(out)
    row = {'method': method, 'level': level, 'seed': seed, **scores(shape, joints, theta, test)}
    if method == 'direct joint':
        found = fitted(shape, joints)
        row['model fit'] = scores(shape, shape.pose(found), found, test)
    row['cpu_s'] = time.process_time() - begin
    temporary = path.with_suffix('.tmp')
    temporary.write_text(json.dumps(row), 'utf-8')
    os.replace(temporary, path)
    return row


@lru_cache(maxsize=1)
def _images(level: int, train: int, test: int) -> tuple:
    """Return the images of a level; a process uses the same ones many times in a row."""
    shape = figures.figure(level)
    return samples(shape, train, 1), samples(shape, test, 2)
