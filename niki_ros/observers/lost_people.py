"""People who were followed and lost, to be recognised where a detector is unsure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

from niki_ros.observers.followed_person import FollowedPerson
import numpy as np


@dataclass(frozen=True)
class LostConfig:
    """
    Numbers of :class:`LostPeople`.

    :param remember_ns: time for which a lost person is remembered.
    :param reach_ratio: distance from the last place, over the person's size, within which a
        detection can be this person,
    :param speed_ratio_per_s: and by which that distance grows in a second.
    :param size_ratios: range of the size of the detection over the person's last size.
    """

    remember_ns: int = 3_000_000_000
    reach_ratio: float = 0.5
    speed_ratio_per_s: float = 2.0
    size_ratios: Tuple[float, float] = (0.4, 2.5)


class LostPeople:
    """People who were lost a short time ago."""

    def __init__(self, config: LostConfig = LostConfig()):
        """Start without people."""
        self._config = config
        self._people: List[FollowedPerson] = []

    def add(self, people: Sequence[FollowedPerson]) -> None:
        """Add people who are not followed any longer."""
        self._people += people

    def expire(self, stamp_ns: int) -> None:
        """Remove people who were lost too long ago."""
        self._people = [one for one in self._people
                        if stamp_ns - one.seen_ns <= self._config.remember_ns]

    def may_contain(self, box_px, stamp_ns: int) -> bool:
        """Return whether a detected box (4,) can be that of a lost person."""
        return any(self._may_be(one, box_px, stamp_ns) for one in self._people)

    def _may_be(self, lost: FollowedPerson, box_px, stamp_ns: int) -> bool:
        config = self._config
        size = float((lost.box_px[2:] - lost.box_px[:2]).max())
        middles = box_px[:2] + box_px[2:] - lost.box_px[:2] - lost.box_px[2:]
        reach = size * (config.reach_ratio
                        + config.speed_ratio_per_s * (stamp_ns - lost.seen_ns) * 1e-9)
        low, high = config.size_ratios
        return bool(np.linalg.norm(middles / 2) <= reach
                    and low < (box_px[2:] - box_px[:2]).max() / max(size, 1.0) < high)
