"""The training loop of the solver networks: batches, losses, steps, checkpoints."""

import copy
import math
import os
from pathlib import Path
import time

from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import ConfigError, ModelError
import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from niki_training.data.batches import Batches, PairSource
from niki_training.data.motion import Motion
from niki_training.networks.swing import bone_axes
from niki_training.train.checkpoint import build_net, load_checkpoint, start_from_network
from niki_training.train.log import TrainingLog
from niki_training.train.losses import solver_losses, weighted_sum, window_losses
from niki_training.train.settings import TrainConfig

_NORMALISATION_FRAMES, _NORMALISATION_SEED = 4096, 12345
_LOG_STEPS = 50
_FINAL_RATE_RATIO = 0.01  # learning rate at the end of a run, over the highest one
# numbers of batches drawn before: processes, and parts of a run, have streams of their own
_RANK_SEEDS, _RESUMED_SEEDS = 1000, 7919


class Trainer:
    """
    One training run in a folder: ``last.pt``, ``log.csv`` and TensorBoard's files.

    Under ``torchrun`` every process draws its own batches, DistributedDataParallel averages the
    gradients, and the first process writes the files.
    """

    def __init__(self, config: TrainConfig, motion: Motion, skeleton: Skeleton, folder: Path,
                 start_from: Path | None = None, pairs: PairSource | None = None):
        """
        Build the run, or resume the folder's last checkpoint.

        :param start_from: a checkpoint or model folder with the first weights.
        :param pairs: observations of a front end to train on, or None.
        """
        self.config, self.folder, self.motion = config, Path(folder), motion
        self.rank, self.world = join_process_group()
        torch.manual_seed(config.seed)
        self.device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        axes = torch.tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)
        frames = config.frames if config.net.kind == 'temporal' else 1
        self.batches = Batches(
            motion, skeleton, config.batch, frames, config.seed + _RANK_SEEDS * self.rank,
            config.clean_share, pairs, config.pairs_share, config.corruption)
        self.net = build_net(config.net, config.bf16)
        self._normalise(axes)
        self._start(start_from)
        self.losses = SolverLosses(self.net, config, axes, self.batches.clean).to(self.device)
        self.ema = copy.deepcopy(self.net).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            [p for p in self.net.parameters() if p.requires_grad], lr=config.learning_rate,
            weight_decay=config.weight_decay)
        self.step, self.earlier_s, self.spent_s, self.begin = 0, 0.0, 0.0, time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self._averaged_losses = self.losses if self.world == 1 else DistributedDataParallel(
            self.losses, broadcast_buffers=False)

    def _normalise(self, axes) -> None:
        """Set the network's normalisation, which is not trained, from clean frames."""
        rng = np.random.default_rng(_NORMALISATION_SEED)
        source = Batches(self.motion, self.batches.skeleton, _NORMALISATION_FRAMES, 1,
                         clean_share=1.0)
        batch = {k: torch.from_numpy(v[:, 0]) for k, v in source.draw(rng).items()}
        self.net.set_normalisation(batch['joints'].flatten(1), batch['rotmat'], axes)

    def _start(self, path: Path | None) -> None:
        if path is not None:
            start_from_network(self.net, path)
        elif self.config.net.kind == 'temporal' and not (self.folder / 'last.pt').exists():
            raise ConfigError('net.kind = temporal needs a trained per-frame network: give its '
                              'checkpoint, --from runs/frame/last.pt')

    def _resume(self) -> None:
        """Load the folder's last checkpoint; the first process reads it for all."""
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
        self.batches.seed += _RESUMED_SEEDS * self.step

    def run(self, until_s: float | None = None) -> None:
        """Train until the last step, or for ``until_s`` seconds at most."""
        loader = iter(torch.utils.data.DataLoader(
            _BatchStream(self.batches), batch_size=None, num_workers=1, prefetch_factor=4))
        self.begin = time.monotonic()
        with tqdm(total=self.config.steps, initial=self.step, disable=self.rank > 0,
                  mininterval=10) as bar:
            self._read_clock()
            self._run_steps(loader, bar, until_s)
        if self.rank == 0:
            self.save()

    def _run_steps(self, loader, bar, until_s: float | None) -> None:
        log = TrainingLog(self.folder) if self.rank == 0 else None
        while self._progress() < 1.0:
            values = self.train_step(next(loader))
            self._read_clock()
            bar.update(1)
            if log and self.step % _LOG_STEPS == 0:
                log.write(self.step, self.spent_s, values)
                bar.set_postfix(joints_mm=f"{1000 * float(values['joints']):.1f}")
            is_late = until_s is not None and self.spent_s > until_s
            if self.rank == 0 and self.step % self.config.epoch == 0:
                self.save()
            if is_late:
                break

    def train_step(self, batch: dict) -> dict:
        """Do one optimiser step on a batch (B, T, …) and return the losses."""
        self.optimizer.param_groups[0]['lr'] = self._learning_rate()
        values = self._averaged_losses({k: v.to(self.device) for k, v in batch.items()})
        self.optimizer.zero_grad(set_to_none=True)
        weighted_sum(values, self.config.loss).backward()
        trained = [p for p in self.net.parameters() if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(trained, self.config.clip)
        if not torch.isfinite(norm):   # of the averaged gradient, so that all processes end here
            raise self._failure(values)
        self.optimizer.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.ema.parameters()), list(self.net.parameters()),
                                 1 - decay)
        self.step += 1
        return {k: v.detach() for k, v in values.items()}

    def _failure(self, values: dict) -> ModelError:
        wrong = [f'{name} {value.item():g}' for name, value in values.items()
                 if not torch.isfinite(value)] or ['the gradient']
        saved = self.folder / 'last.pt'
        kept = f'{saved} is of an earlier step' if saved.exists() else 'nothing is saved'
        return ModelError(f'step {self.step + 1}: {", ".join(wrong)} is not finite, the run ends; '
                          f'{kept}. Try a smaller learning_rate, and look at the motion with '
                          'niki-data show')

    def _learning_rate(self) -> float:
        """Return the rate of the next step: a linear rise, then a cosine."""
        warm = min(1.0, (self.step + 1) / self.config.warmup)
        wave = 0.5 * (1 + math.cos(math.pi * self._progress()))
        return self.config.learning_rate * warm * (
            _FINAL_RATE_RATIO + (1 - _FINAL_RATE_RATIO) * wave)

    def _progress(self) -> float:
        """Return the share of the run that is done, by steps or by time, the larger one."""
        done = self.step / self.config.steps
        if self.config.minutes > 0:
            done = max(done, (self.earlier_s + self.spent_s) / 60 / self.config.minutes)
        return min(1.0, done)

    def _read_clock(self) -> None:
        """Read the first process's clock; with their own, processes would end at other steps."""
        self.spent_s = time.monotonic() - self.begin
        if self.world > 1:
            spent = torch.tensor(self.spent_s, dtype=torch.float64, device=self.device)
            distributed.broadcast(spent, 0)
            self.spent_s = float(spent)

    def leave(self) -> None:
        """Leave torchrun's process group; the process can end then."""
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


