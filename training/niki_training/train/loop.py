"""The training loop, read from top to bottom: batches, losses, steps, checkpoints."""

from __future__ import annotations

import copy
import csv
import math
import os
from pathlib import Path
import time

from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import ConfigError, ModelError
import numpy as np
import torch
from torch import distributed
from tqdm import tqdm

from niki_training.data.batches import Batches
from niki_training.data.motion import Motion
from niki_training.files.archives import read_record, reason
from niki_training.networks.kinematic import six_from_rotmat
from niki_training.networks.niki import MlpNet, NetConfig, NikiNet
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.networks.temporal import TemporalNet
from niki_training.train import losses
from niki_training.train.settings import TrainConfig


def build_net(config: NetConfig):
    """Return the untrained network of ``config``."""
    if config.kind == 'mlp':
        return MlpNet(config)
    return TemporalNet(config) if config.kind == 'temporal' else NikiNet(config)


def load_checkpoint(path):
    """
    Read a checkpoint.

    :return: the network with its averaged weights, its settings, and the whole record.
    """
    record = read_record(path, 'niki-train')
    try:
        config = TrainConfig.from_dict(record['config'])
        net = build_net(config.net)
        net.load_state_dict(record['ema'])
    except (AttributeError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path}: not a checkpoint of niki-train ({reason(error)})') from error
    broken = [key for key, value in record['ema'].items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f'{path}: {broken[0]} is not finite: that run has failed; use an earlier '
                         'checkpoint, or train again with a smaller learning_rate')
    return net.eval(), config, record


