"""The training of networks that look at people: on a CPU, a GPU, or several under torchrun."""

from dataclasses import asdict
import math
from pathlib import Path
import time
from typing import Callable, Optional

from niki_ros.common.errors import ConfigError, ModelError
from niki_ros.observers.look_network import KIND
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from niki_training.look.augmentation import step_seed
from niki_training.look.batches_ahead import BatchesAhead
from niki_training.look.checkpoint import INDEX, read_checkpoint, write_checkpoint
from niki_training.look.export import read_start
from niki_training.look.frozen_layers import CROSSING
from niki_training.look.losses import crop_losses, photograph_losses, pose_losses
from niki_training.look.network import LookConfig, LookNet, LookOutput
from niki_training.look.settings import LookTrainConfig
from niki_training.look.simulated_keypoints import SimulatedKeypoints

_LIFT_STREAM, _DROPOUT_STREAM = 2, 3  # of the random numbers of a step


class LookLosses(nn.Module):
    """A network and its losses in one module, as DistributedDataParallel needs them."""

    def __init__(self, net: LookNet, precision: str):
        super().__init__()
        self.net, self.precision = net, precision

    def forward(self, crops: dict, photographs: Optional[dict],
                simulated: Optional[tuple] = None) -> dict:
        """
        Return the losses of one step, each a scalar, by name.

        :param simulated: keypoints and the poses behind them, see :class:`SimulatedKeypoints`.
        """
        parts = [crops] if photographs is None else [crops, photographs]
        count = len(crops['present'])
        found = self._found(parts)
        values = crop_losses(_rows(found, slice(0, count)), crops, self.net.config.head)
        if photographs is not None:
            values.update(photograph_losses(_rows(found, slice(count, None)), photographs))
        if simulated is not None:
            keypoints, truth = simulated
            own = pose_losses(self.net.lift_keypoints(keypoints), truth,
                              torch.ones_like(truth['betas'][:, :1]), self.net.config.head)
            values.update({f'lift_{name}': value for name, value in own.items()})
        return values

    def _found(self, parts: list) -> LookOutput:
        """Return the outputs of all parts, from images or from what the frozen layers return."""
        device = parts[0]['present'].device.type
        with torch.autocast(device, torch.float16, enabled=self.precision == 'fp16'):
            if 'image' in parts[0]:
                found = self.net(_joined([part['image'] for part in parts]))
            else:
                found = self.net.forward_upper({
                    name: _joined([part[CROSSING][name] for part in parts])
                    for name in parts[0][CROSSING]})
        return LookOutput(*(None if value is None else value.float() for value in found))


