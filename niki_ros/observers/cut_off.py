"""
People of whom the image shows too little to say where they are.

A low camera that is near to somebody sees legs only. The network that looks at them has learned
that there is a whole person in every crop, and draws a small one onto a leg, three times as far
away as the legs are, and is sure of it. What gives it away is that another crop shows another
person. Whose upper end is at the border of the image, or is found there by the detector, is
therefore looked at again in larger crops, and not reported where these disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from niki_ros.images.boxes import share_within
from niki_ros.observers.network import Look
import numpy as np

# whose head is so near to the upper border, in sizes of the body, may have been cut off by it; at
# 0.5 one of eight whole people in photographs is left out, at 0.1 one of 81
_NEAR_BORDER = 0.1
# boxes of the detector that begin so near to the border, as a share of the image, do so at it
_AT_BORDER = 0.02
# so much of a body lies in the box of the same person
_SAME_PERSON = 0.6
# disagreement of the network from which a person is not believed any more, and is again; legs only
# (Pose2Sim): 95 of 100 have more than 0.49, of whole people and those cut off at the neck 1
_CUT, _WHOLE = 0.42, 0.3
# below this, in their first image too; 9 of 10 whole people are
_SURE = 0.18
# what one image says counts by so much
_SHARE = 0.5
# who is surely whole is looked at again after this time
_PERIOD_NS = 150_000_000


@dataclass
class CutOff:
    """
    Whether one person is cut off by the upper border of the image.

    :ivar is_cut: so much that nothing is known of them.
    """

    is_cut: bool = False
    _found_at_border: bool = False
    _level: Optional[float] = None
    _looked_ns: int = 0

    def found(self, box_px, height_px: int) -> None:
        """Take note of the box (4,) in which a detector has found this person."""
        self._found_at_border = bool(box_px[1] <= _AT_BORDER * height_px)

    def found_among(self, boxes_px, body_px, height_px: int) -> None:
        """Take note of the boxes (n, 4) of all people that a detector has found."""
        mine = [box for box in boxes_px if share_within(box, body_px) >= _SAME_PERSON]
        if mine:
            self._found_at_border = any(box[1] <= _AT_BORDER * height_px for box in mine)

    def is_to_be_seen_again(self, look: Look, stamp_ns: int) -> bool:
        """Whether this person may be cut off, and that was not looked into just now."""
        box = np.asarray(look.observation.box_px, np.float64)
        size = float((box[2:] - box[:2]).max())
        if not self._found_at_border and box[1] > _NEAR_BORDER * size:
            self.is_cut, self._level = False, None
            return False
        sure = self._level is not None and self._level < _SURE
        return not sure or stamp_ns - self._looked_ns >= _PERIOD_NS

    def note(self, disagreement: float, stamp_ns: int) -> None:
        """Take note of what the network says in other crops."""
        if self._level is None:
            self._level, limit = disagreement, _SURE
        else:
            self._level += _SHARE * (disagreement - self._level)
            limit = _WHOLE if self.is_cut else _CUT
        self.is_cut, self._looked_ns = self._level >= limit, stamp_ns