class Trainer:
    """
    One training run in a folder: ``last.pt``, ``log.csv`` and TensorBoard's files.

    Started under ``torchrun`` it joins the group: every process draws its own batches, gradients
    are averaged, the first process writes.
    """

    def __init__(self, config: TrainConfig, motion: Motion, skeleton: Skeleton, folder: Path,
                 start_from: Path | None = None, pairs=None):
        """
        Build everything, or go on from the folder's last checkpoint.

        :param start_from: a checkpoint or model folder whose weights are the first; a temporal
            network also begins on a per-frame one. :param pairs: real errors, with ``draw(count,
            rng)`` and ``digest()``, or None.
        """
        self.config, self.folder, self.motion = config, Path(folder), motion
        self.rank, self.world = _join_group()
        torch.manual_seed(config.seed)
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        self.axes = torch.tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32,
                                 device=self.device)
        frames = config.frames if config.net.kind == 'temporal' else 1
        self.batches = Batches(
            motion, skeleton, config.batch, frames, config.seed + 1000 * self.rank,
            config.clean_share, pairs, config.pairs_share, config.corruption)
        self.net = build_net(config.net)
        self._normalise()
        self._start(start_from)
        self.net.to(self.device)
        for part in self.net.modules():
            if hasattr(part, 'bf16'):
                part.bf16 = config.bf16
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        trained = [p for p in self.net.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.step, self.earlier_s, self.spent_s, self.begin = 0, 0.0, 0.0, time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def _normalise(self) -> None:
        """Set the network's fixed normalisation from a few thousand clean frames."""
        net = self.net.frame if self.config.net.kind == 'temporal' else self.net
        rng = np.random.default_rng(12345)
        source = Batches(self.motion, self.batches.skeleton, 4096, 1, clean_share=1.0)
        batch = {k: torch.from_numpy(v[:, 0]) for k, v in source.draw(rng).items()}
        net.joints_norm.set(batch['joints'].flatten(1), 0.08)
        net.six_norm.set(six_from_rotmat(batch['rotmat']).flatten(1), 0.1)
        if getattr(net, 'two_stage', False):
            swing, _ = swing_twist(batch['rotmat'], self.axes.cpu())
            net.swing_norm.set(six_from_rotmat(swing).flatten(1), 0.1)

    def _start(self, path: Path | None) -> None:
        """Begin with the weights of another network."""
        temporal = self.config.net.kind == 'temporal'
        if path is None:
            if temporal and not (self.folder / 'last.pt').exists():
                raise ConfigError('net.kind = temporal stands on a trained per-frame network: '
                                  'give its checkpoint, --from runs/frame/last.pt')
            return
        found = _network_at(path)
        try:
            if temporal and not isinstance(found, TemporalNet):
                self.net.start_from(found)
            else:
                # of the losses only, and not in every file: measured on the motion
                kept = {name: value for name, value in found.state_dict().items()
                        if 'swing_norm' not in name}
                missing, _ = self.net.load_state_dict(kept, strict=False)
                if any('swing_norm' not in name for name in missing):
                    raise AttributeError(f'it has no {missing[0]}')
        except (RuntimeError, AttributeError) as error:
            raise ModelError(f'{path} has other settings of net than this run; give it the same '
                             f'--set net.… ({str(error).splitlines()[0]})') from error

    def _resume(self) -> None:
        """Go on from the folder's last checkpoint; the first process reads it for all."""
        record = None
        if self.rank == 0 and (self.folder / 'last.pt').exists():
            record = load_checkpoint(self.folder / 'last.pt')[2]
        if self.world > 1:
            records = [record]
            distributed.broadcast_object_list(records)
            record = records[0]
        if record is None:
            return
        if record['data'] != self.motion.digest():
            raise ModelError(f'{self.folder}/last.pt was trained on other motion; use a new --out')
        try:
            self.net.load_state_dict(record['net'])
            self.ema.load_state_dict(record['ema'])
            self.optimizer.load_state_dict(record['optimizer'])
        except (RuntimeError, ValueError) as error:
            raise ModelError(f'{self.folder}/last.pt has other settings of net than this run; use '
                             'a new --out, or the same --set net.…') from error
        self.step, self.earlier_s = record['step'], record['seconds']
        self.batches.seed += 7919 * self.step

    def run(self, until_s: float | None = None) -> None:
        """
        Train to the last step, or until the clock of a smoke run says stop.

        :raises ModelError: when a loss or gradient is not finite; the last checkpoint stays.
        """
        loader = iter(torch.utils.data.DataLoader(
            _Stream(self.batches), batch_size=None, num_workers=1, prefetch_factor=4))
        self.begin = time.monotonic()
        with tqdm(total=self.config.steps, initial=self.step, disable=self.rank > 0,
                  mininterval=10) as bar:
            self._tick()
            self._steps(loader, bar, until_s)
        if self.rank == 0:
            self.save()

    def _steps(self, loader, bar, until_s: float | None) -> None:
        """Take steps, log and save on the way."""
        log = _Log(self.folder) if self.rank == 0 else None
        while self._progress() < 1.0:
            batch = {k: v.to(self.device) for k, v in next(loader).items()}
            values = self._train_step(batch)
            self.step += 1
            self._tick()
            bar.update(1)
            if log and self.step % 50 == 0:
                log.write(self.step, self.spent_s, values)
                bar.set_postfix(joints_mm=f"{1000 * float(values['joints']):.1f}")
            late = until_s is not None and self.spent_s > until_s
            if self.rank == 0 and self.step % self.config.epoch == 0:
                self.save()
            if late:
                break

    def _train_step(self, batch: dict) -> dict:
        """Do one optimiser step; return the losses."""
        for group in self.optimizer.param_groups:
            group['lr'] = self._learning_rate()
        values = self.losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total(values, self.config.loss).backward()
        trained = [p for p in self.net.parameters() if p.grad is not None]
        if self.world > 1:
            for p in trained:
                distributed.all_reduce(p.grad)
                p.grad /= self.world
        norm = torch.nn.utils.clip_grad_norm_(trained, self.config.clip)
        if not torch.isfinite(norm):   # of all processes, so that all of them end here
            raise self._failure(values)
        self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()),
                                 1 - decay)
        return {k: v.detach() for k, v in values.items()}

    def _failure(self, values: dict) -> ModelError:
        """Return the error of a step whose losses or gradients are not finite; it is not taken."""
        wrong = [f'{name} {value.item():g}' for name, value in values.items()
                 if not torch.isfinite(value)] or ['the gradient']
        saved = self.folder / 'last.pt'
        kept = f'{saved} is of an earlier step' if saved.exists() else 'nothing is saved'
        return ModelError(f'step {self.step + 1}: {", ".join(wrong)} is not finite, the run ends; '
                          f'{kept}. Try a smaller learning_rate, and look at the motion with '
                          'niki-data show')

    def losses(self, batch: dict) -> dict:
        """Return all losses of one batch (B, T, …)."""
        config = self.config
        if config.net.kind == 'temporal':
            return self.net.losses(batch, self.axes, self.batches.clean)
        batch = {k: v.flatten(0, 1) for k, v in batch.items()}
        with torch.no_grad():
            twist = swing_twist(batch['rotmat'], self.axes)[1].flatten(1)
            given = torch.rand(len(twist), 1, device=twist.device) < config.twist_share
            lifted = batch['twist'].abs().sum(1, keepdim=True) > 0
            batch['twist'] = torch.where(lifted, batch['twist'], twist * given)
        poses = self.net.solve(
            batch['joints'].flatten(1), batch['sigma'], batch['condition'], batch['twist'])
        values = losses.regression_losses(poses, batch, self.axes)
        if config.net.kind != 'mlp':
            clean = self.batches.clean
            values.update(losses.flow_losses(self.net, poses, batch, clean, self.axes))
        return values

    def _learning_rate(self) -> float:
        warm = min(1.0, (self.step + 1) / self.config.warmup)
        phase = self._progress()
        wave = 0.5 * (1 + math.cos(math.pi * phase))
        return self.config.learning_rate * warm * (0.01 + 0.99 * wave)

    def _progress(self) -> float:
        """Return how much of the run is done, 0 … 1: by steps, or by time where that is less."""
        done = self.step / self.config.steps
        if self.config.minutes > 0:
            done = max(done, (self.earlier_s + self.spent_s) / 60 / self.config.minutes)
        return min(1.0, done)

    def _tick(self) -> None:
        """Read the clock: the first process's, or processes would stop at different steps."""
        self.spent_s = time.monotonic() - self.begin
        if self.world > 1:
            spent = torch.tensor(self.spent_s, dtype=torch.float64, device=self.device)
            distributed.broadcast(spent, 0)
            self.spent_s = float(spent)

    def leave(self) -> None:
        """Leave torchrun's group, so that it can end in peace."""
        if self.world > 1:
            distributed.barrier()
            distributed.destroy_process_group()

    def save(self) -> None:
        """Write the checkpoint under a temporary name, then rename it: a kill leaves the old."""
        record = {
            'net': self.net.state_dict(), 'ema': self.ema.state_dict(),
            'optimizer': self.optimizer.state_dict(), 'step': self.step,
            'seconds': self.earlier_s + self.spent_s,
            'config': self.config.to_dict(), 'data': self.motion.digest(),
            'pairs': self.batches.pairs.digest() if self.batches.pairs else '',
        }
        torch.save(record, self.folder / 'last.tmp')
        os.replace(self.folder / 'last.tmp', self.folder / 'last.pt')


