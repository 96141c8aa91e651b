"""Runs a network on the crops of all people in an image."""

from typing import List, Sequence

from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.person_network import CropEstimate, PersonNetwork
from niki_ros.scene.camera import Camera
import numpy as np

_OWN_MARGIN_RATIO = 0.04  # kept around a person's own box, over its size


class CropRunner:
    """Estimates people in their crops; a person is seen from ``min_presence`` on."""

    def __init__(self, network: PersonNetwork, min_presence: float):
        self._network, self._min_presence = network, min_presence

    def run(self, image_rgb, camera: Camera, people: Sequence[FollowedPerson],
            others: Sequence[FollowedPerson] = ()) -> List[CropEstimate]:
        """Return an estimate of each person; ``others`` too are masked for isolated people."""
        batch = [one for one in people if not one.is_isolated]
        estimates = dict(zip((one.number for one in batch), self._network.estimate(
            image_rgb, camera, [one.crop for one in batch])))
        for one in people:
            if one.is_isolated:
                boxes = [other.box_px for other in (*others, *people)
                         if other.number != one.number]
                masked = mask_other_people(image_rgb, one.box_px, boxes)
                estimates[one.number], = self._network.estimate(masked, camera, [one.crop])
        return [estimates[one.number] for one in people]

    def settle(self, image_rgb, camera: Camera, new: Sequence[FollowedPerson],
               estimates: Sequence[CropEstimate], others: Sequence[FollowedPerson],
               stamp_ns: int) -> None:
        """Update new people by their first estimates and those in the crops that follow."""
        self.update(new, estimates, stamp_ns)
        for _ in range(self._network.passes - 1):
            seen = [one for one in new if one.estimate is not None]
            self.update(seen, self.run(image_rgb, camera, seen, (*others, *new)), stamp_ns)

    def update(self, people: Sequence[FollowedPerson], estimates: Sequence[CropEstimate],
               stamp_ns: int) -> None:
        for one, estimate in zip(people, estimates):
            one.update(estimate, stamp_ns, self._min_presence)


def mask_other_people(image_rgb, own_px, others_px) -> np.ndarray:
    """Return the image with boxes (4,) of others in the mean colour of the box ``own_px`` (4,)."""
    height, width = image_rgb.shape[:2]
    margin = _OWN_MARGIN_RATIO * (np.asarray(own_px[2:]) - own_px[:2])
    own = _slices([*(own_px[:2] - margin), *(own_px[2:] + margin)], width, height)
    masked = image_rgb.copy()
    colour = image_rgb[own].reshape(-1, 3).mean(axis=0).astype(np.uint8)
    for box in others_px:
        masked[_slices(box, width, height)] = colour
    masked[own] = image_rgb[own]
    return masked


def _slices(box_px, width: int, height: int) -> tuple:
    """Return rows and columns of a box, at least one of each."""
    x0, y0, x1, y1 = (int(value) for value in box_px)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return slice(y0, max(min(y1, height), y0 + 1)), slice(x0, max(min(x1, width), x0 + 1))
