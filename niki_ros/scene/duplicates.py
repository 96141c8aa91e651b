"""Two observations of one person in one image."""

from __future__ import annotations

from typing import List

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import MIRROR_29
from niki_ros.images.boxes import overlap, share_within
import numpy as np

# two observations are one person: boxes that share this much, or keypoints this near each other,
# as a share of the height
SAME_BOX = 0.7
SAME_KEYPOINTS = 0.12
# half a person can be seen as a smaller whole one: most of its box in the other one, and the upper
# or the lower part of the body near the other's
_MOSTLY_WITHIN, NEAR_PART = 0.75, 0.18
_UPPER, _LOWER = [12, 15, 16, 17, 18, 19], [0, 1, 2, 4, 5, 7, 8]


def suppress_duplicates(observations: List[JointObservation]) -> List[JointObservation]:
    """Drop the worse of two observations of one person."""
    kept: List[JointObservation] = []
    for one in sorted(observations, key=lambda o: -o.score):
        if not any(same_person(one, other) for other in kept):
            kept.append(one)
    return kept


def same_person(one: JointObservation, other: JointObservation) -> bool:
    """
    Whether two observations of one image lie on each other.

    Joint on joint, also with left and right exchanged (the same body seen from the front and from
    behind), or box on box: of two people so close only the one in front can be seen.
    """
    if overlap(one.box_px, other.box_px) > SAME_BOX:
        return True
    size = max(float(one.box_px[3] - one.box_px[1]), float(other.box_px[3] - other.box_px[1]), 1.0)
    if share_within(one.box_px, other.box_px) > _MOSTLY_WITHIN:
        apart = np.linalg.norm(one.keypoints_px - other.keypoints_px, axis=1) / size
        if any(np.median(apart[group]) < NEAR_PART for group in (_UPPER, _LOWER)):
            return True
    for order in (list(range(24)), list(MIRROR_29[:24])):
        apart = np.linalg.norm(one.keypoints_px[:24] - other.keypoints_px[order], axis=1)
        if np.isfinite(apart).any() and np.nanmedian(apart) < SAME_KEYPOINTS * size:
            return True
    return False
