"""
Occlusion of people by other people in front of them.

The network takes an arm of the person in front for an arm of the occluded one, with confidence.
"""

from typing import List

from niki_ros.body.observation import JointObservation
from niki_ros.common.replace import replace
from niki_ros.images.boxes import overlap
from niki_ros.observers.silhouette import Silhouette
import numpy as np

_IN_FRONT_RATIO = 1.15  # the person who is taller in the image by this factor is in front
# half the thickness of limbs and trunk over the length of the trunk. A person walking past in
# front (Pose2Sim, niki-evaluate video --passer-by), covered frames: 145.8 mm without this module,
# 141.7 at 0.3, 140.0 at 0.45 (28 November 2026)
_THICKNESS_RATIO = 0.4


def with_occluded_joints_hidden(observations: List[JointObservation]) -> List[JointObservation]:
    """Return the observations, with sigma 1 for joints that another person in front occludes."""
    result = []
    for one in observations:
        occluded = np.zeros(29, dtype=bool)
        for other in observations:
            if other is not one and _is_in_front(other, one):
                occluded |= Silhouette.of(other).contains_seen(one.keypoints_px,
                                                               _THICKNESS_RATIO)
        if occluded.any():
            sigma_px = np.where(occluded, np.inf, one.keypoint_sigma_px)
            sigma = np.where(occluded, 1.0, one.sigma_200mm)
            one = replace(one, sigma_200mm=sigma.astype(np.float32),
                          keypoint_sigma_px=sigma_px.astype(np.float32))
        result.append(one)
    return result


def _is_in_front(one: JointObservation, other: JointObservation) -> bool:
    """Return whether the first person is nearer than the second, and their boxes overlap."""
    heights = [float(o.box_px[3] - o.box_px[1]) for o in (one, other)]
    return heights[0] > _IN_FRONT_RATIO * heights[1] and overlap(one.box_px, other.box_px) > 0.0
