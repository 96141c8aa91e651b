"""The people who are tracked: begins, confirms and ends tracks."""

from itertools import combinations
from typing import Callable, FrozenSet, List, Optional, Sequence, Tuple

from niki_ros.body.observation import JointObservation
from niki_ros.common.settings import TrackingConfig
from niki_ros.people.association import associate
from niki_ros.people.person import Person, Sighting
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.image_rotation import ImageRotation

# a person who has been seen for so long is confirmed, however the shape changes
_CONFIRMED_AFTER_S = 1.0


class Tracker:
    """Assigns ids; ``people`` are all tracked people, also those without an id."""

    def __init__(self, settings: TrackingConfig, make_stages: Callable[[], List[Stage]] = list):
        self._settings, self._make_stages = settings, make_stages
        self.people: List[Person] = []
        self._next_id = 1

    def update(self, observations: Sequence[JointObservation], roots_m, stamp_ns: int,
               waiting: FrozenSet[int] = frozenset()) -> List[Tuple[Person, Optional[int]]]:
        """
        Return all tracked people but the waiting ones, with the index of an observation or None.

        :param roots_m: for each observation the pelvis (3,), optical frame, or None.
        :param waiting: ``follower`` of the people who were not looked at in this image.
        """
        keep_ns = self._settings.keep_s * 1e9
        known = [p for p in self.people if stamp_ns - p.sighting.stamp_ns <= keep_ns]
        unobserved = [p for p in known if p.steadiness.follower in waiting]
        people = [p for p in known if p not in unobserved]
        pairs = associate(people, observations, roots_m, stamp_ns, self._settings)
        _exchange_ids([(people[person], observations[i]) for i, person in pairs.items()])
        index_of = {}
        for index, observation in enumerate(observations):
            if index in pairs:
                person = people[pairs[index]]
            else:
                person = Person(self._make_stages,
                                Sighting(stamp_ns, observation.box_px, roots_m[index]))
                known.append(person)
            person.count_observation(observation, stamp_ns)
            index_of[person] = index
        # an unconfirmed person ends with the first image without an observation
        self.people = [p for p in known if p.id or p in index_of or p in unobserved]
        self._confirm()
        return [(person, index_of.get(person)) for person in self.people
                if person not in unobserved]

    def _confirm(self) -> None:
        """Give ids to people who are seen steadily, or at once if no person has an id."""
        is_empty = not any(person.id for person in self.people)
        for person in self.people:
            is_confirmed = (person.steadiness.frame_count >= self._settings.confirm_frames
                            or person.seen_s >= _CONFIRMED_AFTER_S)
            if not person.id and (is_confirmed or is_empty):
                person.confirm(self._next_id)
                self._next_id += 1

    def reset(self) -> None:
        """End all tracks; ids are not used again."""
        self.people = []

    def rotate(self, rotation: ImageRotation) -> None:
        """Keep ids and places in images that are rotated."""
        for person in self.people:
            person.rotate(rotation)


def _exchange_ids(seen: Sequence[Tuple[Person, JointObservation]]) -> None:
    """
    Exchange the ids of two people whom the front end has recognised in each other's place.

    Filters and stages stay where they are: they belong to the body that is seen there.
    """
    for (one, own), (other, theirs) in combinations(seen, 2):
        if (one.id and other.id and one.steadiness.is_followed_in(theirs)
                and other.steadiness.is_followed_in(own)):
            one.id, other.id = other.id, one.id
