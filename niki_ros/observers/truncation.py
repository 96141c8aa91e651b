"""
Detection of people who are cut off by the border of the image, too much to be located.

A low camera near a person sees the legs only. The landmark network is trained on crops with whole
people: it places a small whole person onto a leg, three times as far away as the legs are, with
high confidence. In a larger crop it places another person. A person whose upper end is at the
upper border of the image, or is detected there, is therefore estimated again in larger crops, and
is not reported where the estimates disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from niki_ros.images.boxes import share_within
from niki_ros.observers.person_network import CropEstimate
import numpy as np


@dataclass(frozen=True)
class TruncationConfig:
    """
    Numbers of :class:`TruncationCheck`.

    :param near_border_ratio: distance of a body's upper end to the border, over the size of the
        body, up to which the head may be cut off; at 0.5 one of eight whole people in photographs
        is left out, at 0.1 one of 81.
    :param at_border_ratio: distance of a detector's box to the border, over the height of the
        image, up to which it begins at the border.
    :param same_person_ratio: share of the smaller of two boxes of one person in the other.
    :param truncated_disagreement: disagreement of the network from which on a person is truncated;
        legs only (Pose2Sim): 95 of 100 have more than 0.49, of whole people and those cut off at
        the neck 1.
    :param whole_disagreement: a truncated person is whole again below this.
    :param sure_disagreement: limit in the first image; 9 of 10 whole people are below it.
    :param update_ratio: weight of the newest image.
    :param check_period_ns: time between two checks of a person below ``sure_disagreement``.
    """

    near_border_ratio: float = 0.1
    at_border_ratio: float = 0.02
    same_person_ratio: float = 0.6
    truncated_disagreement: float = 0.42
    whole_disagreement: float = 0.3
    sure_disagreement: float = 0.18
    update_ratio: float = 0.5
    check_period_ns: int = 150_000_000


class TruncationCheck:
    """
    Whether one person is cut off by the upper border of the image.

    :ivar is_truncated: too little of the person is in the image to locate them.
    """

    def __init__(self, config: TruncationConfig = TruncationConfig()):
        """Start with a whole person."""
        self.is_truncated = False
        self._config = config
        self._is_box_at_border = False
        self._disagreement: Optional[float] = None
        self._checked_ns = 0

    def add_detection(self, box_px, height_px: int) -> None:
        """Note the box (4,) in which a detector found this person in an image of this height."""
        self._is_box_at_border = self._is_at_border(box_px, height_px)

    def add_detections(self, boxes_px, body_px, height_px: int) -> None:
        """Note the boxes (n, 4) of all detected people; ``body_px`` (4,) is this person's."""
        own = [box for box in boxes_px
               if share_within(box, body_px) >= self._config.same_person_ratio]
        if own:
            self._is_box_at_border = any(self._is_at_border(box, height_px) for box in own)

    def is_due(self, estimate: CropEstimate, stamp_ns: int) -> bool:
        """Return whether this person may be truncated and was not checked just now."""
        box = np.asarray(estimate.observation.box_px, np.float64)
        size = float((box[2:] - box[:2]).max())
        if not self._is_box_at_border and box[1] > self._config.near_border_ratio * size:
            self.is_truncated, self._disagreement = False, None
            return False
        is_sure = (self._disagreement is not None
                   and self._disagreement < self._config.sure_disagreement)
        return not is_sure or stamp_ns - self._checked_ns >= self._config.check_period_ns

    def update(self, disagreement: float, stamp_ns: int) -> None:
        """Note the disagreement of the network in larger crops."""
        config = self._config
        if self._disagreement is None:
            self._disagreement, limit = disagreement, config.sure_disagreement
        else:
            self._disagreement += config.update_ratio * (disagreement - self._disagreement)
            limit = (config.whole_disagreement if self.is_truncated
                     else config.truncated_disagreement)
        self.is_truncated, self._checked_ns = self._disagreement >= limit, stamp_ns

    def _is_at_border(self, box_px, height_px: int) -> bool:
        return bool(box_px[1] <= self._config.at_border_ratio * height_px)
