"""Association of the observations of one image with the people who are tracked."""

from dataclasses import dataclass
from typing import Dict, Optional, Sequence

from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import length
from niki_ros.common.settings import TrackingConfig
from niki_ros.images.boxes import overlap, share_within
from niki_ros.people.person import Person
import numpy as np
from scipy.optimize import linear_sum_assignment

_FORBIDDEN = 1e6


@dataclass(frozen=True)
class AssociationNumbers:
    """Numbers of :func:`associate`; costs are shares of the distance that the gap allows."""

    # distance from the predicted place that is possible in any image
    reach_m: float = 0.5
    # distances from the camera are estimated, positions across the ray are measured
    depth_weight: float = 1 / 3
    # one box of which so much lies in the other: front ends see half a person as a small whole one
    min_within_ratio: float = 0.5
    within_cost: float = 5.0  # of such a pair; any other is better
    # a person without an id takes no observation that fits one with an id
    unconfirmed_cost: float = 2.0
    follower_gain: float = 1.5  # of a crop that has followed the person from the last image


def associate(people: Sequence[Person], observations: Sequence[JointObservation],
              roots_m: Sequence[Optional[np.ndarray]], stamp_ns: int, settings: TrackingConfig,
              numbers: AssociationNumbers = AssociationNumbers()) -> Dict[int, int]:
    """
    Return pairs of lowest total cost (Hungarian method): index of observation → index of person.

    :param roots_m: pelvis (3,) of each observation, metres, optical frame; None = not known.
    """
    if not people or not observations:
        return {}
    cost = np.array([[_cost(person, one, root_m, stamp_ns, settings, numbers)
                      for one, root_m in zip(observations, roots_m)] for person in people])
    return {int(column): int(row) for row, column in zip(*linear_sum_assignment(cost))
            if cost[row, column] < _FORBIDDEN}


def _cost(person, observation, root_m, stamp_ns, settings, numbers) -> float:
    """Return the cost of a pair; a followed crop does not allow a place that is out of reach."""
    cost = _distance_cost(person, observation, root_m, stamp_ns, settings, numbers)
    if cost >= _FORBIDDEN:
        return cost
    unconfirmed = 0.0 if person.id else numbers.unconfirmed_cost
    is_followed = person.steadiness.is_followed_in(observation)
    return cost + unconfirmed - numbers.follower_gain * is_followed


def _distance_cost(person, observation, root_m, stamp_ns, settings, numbers) -> float:
    """Return the distance over the reach, plus the share of the boxes that does not overlap."""
    last = person.sighting
    shared = overlap(last.box_px, observation.box_px)
    predicted_m = last.predicted_root_m(stamp_ns)
    if predicted_m is None or root_m is None:
        return 2.0 - shared if shared >= settings.min_overlap else _FORBIDDEN
    off_m = (np.asarray(root_m) - predicted_m) * (1.0, 1.0, numbers.depth_weight)
    gap_s = (stamp_ns - last.stamp_ns) * 1e-9
    reach_m = numbers.reach_m + settings.max_speed_m_s * gap_s
    apart_m = float(length(off_m))
    if apart_m <= reach_m or (apart_m <= 2 * reach_m and shared >= settings.min_overlap):
        return apart_m / reach_m + (1.0 - shared)
    within = share_within(last.box_px, observation.box_px)
    return numbers.within_cost - within if within >= numbers.min_within_ratio else _FORBIDDEN
