"""Runs a network on the crops of all people in an image."""

from typing import List, Sequence

from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.person_network import CropEstimate, PersonNetwork
from niki_ros.observers.second_look import SecondLook
from niki_ros.scene.camera import Camera
from niki_ros.scene.duplicates import is_same_person


class CropRunner:
    """Estimates people in their crops; a person is seen from ``min_presence`` on."""

    def __init__(self, network: PersonNetwork, min_presence: float):
        self._network, self._min_presence = network, min_presence
        self._second_look = SecondLook(network, min_presence)

    def run(self, image_rgb, camera: Camera, followed: Sequence[FollowedPerson],
            new: Sequence[FollowedPerson], stamp_ns: int,
            waiting: Sequence[FollowedPerson] = (), passes: int = 1,
            twice: bool = False) -> None:
        """
        Update the people by the image.

        :param waiting: other people in the image, as they were in an image before; not updated.
        :param passes: estimates of new people, each in the crop of the one before.
        :param twice: two estimates of followed people, the second one in the crop of the first.
        """
        estimates = self._estimates(image_rgb, camera, [*followed, *new], stamp_ns)
        count = len(followed)
        if twice:
            self._repeat(image_rgb, camera, followed, estimates)
        self._update(followed, self._second_look.improved(
            image_rgb, camera, followed, estimates[:count], stamp_ns, waiting), stamp_ns)
        self._settle(image_rgb, camera, new, estimates[count:], stamp_ns, passes)
        # next to another person the network may miss this one, or see the other one
        known = [*followed, *waiting]
        people = [*known, *new]
        for i, one in enumerate(new):
            others = [other for other in people if other is not one]
            if (one.is_crowded(others) if one.estimate is None
                    else _is_one_of(one, [*known, *new[:i]])):
                one.begin_again()
                painted = self._second_look.painted(image_rgb, one, others)
                again = self._estimates(painted, camera, [one], stamp_ns)
                self._settle(painted, camera, [one], again, stamp_ns, passes)

    def _settle(self, image_rgb, camera, new, estimates, stamp_ns: int, passes: int) -> None:
        """Update new people by their first estimates and those in the crops that follow."""
        self._update(new, estimates, stamp_ns)
        for _ in range(passes - 1):
            seen = [one for one in new if one.estimate is not None]
            self._update(seen, self._estimates(image_rgb, camera, seen, stamp_ns), stamp_ns)

    def _repeat(self, image_rgb, camera, people, estimates: List[CropEstimate]) -> None:
        """Replace the estimates of seen people by those in the crops that follow from them."""
        seen = [i for i, (one, estimate) in enumerate(zip(people, estimates))
                if one.last is not None and estimate.presence >= self._min_presence]
        found = self._network.estimate(image_rgb, camera, [estimates[i].next_crop for i in seen])
        for i, estimate in zip(seen, found):
            if estimate.presence >= self._min_presence:
                estimates[i] = estimate

    def _estimates(self, image_rgb, camera, people, stamp_ns: int) -> List[CropEstimate]:
        return self._network.estimate(image_rgb, camera,
                                      [one.crop_at(stamp_ns) for one in people])

    def _update(self, people, estimates: Sequence[CropEstimate], stamp_ns: int) -> None:
        for one, estimate in zip(people, estimates):
            one.update(estimate, stamp_ns, self._min_presence)


def _is_one_of(one: FollowedPerson, others: Sequence[FollowedPerson]) -> bool:
    """Return whether the estimate of this person shows one of the others."""
    return one.estimate is not None and any(
        is_same_person(one.estimate.observation, other.estimate.observation)
        for other in others if other.estimate is not None)