class SolverLosses(nn.Module):
    """
    A network and its losses in one module, for the first ``clean`` windows without corruption.

    DistributedDataParallel averages the gradients of one forward pass; the losses run the network
    in both directions. ``axes`` (24, 3) are unit directions of the bones at rest, body axes.
    """

    def __init__(self, net, config: TrainConfig, axes, clean: int):
        super().__init__()
        self.net, self.config, self.clean = net, config, clean
        self.register_buffer('axes', axes, persistent=False)

    def forward(self, batch: dict) -> dict:
        """Return the losses of a batch (B, T, …), each a scalar."""
        if self.config.net.kind == 'temporal':
            return window_losses(self.net, batch, self.axes, self.clean)
        frames = {k: v.flatten(0, 1) for k, v in batch.items()}
        return solver_losses(self.net, frames, self.axes, self.clean, self.config.twist_share)


class _BatchStream(torch.utils.data.IterableDataset):
    def __init__(self, batches: Batches):
        self.batches = batches

    def __iter__(self):
        # the products are small: one thread is the fastest
        torch.set_num_threads(1)
        return iter(self.batches)


def join_process_group():
    """Join torchrun's process group, if it started this process; return rank and size."""
    if 'WORLD_SIZE' not in os.environ or int(os.environ['WORLD_SIZE']) < 2:
        return 0, 1
    distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get('LOCAL_RANK', 0)))
    return distributed.get_rank(), distributed.get_world_size()
