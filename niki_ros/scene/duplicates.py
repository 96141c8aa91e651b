"""Duplicates among the observations of people in one image, by their boxes and joints."""

from dataclasses import dataclass
from typing import List

from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import length
from niki_ros.body.skeleton import MIRROR_29
from niki_ros.common.median import median
from niki_ros.images.boxes import overlap, share_within
import numpy as np

_UPPER_BODY, _LOWER_BODY = np.array([12, 15, 16, 17, 18, 19]), np.array([0, 1, 2, 4, 5, 7, 8])
_ORDERS = np.arange(24), np.array(MIRROR_29[:24])


@dataclass(frozen=True)
class DuplicateNumbers:
    """Numbers of :func:`is_same_person`."""

    min_overlap_ratio: float = 0.7  # intersection over union of two boxes of one person
    max_keypoint_ratio: float = 0.12  # median distance of keypoints over the height of the box
    # where half a person is seen as a smaller whole one: share of the smaller box in the larger
    # one, and the median distance of the keypoints of the upper or of the lower body
    min_within_ratio: float = 0.75
    max_part_ratio: float = 0.18


def suppress_duplicates(observations: List[JointObservation]) -> List[JointObservation]:
    """Return the observations, of each person only the one with the highest score."""
    kept: List[JointObservation] = []
    for one in sorted(observations, key=lambda o: -o.score):
        if not any(is_same_person(one, other) for other in kept):
            kept.append(one)
    return kept


def is_same_person(one: JointObservation, other: JointObservation,
                   numbers: DuplicateNumbers = DuplicateNumbers()) -> bool:
    """
    Return whether two observations of one image show the same person.

    Their boxes coincide, or their joints do, also with left and right exchanged (front and back
    mistaken). Of two people as close as that only the one in front is visible.
    """
    if overlap(one.box_px, other.box_px) > numbers.min_overlap_ratio:
        return True
    size = max(float(one.box_px[3] - one.box_px[1]), float(other.box_px[3] - other.box_px[1]), 1.0)
    if share_within(one.box_px, other.box_px) > numbers.min_within_ratio:
        apart = length(one.keypoints_px - other.keypoints_px) / size
        if any(median(apart[part]) < numbers.max_part_ratio
               for part in (_UPPER_BODY, _LOWER_BODY)):
            return True
    for order in _ORDERS:
        apart = length(one.keypoints_px[:24] - other.keypoints_px.take(order, 0))
        known = apart[~np.isnan(apart)]
        if len(known) and median(known) < numbers.max_keypoint_ratio * size:
            return True
    return False
