"""Settings of a training run, in one place, stored in every checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
import json
from pathlib import Path

from niki_ros.core.errors import ConfigError

from niki_training.losses import LossConfig
from niki_training.model import NetConfig


@dataclass
class TrainConfig:
    """
    Settings of a run; ``niki-train --set name=value`` changes one.

    :param steps: optimiser steps in all. :param batch: frames (or windows) a step.
    :param minutes: the run ends, learning rate annealed, after so long; 0 = after all steps.
    :param learning_rate: at its highest, after ``warmup`` steps; then a cosine to 1 % of it.
    :param clean_share: of each batch that is left uncorrupted.
    :param twist_share: of each batch whose twists are given.
    :param pairs_share: of each batch that a real front end saw, where ``--pairs`` is given.
    :param frames: length of the windows of the temporal network.
    :param epoch: steps between checkpoints. :param bf16: products in bfloat16.
    """

    steps: int = 20000
    minutes: float = 0.0
    batch: int = 1024
    learning_rate: float = 1.5e-3
    warmup: int = 300
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.998
    seed: int = 1
    clean_share: float = 0.125
    twist_share: float = 0.15
    pairs_share: float = 0.35
    frames: int = 27
    epoch: int = 500
    bf16: bool = True
    net: NetConfig = field(default_factory=NetConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def set(self, name: str, value) -> None:
        """Change one setting, such as ``net.hidden`` or ``steps``, keeping its type."""
        owner, _, leaf = name.rpartition('.')
        target = getattr(self, owner, None) if owner else self
        if target is None or leaf not in {f.name for f in fields(target)}:
            known = ', '.join(f.name for f in fields(self))
            raise ConfigError(f'no setting {name!r}; there are {known}, net.… and loss.…')
        kind = type(getattr(target, leaf))
        try:
            setattr(target, leaf, json.loads(str(value).lower()) if kind is bool else kind(value))
        except ValueError as error:
            raise ConfigError(f'{name} = {value!r} is not of type {kind.__name__}') from error

    def to_dict(self) -> dict:
        """Return all settings as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> TrainConfig:
        """Build from what :meth:`to_dict` gave."""
        data = dict(data)
        net, loss = NetConfig(**data.pop('net')), LossConfig(**data.pop('loss'))
        return cls(**data, net=net, loss=loss)


def read_config(path: Path) -> TrainConfig:
    """Read settings from a JSON file."""
    try:
        return TrainConfig.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(f'{path}: not a training configuration ({error})') from error