class LookTrainer:
    """
    One run in a folder: ``last.json`` with its pieces, and ``log.csv``.

    :param crops: has ``batch(count, step)``, such as :class:`StoredCrops`.
    :param photographs: has the same, or None. :param start_from: checkpoint of another run, whose
        weights and moments of the optimiser begin this one.
    :param facts: of the training data, for the manifest of an exported model.
    :param report: called with the averaged network; returns {name: figure} for the log.
    """

    def __init__(self, config: LookTrainConfig, network: LookConfig, folder: Path, crops,
                 photographs=None, start_from: Optional[Path] = None, facts: Optional[dict] = None,
                 report: Optional[Callable] = None, group: tuple = (0, 1)):
        self.config, self.folder, self.rank, self.world = config.check(), Path(folder), *group
        self.facts, self.report = facts or {}, report
        self._simulated = SimulatedKeypoints() if network.lifts else None
        self._batches = BatchesAhead(crops, photographs, config)
        torch.manual_seed(config.seed)
        self.device = best_device()
        self._check_precision()
        self.net = LookNet(network).to(self.device, memory_format=torch.channels_last)
        self.net.dropout.p = config.dropout
        self.average = LookNet(network).eval().to(self.device).requires_grad_(False)
        self.average.load_state_dict(self.net.state_dict())
        self.optimizer = torch.optim.AdamW(self._groups(), weight_decay=config.weight_decay)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == 'fp16')
        self.step = self.failures = self.skipped = self.first_step = 0
        self.spent_s = self.earlier_s = 0.0
        self._begin(start_from)
        losses = LookLosses(self.net, config.precision)
        self._losses = losses if self.world == 1 else DistributedDataParallel(losses)

    def run(self, log: Callable[[int, float, dict], None]) -> None:
        """Train until the time or the steps are over; ``log(step, seconds, values)`` is called."""
        begin, saved = time.monotonic() - self.spent_s, self.spent_s
        while self.progress < 1.0:
            values = self.train_step()
            self.spent_s = self._clock_of_all(time.monotonic() - begin)
            if self.spent_s - saved >= self.config.save_period_s or self.progress >= 1.0:
                saved = self.spent_s
                self._save(values, log)

    def train_step(self) -> dict:
        """Do one step and return the losses; a step that is not finite changes no weight."""
        number = self.first_step + self.step
        self._set_rates()
        crops, photographs = self._batches.batch(number)
        torch.manual_seed(step_seed(self.config.seed, self.rank, number, _DROPOUT_STREAM))
        values = self._losses(crops, photographs, self._simulate(crops, number))
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(sum(values.values())).backward()
        self.scaler.unscale_(self.optimizer)
        trained = [p for p in self.net.parameters() if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(trained, self.config.max_gradient)
        is_finite = bool(torch.isfinite(norm))  # of the averaged gradient: the same in all ranks
        if is_finite:
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self._count(is_finite, values)
        self.step += 1
        if is_finite:
            self._average_weights()
        return {name: value.detach() for name, value in values.items()}

    def _simulate(self, crops: dict, number: int) -> Optional[tuple]:
        """Return keypoints that train the lift, drawn for this step of this process alone."""
        if self._simulated is None:
            return None
        return self._simulated.draw(
            crops, step_seed(self.config.seed, self.rank, number, _LIFT_STREAM))

    @property
    def progress(self) -> float:
        """Share of the run that is done, by steps or by time, the larger one."""
        config = self.config
        done = self.step / config.steps if config.steps else 0.0
        if config.minutes:
            done = max(done, self.spent_s / (60 * config.minutes))
        return min(1.0, done)

    def _groups(self) -> list:
        """Return the groups of parameters, each with its highest learning rate."""
        config, net = self.config, self.net
        trunk = {id(p) for p in net.trunk.parameters()}
        lift = {id(p) for name, p in net.named_parameters()
                if name.startswith('lift.') and not name.startswith('lift.image.')}
        groups: dict = {config.trunk_rate: [], config.lift_rate: [], config.head_rate: []}
        for parameter in net.parameters():
            if parameter.requires_grad:
                rate = (config.trunk_rate if id(parameter) in trunk else
                        config.lift_rate if id(parameter) in lift else config.head_rate)
                groups[rate].append(parameter)
        return [{'params': parameters, 'lr': rate, 'highest': rate}
                for rate, parameters in groups.items() if parameters]

    def _set_rates(self) -> None:
        config = self.config
        warm = min(1.0, (self.step + 1) / max(config.warm_up_steps, 1))
        wave = 0.5 * (1 + math.cos(math.pi * self.progress))
        for group in self.optimizer.param_groups:
            group['lr'] = group['highest'] * warm * (
                config.final_ratio + (1 - config.final_ratio) * wave)

    def _count(self, is_finite: bool, values: dict) -> None:
        """Count steps that are not finite; too many of them in a row end the run."""
        self.failures = 0 if is_finite else self.failures + 1
        self.skipped += not is_finite
        if self.failures > self.config.max_failures:
            wrong = [name for name, value in values.items() if not torch.isfinite(value)]
            raise ModelError(
                f'{self.failures} steps in a row are not finite ({", ".join(wrong) or "gradient"})'
                f'; the run ends, and {self.folder / INDEX} is of an earlier step. Continue it '
                'with a smaller --trunk-rate, or with --precision tf32')

    @torch.no_grad()
    def _average_weights(self) -> None:
        # a smaller decay at the beginning, so that the initial weights are soon left
        done = self.first_step + self.step
        decay = min(self.config.average_decay, (1 + done) / (10 + done))
        # frozen weights stay as they are, to the sign of a zero: the graph has them once
        pairs = self._weights(trained=True)
        torch._foreach_lerp_([own for own, _ in pairs], [new for _, new in pairs], 1 - decay)

    def _weights(self, trained: bool) -> list:
        """Return (averaged, own) of the weights that are trained, or of those that are frozen."""
        return [(averaged, own) for averaged, own in zip(
            self.average.parameters(), self.net.parameters()) if own.requires_grad == trained]

    def _begin(self, start_from: Optional[Path]) -> None:
        """Resume the folder's run, or begin one, perhaps with another run's weights."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / INDEX).exists():
            record = read_checkpoint(self.folder)
            self._check_same(record)
            self._load(record, self.folder)
            self.step, self.first_step = record['step'], record['first_step']
            self.spent_s, self.earlier_s = record['seconds'], record['earlier_seconds']
            self.skipped = record['skipped']
            if record['scaler'] and self.scaler.is_enabled():
                self.scaler.load_state_dict(record['scaler'])
        elif start_from is not None:
            record = read_start(start_from)
            self._load(record, start_from)
            # other crops than those of the run before
            self.first_step, self.earlier_s = record['total_steps'], record['total_seconds']
            # the weights were trained on clothes of those authors too
            authors = {*record['facts'].get('credits', []), *self.facts.get('credits', [])}
            self.facts = {**self.facts, 'credits': sorted(authors)}

    def _check_same(self, record: dict) -> None:
        now, before = asdict(self.net.config), record['network']
        # a run that went on with frozen layers on a CPU can go on without on a GPU
        other = {k: (before.get(k), v) for k, v in now.items()
                 if before.get(k) != v and k != 'trainable_from'}
        if other:
            raise ConfigError(f'{self.folder} holds a run with other settings: {other} (before, '
                              'now); use a new --out, and --from to go on from it')

    def _load(self, record: dict, source: Path) -> None:
        """Load weights, average and moments; another network is a ModelError."""
        load_weights(self.net, record, source)
        load_weights(self.average, record, source, 'average')
        with torch.no_grad():
            for averaged, own in self._weights(trained=False):
                averaged.copy_(own)
        groups = self.optimizer.state_dict()['param_groups']
        before = record['optimizer'] or {'param_groups': []}
        # another choice of frozen layers has other moments, which begin anew
        if [len(g['params']) for g in groups] == [len(g['params'])
                                                  for g in before['param_groups']]:
            self.optimizer.load_state_dict({'state': before['state'], 'param_groups': groups})

    def _check_precision(self) -> None:
        if self.config.precision != 'fp32' and self.device.type != 'cuda':
            raise ConfigError(f'precision is {self.config.precision!r}, and there is no GPU that '
                              'torch finds; expected fp32')
        is_tf32 = self.config.precision != 'fp32'
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_tf32

    def _clock_of_all(self, seconds: float) -> float:
        """Return the first process's clock; by their own, processes would end at other steps."""
        if self.world == 1:
            return seconds
        clock = torch.tensor(seconds, dtype=torch.float64, device=self.device)
        distributed.broadcast(clock, 0)
        return float(clock)

    def _save(self, values: dict, log: Callable) -> None:
        """Write checkpoint and log, in the first process; the others wait."""
        if self.rank == 0:
            write_checkpoint(self.folder, self.record())
            figures = self.report(self.average) if self.report else {}
            numbers = {name: float(value) for name, value in values.items()}
            log(self.first_step + self.step, self.earlier_s + self.spent_s,
                {**figures, 'loss': sum(numbers.values()), **numbers, 'skipped': self.skipped})
        wait_for_all((self.rank, self.world))

    def leave(self) -> None:
        """Leave torchrun's process group; the process can end then."""
        wait_for_all((self.rank, self.world))
        if self.world > 1:
            distributed.destroy_process_group()

    def record(self) -> dict:
        """Return all that a continued run needs, in tensors and plain values."""
        return {
            'kind': KIND, 'network': asdict(self.net.config), 'config': asdict(self.config),
            'net': self.net.state_dict(), 'average': self.average.state_dict(),
            'optimizer': self.optimizer.state_dict(), 'scaler': self.scaler.state_dict(),
            'step': self.step, 'first_step': self.first_step, 'seconds': self.spent_s,
            'earlier_seconds': self.earlier_s, 'skipped': self.skipped,
            'total_steps': self.first_step + self.step,
            'total_seconds': self.earlier_s + self.spent_s, 'facts': self.facts}


def load_weights(net: LookNet, record: dict, source: Path, key: str = 'net') -> None:
    """Load the weights ``key`` of a record; those of another network are a ModelError."""
    try:
        net.load_state_dict(record[key])
    except RuntimeError as error:
        raise ModelError(f'{source} is of another network than this run: '
                         f'{record["network"]}; give the same --size and --head') from error


def wait_for_all(group: tuple) -> None:
    """Wait until all processes of (rank, number of processes) are here."""
    if group[1] > 1:
        distributed.barrier()


def best_device() -> torch.device:
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def _joined(parts: list) -> torch.Tensor:
    joined = torch.cat(parts)
    return (joined.contiguous(memory_format=torch.channels_last) if joined.dim() == 4 else joined)


def _rows(found: LookOutput, rows: slice) -> LookOutput:
    return LookOutput(*(None if value is None else value[rows] for value in found))
