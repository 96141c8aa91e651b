"""
Detection of people whom the border of the image cuts off too much to be located.

A low camera near a person sees the legs only. The landmark network, trained on whole people, then
places a small whole person onto a leg, three times too far away, with high confidence, and another
one in a larger crop. A person at the upper border of the image is therefore estimated again in
larger crops, and is not reported where the estimates disagree.
"""

from dataclasses import dataclass
from typing import Optional, Sequence

from niki_ros.images.boxes import share_within
from niki_ros.observers.person_network import CropEstimate, LARGER_CROPS
import numpy as np


@dataclass(frozen=True)
class TruncationNumbers:
    """Numbers of :class:`TruncationCheck`."""

    # distance of a body from the border over its size, up to which the head may be cut off; at
    # 0.5 one of eight whole people in photographs is left out, at 0.1 one of 81
    near_border_ratio: float = 0.1
    at_border_ratio: float = 0.02  # the same of a detector's box, over the height of the image
    same_person_ratio: float = 0.6  # share of the smaller of two boxes of one person in the other
    # a person is truncated from this on; legs only (Pose2Sim): 95 of 100 have more than 0.49, of
    # whole people and those cut off at the neck 1
    truncated_disagreement: float = 0.42
    whole_disagreement: float = 0.3  # a truncated person is whole again below this
    sure_disagreement: float = 0.18  # limit in the first image; 9 of 10 whole people are below it
    half_life_ns: int = 50_000_000  # of the weight of earlier checks
    # between two checks: of people below ``sure_disagreement``, in one larger crop, and of all
    # others, in all of them
    sure_period_ns: int = 125_000_000
    unsure_period_ns: int = 100_000_000
    # a person who has been truncated for this long is begun anew when detected again; earlier, the
    # crop of a new person may not fit yet
    begun_anew_ns: int = 350_000_000


class TruncationCheck:
    """Checks whether the upper border cuts off too much of a person to locate them."""

    def __init__(self, numbers: TruncationNumbers = TruncationNumbers()):
        self.is_truncated = False  # too little of the person is in the image
        self._numbers = numbers
        self._is_box_at_border = False
        self._disagreement: Optional[float] = None
        self._of_crops = np.zeros(len(LARGER_CROPS))  # in the last check in each of them
        self._next_crop = LARGER_CROPS[0]
        self.checked_ns: Optional[int] = None  # stamp of the last check, None before the first
        self._whole_ns: Optional[int] = None  # last stamp at which the person was not truncated

    def add_detection(self, box_px, height_px: int) -> None:
        """Note the box (4,) in which a detector found this person in an image of this height."""
        self._is_box_at_border = self._is_at_border(box_px, height_px)

    def add_detections(self, boxes_px, body_px, height_px: int) -> None:
        """Note the boxes (n, 4) of all detected people; ``body_px`` (4,) is this person's."""
        own = [box for box in boxes_px
               if share_within(box, body_px) >= self._numbers.same_person_ratio]
        if own:
            self._is_box_at_border = any(self._is_at_border(box, height_px) for box in own)

    def is_due(self, estimate: CropEstimate, stamp_ns: int) -> bool:
        """Return whether this person may be truncated and was not checked just now."""
        box = np.asarray(estimate.observation.box_px, np.float64)
        size = float((box[2:] - box[:2]).max())
        if not self._is_box_at_border and box[1] > self._numbers.near_border_ratio * size:
            self.is_truncated, self._disagreement = False, None
            self.checked_ns = self._whole_ns = None
            return False
        if self._disagreement is None or self.checked_ns is None:
            return True
        numbers = self._numbers
        period_ns = numbers.sure_period_ns if self._is_sure else numbers.unsure_period_ns
        return stamp_ns - self.checked_ns >= period_ns

    @property
    def next_crops(self) -> Sequence[int]:
        """Return the larger crops of the next check: all of them, or one where all is well."""
        return (self._next_crop,) if self._is_sure else LARGER_CROPS

    @property
    def _is_sure(self) -> bool:
        return (self._disagreement is not None
                and self._disagreement < self._numbers.sure_disagreement)

    def update(self, larger_crops: Sequence[int], disagreement: np.ndarray,
               stamp_ns: int) -> None:
        """Note the disagreement (n,) of the network in some of the larger crops."""
        self._of_crops[list(larger_crops)] = disagreement
        self._next_crop = (larger_crops[-1] + 1) % len(LARGER_CROPS)
        self._add(float(self._of_crops.sum()), stamp_ns)

    def _add(self, disagreement: float, stamp_ns: int) -> None:
        numbers = self._numbers
        if self._disagreement is None or self.checked_ns is None:
            self._disagreement, limit = disagreement, numbers.sure_disagreement
        else:
            keep = 0.5 ** ((stamp_ns - self.checked_ns) / numbers.half_life_ns)
            self._disagreement = disagreement + keep * (self._disagreement - disagreement)
            limit = (numbers.whole_disagreement if self.is_truncated
                     else numbers.truncated_disagreement)
        self.is_truncated, self.checked_ns = self._disagreement >= limit, stamp_ns
        if self._whole_ns is None or not self.is_truncated:
            self._whole_ns = stamp_ns

    def is_begun_anew(self, stamp_ns: int) -> bool:
        """Return whether this person has been truncated for long, and is better begun anew."""
        return (self.is_truncated and self._whole_ns is not None
                and stamp_ns - self._whole_ns >= self._numbers.begun_anew_ns)

    def _is_at_border(self, box_px, height_px: int) -> bool:
        return bool(box_px[1] <= self._numbers.at_border_ratio * height_px)
