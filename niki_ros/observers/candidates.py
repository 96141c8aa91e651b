"""Boxes that may be people: weak detections, places of lost people, and boxes without a person."""

from dataclasses import dataclass
from typing import List, NamedTuple, Sequence, Tuple

from niki_ros.images.boxes import overlap
from niki_ros.observers.followed_person import FollowedPerson
import numpy as np


class Candidate(NamedTuple):
    """A box in which a person is looked for."""

    box_px: np.ndarray  # (4,) x0, y0, x1, y1
    is_weak: bool = False  # the detector is not sure


@dataclass(frozen=True)
class LostNumbers:
    """Numbers of :class:`LostPeople`; ratios are over the last size of the person."""

    remember_ns: int = 3_000_000_000
    reach_ratio: float = 0.5  # a lost person can be within this distance of the last place;
    speed_ratio_per_s: float = 2.0  # the distance grows by this in a second
    size_ratios: Tuple[float, float] = (0.4, 2.5)  # range of the size of the detection


class LostPeople:
    """People who were lost a short time ago."""

    def __init__(self, numbers: LostNumbers = LostNumbers()):
        self._numbers = numbers
        self._people: List[FollowedPerson] = []

    def add(self, people: Sequence[FollowedPerson]) -> None:
        self._people += people

    def expire(self, stamp_ns: int) -> None:
        """Remove people who were lost too long ago."""
        self._people = [one for one in self._people
                        if stamp_ns - one.seen_ns <= self._numbers.remember_ns]

    def may_contain(self, box_px, stamp_ns: int) -> bool:
        """Return whether a detected box (4,) can be that of a lost person."""
        return any(self._may_be(one, box_px, stamp_ns) for one in self._people)

    def _may_be(self, lost: FollowedPerson, box_px, stamp_ns: int) -> bool:
        numbers = self._numbers
        size = float((lost.box_px[2:] - lost.box_px[:2]).max())
        middles = box_px[:2] + box_px[2:] - lost.box_px[:2] - lost.box_px[2:]
        reach = size * (numbers.reach_ratio
                        + numbers.speed_ratio_per_s * (stamp_ns - lost.seen_ns) * 1e-9)
        low, high = numbers.size_ratios
        return bool(np.linalg.norm(middles / 2) <= reach
                    and low < (box_px[2:] - box_px[:2]).max() / max(size, 1.0) < high)


@dataclass(frozen=True)
class RefusedNumbers:
    """Numbers of :class:`RefusedBoxes`."""

    remember_ns: int = 1_000_000_000
    min_overlap_ratio: float = 0.5  # intersection over union of two boxes of one place


class RefusedBoxes:
    """Boxes of weak detections in which no person was seen: they are not tried for a second."""

    def __init__(self, numbers: RefusedNumbers = RefusedNumbers()):
        self._numbers = numbers
        self._boxes: List[Tuple[int, np.ndarray]] = []  # with the stamp

    def add(self, people: Sequence[FollowedPerson], stamp_ns: int) -> None:
        self._boxes += [(stamp_ns, one.first_box_px) for one in people]

    def contain(self, box_px, stamp_ns: int) -> bool:
        """Return whether a box (4,) is one of them."""
        numbers = self._numbers
        self._boxes = [(stamp, box) for stamp, box in self._boxes
                       if stamp_ns - stamp <= numbers.remember_ns]
        return any(overlap(box, box_px) > numbers.min_overlap_ratio for _, box in self._boxes)
