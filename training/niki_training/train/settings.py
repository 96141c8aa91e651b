"""Settings of a training run. Every checkpoint stores them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, is_dataclass
import json
from operator import attrgetter
from pathlib import Path

from niki_ros.common.errors import ConfigError

from niki_training.corrupt.odds import CorruptionOdds
from niki_training.networks.niki import NetConfig, ROTATIONS
from niki_training.train.losses import LossConfig

KINDS = ('one_stage', 'two_stage', 'temporal', 'mlp')
_SMALLEST = {   # setting → smallest value
    'steps': 1, 'batch': 2, 'epoch': 1, 'warmup': 1, 'frames': 3, 'minutes': 0, 'seed': 0,
    'weight_decay': 0, 'learning_rate': 1e-12, 'clip': 1e-12, 'net.blocks': 1, 'net.hidden': 1,
    'net.twist_blocks': 1, 'net.twist_hidden': 1, 'net.window': 2, 'net.temporal_blocks': 1,
    'net.temporal_hidden': 1, 'net.heads': 1, 'net.width': ROTATIONS + 2}
_SHARES = ('clean_share', 'twist_share', 'pairs_share', 'ema')


@dataclass
class TrainConfig:
    """Settings of a run; ``niki-train --set name=value`` changes one."""

    steps: int = 20000  # optimiser steps of the run
    minutes: float = 0.0  # 0 = until the last step; the learning rate is annealed
    batch: int = 1024  # frames (or windows) per step
    learning_rate: float = 1.5e-3  # after ``warmup`` steps; then a cosine to 1 % of it
    warmup: int = 300
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.998  # decay of the averaged weights
    seed: int = 1
    clean_share: float = 0.125  # share of each batch without corruption
    twist_share: float = 0.15  # share of each batch with its true twists as input
    pairs_share: float = 0.15  # of each batch from a front end: ``--pairs`` or ``--lifted``
    frames: int = 27  # length of the windows of the temporal network
    epoch: int = 500  # steps between checkpoints
    bf16: bool = True  # products in bfloat16
    net: NetConfig = field(default_factory=NetConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    corruption: CorruptionOdds = field(default_factory=CorruptionOdds)

    def set(self, name: str, value) -> None:
        """Change one setting, such as ``net.hidden`` or ``steps``, keeping its type."""
        owner, target = self, self
        for leaf in name.split('.'):
            if not is_dataclass(target) or leaf not in {f.name for f in fields(target)}:
                known = ', '.join(f'{f.name}.…' if is_dataclass(getattr(self, f.name)) else f.name
                                  for f in fields(self))
                raise ConfigError(f'no setting {name!r}; there are {known}')
            owner, target = target, getattr(target, leaf)
        kind = type(target)
        if is_dataclass(kind):
            raise ConfigError(f'{name} is a group of settings; expected {name}.…={value}')
        try:
            plain = {'true': True, 'false': False}[str(value).lower()] if kind is bool else value
            setattr(owner, leaf, kind(plain))
        except (ValueError, KeyError) as error:
            raise ConfigError(f'{name} = {value!r} is not of type {kind.__name__}') from error

    def set_all(self, items) -> None:
        """Change several settings, each given as ``NAME=VALUE``."""
        for item in items:
            name, equals, value = item.partition('=')
            if not equals:
                raise ConfigError(f'--set {item}: expected NAME=VALUE')
            self.set(name, value)

    def check(self) -> TrainConfig:
        """Return these settings; a setting out of range is a ConfigError that names it."""
        smallest = {**_SMALLEST, **{f'loss.{one.name}': 0 for one in fields(self.loss)}}
        for name, low in smallest.items():
            value = attrgetter(name)(self)
            if not low <= value < float('inf'):     # also refuses NaN
                raise ConfigError(f'{name} is {value}; expected {low:g} or more')
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f'{name} is {getattr(self, name)}; expected 0 … 1')
        self.corruption.check()
        net = self.net
        if net.kind not in KINDS:
            raise ConfigError(f'net.kind is {net.kind!r}; expected one of {", ".join(KINDS)}')
        if net.attention % net.heads:
            raise ConfigError(f'net.attention is {net.attention}; expected a multiple of '
                              f'net.heads, {net.heads}')
        return self


    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> TrainConfig:
        """Build the settings from values of :meth:`to_dict`; without odds, the default ones."""
        if not isinstance(data, dict):
            raise TypeError(f'a {type(data).__name__}; expected an object with settings')
        data = dict(data)
        net, loss = NetConfig(**data.pop('net')), LossConfig(**data.pop('loss'))
        odds = CorruptionOdds.from_dict(data.pop('corruption', {}))
        return cls(**data, net=net, loss=loss, corruption=odds)


def read_config(path: Path) -> TrainConfig:
    """Read settings from a JSON file."""
    try:
        return TrainConfig.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f'{path}: not a training configuration ({error})') from error
