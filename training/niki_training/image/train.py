"""Training of the three heads on the same batches, each with its own network."""

import copy
from dataclasses import asdict, dataclass, replace
import math
import os
from pathlib import Path
import sys
import time

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ModelError
import numpy as np
import torch

from niki_training.files.archives import read_record, reason
from niki_training.image.augmentation import augmented, tensors, usable
from niki_training.image.losses import head_losses
from niki_training.image.network import HEADS, PersonConfig, PersonNet
from niki_training.networks.kinematic import rot6d_from_rotmat

KIND = 'kinematic image'  # kind of the checkpoints
_MAX_GRADIENT_NORM = 5.0
_FINAL_RATE_RATIO = 0.01  # learning rate at the end of a run, over the highest one


@dataclass
class ImageTrainConfig:
    """Settings of a run."""

    steps: int = 6000
    minutes: float = 0.0  # 0 = until the last step; the learning rate is annealed
    batch: int = 32  # crops per step
    learning_rate: float = 1.5e-3
    warmup: int = 100  # steps until the highest learning rate
    weight_decay: float = 0.02
    ema: float = 0.995  # decay of the averaged weights, which are evaluated and exported
    seed: int = 1
    every: int = 200  # steps between checkpoints


class ImageTrainer:
    """One run in a folder; ``last.pt`` holds all networks and is resumed after a stop."""

    def __init__(self, config: ImageTrainConfig, person: PersonConfig, crops: dict, folder: Path,
                 heads=HEADS):
        """Build the networks for the arrays of ``read_crops``, or resume the last checkpoint."""
        self.config, self.folder = config, Path(folder)
        self.crops, self.size_px = usable(crops), person.size_px
        self.generator = torch.Generator().manual_seed(config.seed)
        self.nets, self.means, self.optimizers = {}, {}, {}
        joints, rotmat, place = (torch.from_numpy(np.float32(self.crops[key])) for key in (
            'joints_m', 'rotmat', 'place'))
        for head in heads:
            torch.manual_seed(config.seed)
            net = PersonNet(replace(person, head=head), open_skeleton())
            net.set_mean(joints, rot6d_from_rotmat(rotmat), place)
            net.to(memory_format=torch.channels_last)
            self.nets[head] = net
            self.means[head] = copy.deepcopy(net).requires_grad_(False)
            self.optimizers[head] = torch.optim.AdamW(
                net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay,
                fused=True)
        self.step, self.earlier_s, self.begin = 0, 0.0, time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / 'last.pt').exists():
            self._resume()


    def _resume(self) -> None:
        record = read_record(self.folder / 'last.pt', 'niki-train kinematic')
        heads = sorted(record.get('nets', ()))
        if heads != sorted(self.nets):
            raise ModelError(f'{self.folder}/last.pt holds the heads {heads}; use a new --out')
        for head in self.nets:
            self.nets[head].load_state_dict(record['nets'][head])
            self.means[head].load_state_dict(record['means'][head])
            self.optimizers[head].load_state_dict(record['optimizers'][head])
        self.step, self.earlier_s = record['step'], record['seconds']
        self.generator.manual_seed(self.config.seed + 7919 * self.step)

    def run(self) -> None:
        """Train until the last step; checkpoints are saved in between."""
        begun = time.process_time()
        while self._progress() < 1.0:
            error_m = self._train_step()
            self.step += 1
            if self.step % self.config.every == 0:
                self.save()
                errors = ', '.join(f'{head} {1000 * m:.0f} mm' for head, m in error_m.items())
                print(f'step {self.step}, {time.process_time() - begun:.0f} s of processor time, '
                      f'{errors}', file=sys.stderr, flush=True)
        self.save()

    def _progress(self) -> float:
        """Return the share of the run that is done, by steps or by time, the larger one."""
        done = self.step / self.config.steps
        if self.config.minutes > 0:
            spent = self.earlier_s + time.monotonic() - self.begin
            done = max(done, spent / 60 / self.config.minutes)
        return min(1.0, done)

    def _train_step(self) -> dict:
        """Do one step of every network on one batch; return {head: mean joint error in metres}."""
        rows = torch.randint(len(self.crops['image']), (self.config.batch,),
                             generator=self.generator).numpy()
        batch = augmented(tensors(self.crops, rows), self.generator, self.size_px)
        batch['image'] = batch['image'].contiguous(memory_format=torch.channels_last)
        warm = min(1.0, (self.step + 1) / self.config.warmup)
        wave = 0.5 * (1 + math.cos(math.pi * self._progress()))
        rate = self.config.learning_rate * warm * (
            _FINAL_RATE_RATIO + (1 - _FINAL_RATE_RATIO) * wave)
        # a smaller decay at the beginning, so that the initial weights are soon left
        keep = min(self.config.ema, (1 + self.step) / (10 + self.step))
        error_m = {}
        for head, net in self.nets.items():
            net.train()
            found = net(batch['image'])
            loss = sum(head_losses(head, found, batch).values())
            optimizer = self.optimizers[head]
            optimizer.param_groups[0]['lr'] = rate
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(net.parameters(), _MAX_GRADIENT_NORM)
            if not torch.isfinite(norm):
                raise ModelError(f'step {self.step + 1}: the loss or gradient of {head} is not '
                                 'finite; the run ends. Check the crops, or try another seed')
            optimizer.step()
            _average(self.means[head], net, keep)
            away_m = found.joints_m.detach() - batch['joints_m']
            error_m[head] = float(away_m.norm(dim=-1).mean())
        return error_m

    def save(self) -> None:
        record = {
            'kind': KIND, 'config': asdict(self.config), 'step': self.step,
            'crops': len(self.crops['image']),
            'person': {head: asdict(net.config) for head, net in self.nets.items()},
            'nets': {head: net.state_dict() for head, net in self.nets.items()},
            'means': {head: net.state_dict() for head, net in self.means.items()},
            'optimizers': {head: o.state_dict() for head, o in self.optimizers.items()},
            'seconds': self.earlier_s + time.monotonic() - self.begin,
        }
        torch.save(record, self.folder / 'last.tmp')
        os.replace(self.folder / 'last.tmp', self.folder / 'last.pt')


@torch.no_grad()
def _average(mean, net, keep: float) -> None:
    """Average the weights; the statistics of the normalisations are copied."""
    torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - keep)
    for old, new in zip(mean.buffers(), net.buffers()):
        old.copy_(new)


def load_people(path) -> tuple:
    """Return {head: averaged network} of a checkpoint of the three heads, and its whole record."""
    record = read_record(path, 'niki-train kinematic')
    try:
        nets = {}
        for head, person in record['person'].items():
            nets[head] = PersonNet(PersonConfig(**person), open_skeleton())
            nets[head].load_state_dict(record['means'][head])
            nets[head].eval().to(memory_format=torch.channels_last)
    except (AttributeError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f'{path}: not a checkpoint of niki-train kinematic ({reason(error)})') from error
    return nets, record
