"""One person who is followed from image to image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence

from niki_ros.images.boxes import overlap
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.truncation import TruncationCheck
from niki_ros.scene.duplicates import is_same_person
import numpy as np


@dataclass
class FollowedPerson:
    """
    State of one followed person.

    :ivar number: unique among all people of this front end.
    :ivar crop: for the next estimate. :ivar box_px: (4,) of the last one.
    :ivar found_ns: stamp of the first image. :ivar seen_ns: stamp of the last one with the person.
    :ivar estimate: in the newest image, None where the person is not seen.
    :ivar unconfirmed_images: images in which the person must be seen before being reported.
    :ivar moved_ratio: share of the box that the box of the image before did not cover.
    :ivar missed_searches: searches in a row that have not found the person.
    :ivar is_isolated: other people are masked in this person's crop.
    """

    number: int
    crop: Any
    box_px: np.ndarray
    found_ns: int
    seen_ns: int
    unconfirmed_images: int = 0
    estimate: Optional[CropEstimate] = None
    moved_ratio: float = 0.0
    missed_searches: int = 0
    truncation: TruncationCheck = field(default_factory=TruncationCheck)
    is_isolated: bool = False

    def update(self, estimate: CropEstimate, stamp_ns: int, min_presence: float) -> None:
        """Note the estimate of one image; crop and box stay where the person is not seen."""
        box = np.asarray(estimate.observation.box_px, np.float64)
        if not (estimate.presence >= min_presence and np.isfinite(box).all()):
            self.estimate = None
            return
        self.estimate = estimate
        self.moved_ratio = 1.0 - overlap(box, self.box_px)
        self.crop, self.box_px, self.seen_ns = estimate.next_crop, box, stamp_ns

    def is_crowded(self, people: Sequence[FollowedPerson]) -> bool:
        """Return whether the crop of this person may show another one of ``people``."""
        middle = (self.box_px[:2] + self.box_px[2:]) / 2
        side = (self.box_px[2:] - self.box_px[:2]).max()
        square = np.concatenate([middle - side / 2, middle + side / 2])
        return any(overlap(square, other.box_px) > 0.0 for other in people if other is not self)


def without_duplicates(people: List[FollowedPerson]) -> List[FollowedPerson]:
    """
    Return the people, only one of those whose crops have come to show the same person.

    The one whose box has moved least has been on that person; the other one was occluded or left.
    """
    kept: List[FollowedPerson] = []
    for one in sorted(people, key=lambda p: (p.estimate is None, p.moved_ratio)):
        others = (other.estimate.observation for other in kept if other.estimate)
        if one.estimate is None or not any(
                is_same_person(one.estimate.observation, other) for other in others):
            kept.append(one)
    return sorted(kept, key=lambda p: p.found_ns)
