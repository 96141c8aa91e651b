"""
A second look at people who are next to others, with the others painted over in the image.

In a crop that shows two people the network may take the face or the arms of the other one, or
mistake the back of a person for the front because the other one faces the camera; from then on the
crop follows the other person.
"""

from dataclasses import dataclass
from typing import List, Optional, Sequence

from niki_ros.body.skeleton import JOINT
from niki_ros.images.boxes import overlap
from niki_ros.images.painting import copy_where, mean_colour, paint_body
from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.person_network import CropEstimate, PersonNetwork
from niki_ros.observers.silhouette import Silhouette
from niki_ros.scene.camera import Camera
from niki_ros.scene.duplicates import is_same_person
import numpy as np

_COMPARED = [JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in
             ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')] + [JOINT['neck'],
                                                                       JOINT['head']]


@dataclass(frozen=True)
class SecondLookNumbers:
    """Numbers of :class:`SecondLook`; chosen on Pose2Sim's trials with two people."""

    sure_presence: float = 0.9  # a second look is taken below this, or where the person jumped:
    # mean distance of the joints from those in the image before, over the size of the person
    max_jump_ratio: float = 0.045
    max_speed_ratio_per_s: float = 0.9  # further in a second, for people who move
    presence_weight: float = 0.1  # of missing presence, compared with a jump
    same_person_cost: float = 0.5  # of showing the same person as another crop, likewise
    # half the thickness of painted limbs over the size of the trunk; of those that are kept
    thickness_ratio: float = 0.25
    own_thickness_ratio: float = 0.15
    head_ratio: float = 0.28  # radius of the head over the size of the trunk
    max_people: int = 2  # in one image, so that no image takes much longer than others


class SecondLook:
    """Replaces doubtful estimates of people in a crowd; a person is seen at ``min_presence``."""

    def __init__(self, network: PersonNetwork, min_presence: float,
                 numbers: SecondLookNumbers = SecondLookNumbers()):
        self._network, self._min_presence, self._numbers = network, min_presence, numbers

    def improved(self, image_rgb, camera: Camera, people: Sequence[FollowedPerson],
                 estimates: Sequence[CropEstimate], stamp_ns: int,
                 waiting: Sequence[FollowedPerson] = ()) -> List[CropEstimate]:
        """
        Return the estimates of followed people in this image, doubtful ones replaced.

        :param waiting: people who are not looked at in this image.
        """
        result, doubtful = list(estimates), []
        everyone = [*zip(people, estimates), *((one, one.estimate) for one in waiting
                                               if one.estimate is not None)]
        for i, one in enumerate(people):
            is_seen = result[i].presence >= self._min_presence
            near = [(other, shown) for other, shown in everyone
                    if other is not one and other.estimate is not None
                    and (overlap(other.box_px, one.box_px) > 0.0 if is_seen
                         else one.is_crowded([other]))]
            if one.last is None or not near:
                continue
            cost = self._cost(one, result[i], [shown for _, shown in near])
            if cost > self._limit(one, stamp_ns) or self._is_unsure(result[i]):
                doubtful.append((cost, i, near))
        for _, i, near in sorted(doubtful, reverse=True)[:self._numbers.max_people]:
            others, theirs = zip(*near)
            result[i] = self._best(image_rgb, camera, people[i], others, theirs, result[i],
                                   stamp_ns)
        return result

    def _best(self, image_rgb, camera, one, others, theirs, estimate, stamp_ns) -> CropEstimate:
        """Return the estimate, or that in an image without the others, whichever fits better."""
        cost = self._cost(one, estimate, theirs)
        for keep_own in (False, True):
            painted = self.painted(image_rgb, one, others, keep_own)
            again, = self._network.estimate(painted, camera, [one.crop_at(stamp_ns)])
            again_cost = self._cost(one, again, theirs)
            if again_cost < cost:
                estimate, cost = again, again_cost
            if again_cost <= self._limit(one, stamp_ns) and not self._is_unsure(again):
                break
        return estimate

    def painted(self, image_rgb, one: FollowedPerson, others: Sequence[FollowedPerson],
                keep_own: bool = False) -> np.ndarray:
        """
        Return the image with the others in the mean colour of the box of ``one``.

        :param keep_own: what lies on the body of ``one``, who may be in front, is not painted.
        """
        numbers, painted = self._numbers, np.array(image_rgb, order='C')
        own = _slices(one.box_px, painted)
        colour = mean_colour(painted[own])
        for other in others:
            if other.last is None:
                painted[_slices(other.box_px, painted)] = colour
        painted[own] = image_rgb[own]
        for other in others:
            if other.last is not None:
                self._paint(painted, other.last, numbers.thickness_ratio, colour)
        if keep_own and one.last is not None:
            mask = np.zeros(painted.shape[:2], np.uint8)
            self._paint(mask, one.last, numbers.own_thickness_ratio, 255)
            copy_where(image_rgb, mask, painted)
        return painted

    def _paint(self, image, estimate: CropEstimate, thickness_ratio: float, colour) -> None:
        body = Silhouette.of(estimate.observation)
        if np.isfinite(body.size_px):
            paint_body(image, body.bones_px, body.trunk_px, body.head_px,
                       2 * thickness_ratio * body.size_px,
                       self._numbers.head_ratio * body.size_px, colour)

    def _is_unsure(self, estimate: CropEstimate) -> bool:
        return estimate.presence < self._numbers.sure_presence

    def _limit(self, one: FollowedPerson, stamp_ns: int) -> float:
        numbers = self._numbers
        return numbers.max_jump_ratio + numbers.max_speed_ratio_per_s * (
            stamp_ns - one.seen_ns) * 1e-9

    def _cost(self, one: FollowedPerson, estimate: CropEstimate,
              others: Sequence[CropEstimate]) -> float:
        """Return how little an estimate fits this person, infinite if no person is seen."""
        jump = None if one.last is None else jump_ratio(one.last, estimate)
        if jump is None or estimate.presence < self._min_presence:
            return np.inf
        is_other = any(is_same_person(estimate.observation, other.observation) for other in others
                       if other.presence >= self._min_presence)
        return (jump + self._numbers.presence_weight * (1.0 - estimate.presence)
                + self._numbers.same_person_cost * is_other)


def jump_ratio(before: CropEstimate, now: CropEstimate) -> Optional[float]:
    """Return the mean distance of joints in the image over the size, None if there are none."""
    box_px = before.observation.box_px
    off = np.linalg.norm(now.observation.keypoints_px[_COMPARED]
                         - before.observation.keypoints_px[_COMPARED], axis=-1)
    off = off[np.isfinite(off)]
    if not len(off) or not np.isfinite(now.observation.box_px).all():
        return None
    return float(off.mean() / max((box_px[2:] - box_px[:2]).max(), 1.0))


def _slices(box_px, image) -> tuple:
    """Return rows and columns of a box in an image."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = np.clip(box_px, 0, [width, height] * 2).astype(int).tolist()
    return slice(y0, y1), slice(x0, x1)