class _Stream(torch.utils.data.IterableDataset):
    """The batches as torch's loader wants them."""

    def __init__(self, batches: Batches):
        """Keep the batches."""
        self.batches = batches

    def __iter__(self):
        """Yield batches; one thread each, for the products are small."""
        torch.set_num_threads(1)
        return iter(self.batches)


class _Log:
    """Losses as CSV, and for TensorBoard where it is installed."""

    def __init__(self, folder: Path):
        """Open or go on with the folder's files."""
        self.path = folder / 'log.csv'
        try:
            from torch.utils.tensorboard import SummaryWriter
            self.board = SummaryWriter(str(folder))
        except ImportError:
            self.board = None

    def write(self, step: int, seconds: float, values: dict) -> None:
        """Append one row."""
        row = {'step': step, 'seconds': round(seconds, 1)}
        row.update({k: round(float(v), 6) for k, v in values.items()})
        new = not self.path.exists()
        with self.path.open('a', newline='') as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, float(value), step)


def _network_at(path: Path):
    """Return the network of a checkpoint or of a model folder."""
    if Path(path).is_dir():
        from niki_training.export.niki import load_exported
        return load_exported(path)[0]
    return load_checkpoint(path)[0]


def _join_group():
    """Join torchrun's group, if it started this process; return rank and size."""
    if 'WORLD_SIZE' not in os.environ or int(os.environ['WORLD_SIZE']) < 2:
        return 0, 1
    distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', 0)))
    return distributed.get_rank(), distributed.get_world_size()
