"""People who are followed from image to image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence

from niki_ros.body.rotations import length
from niki_ros.images.boxes import overlap
from niki_ros.observers.appearance import Recognition
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.truncation import TruncationCheck
from niki_ros.scene.duplicates import is_same_person
from niki_ros.scene.person_view import PersonView
import numpy as np


@dataclass(frozen=True)
class CropMotionNumbers:
    """Numbers of :class:`CropMotion`."""

    velocity_s: float = 0.1  # time constant
    max_gap_s: float = 0.3  # between two images of which the motion is known, and to the next
    max_ratio: float = 0.2  # largest motion over the width of the crop


@dataclass(frozen=True)
class CropMotion:
    """How the crop of a person moves: at 12 images a second a walking one is off by 5 %."""

    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))  # of the centre's direction
    numbers: CropMotionNumbers = CropMotionNumbers()

    def after(self, before: Any, now: Any, dt_ns: int) -> CropMotion:
        """Return the motion after two estimates, ``dt_ns`` apart, with these crops."""
        numbers, dt_s = self.numbers, dt_ns * 1e-9
        if not (isinstance(now, PersonView) and isinstance(before, PersonView)
                and 0 < dt_s <= numbers.max_gap_s):
            return CropMotion(numbers=numbers)
        velocity = (now.middle_ray - before.middle_ray) / dt_s
        weight = -np.expm1(-dt_s / numbers.velocity_s)
        mean = self.velocity + weight * (velocity - self.velocity)
        return CropMotion(mean if np.isfinite(mean).all() else np.zeros(3), numbers)

    def moved(self, crop: Any, dt_ns: int) -> Any:
        """Return a crop ``dt_ns`` after its estimate."""
        if not isinstance(crop, PersonView) or not self.velocity.any():
            return crop
        shift = self.velocity * min(dt_ns * 1e-9, self.numbers.max_gap_s)
        limit = self.numbers.max_ratio * crop.width / max(float(length(shift)), 1e-9)
        return crop.moved(crop.middle_ray + min(1.0, limit) * shift)


@dataclass(eq=False)
class FollowedPerson:
    """State of one followed person; instances are compared by identity."""

    number: int  # unique among all people of this front end
    crop: Any  # for the next estimate
    box_px: np.ndarray  # (4,) of the last estimate
    found_ns: int  # stamp of the first image
    seen_ns: int  # stamp of the last image with the person
    looked_ns: int = 0  # stamp of the last image in which the network was run on the crop
    unconfirmed_images: int = 0  # in which the person must be seen before being reported
    is_weak: bool = False  # of a weak detection: seen with a high presence in these images
    # in the image of ``looked_ns``, None where not seen
    estimate: Optional[CropEstimate] = None
    last: Optional[CropEstimate] = None  # in the newest image with the person
    was_seen: bool = True  # in the image before
    is_behind: bool = False  # was last seen before the crop came to show another person
    moved_ratio: float = 0.0  # share of the box that the box of the image before did not cover
    missed_searches: int = 0  # in a row
    truncation: TruncationCheck = field(default_factory=TruncationCheck)
    recognition: Recognition = field(default_factory=Recognition)
    motion: CropMotion = field(default_factory=CropMotion)
    _before: tuple = ()  # crop, motion, box, stamp and estimate before the newest estimate

    def __post_init__(self):
        self.first_crop, self.first_box_px = self.crop, self.box_px

    @property
    def is_settled(self) -> bool:
        """Return whether the crop has been estimated often enough to fit."""
        return self.unconfirmed_images <= 1

    def update(self, estimate: CropEstimate, stamp_ns: int, min_presence: float) -> None:
        """Note the estimate of one image; crop and box stay where the person is not seen."""
        self.was_seen, self.looked_ns = self.estimate is not None, stamp_ns
        box = np.asarray(estimate.observation.box_px, np.float64)
        # the box of a person who has left the image has no area; that of NaN is refused, too
        if not (estimate.presence >= min_presence and (box[2:] > box[:2]).all()
                and np.isfinite(box).all()):
            self.estimate = None
            return
        self._before = self.crop, self.motion, self.box_px, self.seen_ns, self.last
        self.motion = self.motion.after(self.crop, estimate.next_crop, stamp_ns - self.seen_ns)
        self.estimate, self.last, self.is_behind = estimate, estimate, False
        self.moved_ratio = 1.0 - overlap(box, self.box_px)
        self.crop, self.box_px, self.seen_ns = estimate.next_crop, box, stamp_ns

    def crop_at(self, stamp_ns: int) -> Any:
        """Return the crop of an image, moved on with the person since the last estimate."""
        return self.motion.moved(self.crop, stamp_ns - self.seen_ns)

    def take_back(self) -> None:
        """Return to the image before: the newest estimate shows another person."""
        if self.estimate is not None:
            self.estimate, self.is_behind = None, True
            self.crop, self.motion, self.box_px, self.seen_ns, self.last = self._before

    def begin_again(self) -> None:
        """Forget all estimates; the next one is in the first crop."""
        self.crop, self.box_px, self.estimate = self.first_crop, self.first_box_px, None
        self.motion, self.last = CropMotion(), None

    def exchange_identity(self, other: FollowedPerson) -> None:
        """Exchange who these two are: each goes on in the other one's place."""
        self.number, other.number = other.number, self.number
        self.found_ns, other.found_ns = other.found_ns, self.found_ns
        self.recognition, other.recognition = other.recognition, self.recognition

    def is_crowded(self, people: Sequence[FollowedPerson]) -> bool:
        """Return whether the crop of this person may show another one of ``people``."""
        middle = (self.box_px[:2] + self.box_px[2:]) / 2
        side = (self.box_px[2:] - self.box_px[:2]).max()
        square = np.concatenate([middle - side / 2, middle + side / 2])
        return any(overlap(square, other.box_px) > 0.0 for other in people if other is not self)


def without_duplicates(people: List[FollowedPerson], stamp_ns: int,
                       established_ns: int) -> List[FollowedPerson]:
    """
    Return the people, only one of those whose crops have come to show the same person.

    It is the one who looks like that, else the one who moved least. Others who have been followed
    for ``established_ns`` are kept, as not seen in this image and with the crop of the image
    before.
    """
    kept: List[FollowedPerson] = []
    for one in sorted(people, key=lambda p: (p.estimate is None, p.unconfirmed_images > 0,
                                             not p.was_seen, p.moved_ratio)):
        same = [other for other in kept if _is_same(one, other)]
        if len(same) == 1 and one.recognition.fits_better(one.recognition.now,
                                                          same[0].recognition):
            kept = [other for other in kept if other is not same[0]] + [one]
            one = same[0]
        if same:
            if one.unconfirmed_images or stamp_ns - one.found_ns <= established_ns:
                continue
            one.take_back()
        kept.append(one)
    return sorted(kept, key=lambda p: p.found_ns)


def _is_same(one: FollowedPerson, other: FollowedPerson) -> bool:
    """Return whether both were seen in this image and show the same person."""
    return (one.estimate is not None and other.estimate is not None
            and is_same_person(one.estimate.observation, other.estimate.observation))
