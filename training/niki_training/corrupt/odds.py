"""Odds of the random corruptions in training. They are part of a run's settings."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Iterator

from niki_ros.common.errors import ConfigError


@dataclass
class NoiseOdds:
    """Relative odds of the noises; each is a function of :mod:`niki_training.corrupt.training`."""

    exact: float = 0.4
    gaussian: float = 0.36
    depth: float = 0.12
    landmark_like: float = 0.12


@dataclass
class HiddenOdds:
    """Relative odds of the kinds of hidden joints; ``silent``: sigma does not report them."""

    none: float = 0.36
    limbs: float = 0.26
    legs: float = 0.09
    below_chest: float = 0.10
    silent_limbs: float = 0.19


@dataclass
class LimbOdds:
    """Relative odds of the number of hidden limbs."""

    one: float = 0.35
    two: float = 0.4
    three: float = 0.15
    four: float = 0.1


@dataclass
class CorruptionOdds:
    """Odds of the corruptions of a sequence, 0 … 1."""

    noise: NoiseOdds = field(default_factory=NoiseOdds)
    hidden: HiddenOdds = field(default_factory=HiddenOdds)
    limbs: LimbOdds = field(default_factory=LimbOdds)
    inexact_sigma: float = 0.2  # sigma differs from the level of the noise
    single_joints: float = 0.08  # 15 % of the joints are hidden, whatever limb they belong to
    swapped_legs: float = 0.06  # the legs are exchanged
    begin_later: float = 0.4  # joints are hidden from a random frame on, not from the first one
    end_earlier: float = 0.15  # joints are hidden until a random frame, not until the last one
    misplaced: float = 0.1  # hidden joints lie around the pelvis, not around their true positions
    no_sigma: float = 0.01  # all joints have sigma 1

    @classmethod
    def from_dict(cls, data: dict) -> CorruptionOdds:
        """Build the odds from plain values; odds that are missing are the defaults."""
        groups = {'noise': NoiseOdds, 'hidden': HiddenOdds, 'limbs': LimbOdds}
        return cls(**{name: groups[name](**value) if name in groups else value
                      for name, value in data.items()})

    def check(self) -> None:
        """Check the odds; a ConfigError names the first outside 0 … 1, or a group without any."""
        for name, value in odds_by_name(self):
            if not 0 <= value <= 1:
                raise ConfigError(f'corruption.{name} is {value}; expected 0 … 1')
        for group in ('noise', 'hidden', 'limbs'):
            if not any(value for name, value in odds_by_name(self) if name.startswith(group)):
                raise ConfigError(f'corruption.{group}.… are all 0; one above 0 is expected')


def odds_by_name(odds) -> Iterator[tuple[str, float]]:
    """Yield the names and values of a group of odds; those of its groups as ``group.name``."""
    for one in fields(odds):
        value = getattr(odds, one.name)
        if is_dataclass(value):
            yield from ((f'{one.name}.{name}', inner) for name, inner in odds_by_name(value))
        else:
            yield one.name, value
