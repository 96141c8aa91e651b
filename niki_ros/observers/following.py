"""
Front end that follows each person from image to image in a crop, all crops in one batch.

The estimate in one image gives the crop in the next. A detector runs some times a second in
addition. The crop of a newly detected person is estimated several times, until it fits: in
one image if no other person is followed, else in several, so that no image takes much longer.
"""

from dataclasses import dataclass
from time import perf_counter
from typing import Dict, FrozenSet, List, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.common.checks import checked_rgb, finite_array
from niki_ros.common.errors import InputError
from niki_ros.common.replace import replace
from niki_ros.common.settings import CameraConfig, ObserverConfig
from niki_ros.images.boxes import are_near, overlap
from niki_ros.observers.candidates import Candidate, LostPeople, RefusedBoxes
from niki_ros.observers.crop_runner import CropRunner
from niki_ros.observers.followed_person import FollowedPerson, without_duplicates
from niki_ros.observers.image_period import ImagePeriod
from niki_ros.observers.occlusion import with_occluded_joints_hidden
from niki_ros.observers.person_network import PersonNetwork, Workload
from niki_ros.observers.recognition import exchange_mistaken, recognise
from niki_ros.observers.runs import MAX_RUNS, Runs
from niki_ros.observers.search import PersonSearch, SearchResult
from niki_ros.observers.turns import Turns
from niki_ros.scene.camera import Camera
import numpy as np


@dataclass(frozen=True)
class FollowNumbers:
    """Numbers of :class:`FollowingObserver`; overlaps are intersections over unions."""

    min_presence: float = 0.5  # a person is in a crop from this presence on
    # followed without confirmation by a search, and enough for a weak detection; false people in
    # 46 pictures without people stay below 0.8; of people who walk by at 80 pixels' height 95 %
    # are above 0.92
    sure_presence: float = 0.9
    max_gap_ns: int = 10_000_000_000  # after a longer gap between two images a new stream begins
    max_unseen_ns: int = 250_000_000  # an unseen person is looked for in the same crop
    max_behind_ns: int = 1_000_000_000  # likewise a person behind another one
    max_new_per_image: int = 2  # new people while others are followed, of weak detections one
    # images in a row in which such a person must be seen before being reported: a crop that shows
    # two people settles on one of them in the next image
    confirm_images: int = 3
    # a person followed for longer is not ended because the crop has come to show another person
    established_ns: int = 300_000_000
    same_person_overlap: float = 0.3  # of a detected box with the box of the same person
    known_person_overlap: float = 0.45  # with less, a box can be that of another person in front
    known_weak_overlap: float = 0.3  # likewise of a weak detection
    min_inside_ratio: float = 0.2  # share of a given box that must be inside the image


class FollowingObserver:
    """
    Front end: people are found by a detector and followed by a network that estimates crops.

    :param search: None = only the boxes that are given. :param max_people: at the same time.
    :param fov_deg: of images without a camera. :param turns: None = all people are observed in
        every image. :param runs: of the network for each person; None = one.
    """

    def __init__(self, network: PersonNetwork, search: Optional[PersonSearch],
                 max_people: int = ObserverConfig.max_people,
                 fov_deg: float = CameraConfig.fov_deg, numbers: FollowNumbers = FollowNumbers(),
                 turns: Optional[Turns] = None, runs: Optional[Runs] = None):
        self.network, self.search, self._turns = network, search, turns
        self._runs = runs or Runs(fixed=1)
        self.faults: Dict[str, str] = {}
        self.busy_s = self.waited_s = self._network_s = 0.0
        self.period_s: Optional[float] = None
        self.waiting: FrozenSet[int] = frozenset()
        self._numbers, self._max_people, self._fov_deg = numbers, max_people, fov_deg
        self._runner = CropRunner(network, numbers.min_presence)
        self._number = 0
        self._followed: List[FollowedPerson] = []
        self._candidates: List[Candidate] = []
        self._lost, self._refused, self._period = LostPeople(), RefusedBoxes(), ImagePeriod()
        self._last_ns: Optional[int] = None

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera], stamp_ns: int,
                boxes_px=None) -> List[JointObservation]:
        """Return one observation of each person; see :meth:`Observer.observe`."""
        image = checked_rgb(image_rgb)
        size = image.shape[1], image.shape[0]
        camera = (camera or Camera.from_fov(*size, self._fov_deg)).resized(*size)
        self.faults = {}
        if self._last_ns is not None and not (
                0 <= stamp_ns - self._last_ns <= self._numbers.max_gap_ns):
            self.reset()
        self._last_ns = stamp_ns
        period_s = self._period.update(stamp_ns)
        self._take_workload(Workload(stamp_ns, len(self._followed), self.period_s or period_s,
                                     self.busy_s, self.waited_s))
        candidates = [Candidate(box) for box in self._inside(boxes_px, size)]
        if self.search is not None:
            candidates += self._detected(self.search.result(stamp_ns), stamp_ns, camera)
        # boxes that are left from an earlier search are detected again where they are people
        self._candidates = candidates or self._candidates
        self._follow(image, camera, stamp_ns)
        if self.search is not None:
            if not self._followed and not self._candidates:
                found = self.search.now(image, stamp_ns)
                self._candidates = self._detected(found, stamp_ns, camera)
                self._follow(image, camera, stamp_ns)
            elif len(self._followed) < self._max_people:
                self.search.start(image, stamp_ns)
        return self._reported(stamp_ns)

    def reset(self) -> None:
        self._followed, self._candidates, self._last_ns = [], [], None
        self.waiting = frozenset()
        if self._turns is not None:
            self._turns.reset()
        self._runs.reset()
        self._lost, self._refused, self._period = LostPeople(), RefusedBoxes(), ImagePeriod()
        if self.search is not None:
            self.search.reset()

    def close(self) -> None:
        if self.search is not None:
            self.search.close()
        self.network.close()

    def describe(self) -> Dict[str, str]:
        facts = {**self.network.describe(), 'observer_runs': str(self._runs.count)}
        if self._turns is not None:
            count = self._turns.count
            facts['observer_people_per_image'] = 'all' if count is None else f'{count}, in turn'
        if self.search is None:
            return {**facts, 'detector': 'given boxes only'}
        detector = self.search.detector.describe()
        return {**facts, 'detector': detector.get('name', type(self.search.detector).__name__),
                **{f'detector_{key}': value for key, value in detector.items() if key != 'name'}}

    def _take_workload(self, workload: Workload) -> None:
        network_s, self._network_s = self._network_s, 0.0
        turns, has_changed = self._turns, False
        if turns is None or turns.count is None:
            has_changed = self._runs.update(workload, network_s)
        if turns is not None and has_changed:
            turns.forget_load()  # the load by which people are observed in turn has changed
        elif turns is not None:
            turns.update(workload, network_s)
        self.network.set_workload(workload._replace(runs=self._runs.count))

    def _inside(self, boxes_px, size) -> List[np.ndarray]:
        if boxes_px is None:
            return []
        return [box for box in finite_array('boxes_px', boxes_px, (None, 4))
                if _inside_ratio(box, size) >= self._numbers.min_inside_ratio]

    def _detected(self, found: Optional[SearchResult], stamp_ns: int,
                  camera) -> List[Candidate]:
        """Return the candidates of a search, best first, and note which people it confirms."""
        search = self.search
        if search is None:
            return []
        if search.fault:
            self.faults['detector_failed'] = search.fault
        if found is None:
            return []
        for one in self._followed:
            is_confirmed = any(overlap(box, one.box_px) > self._numbers.same_person_overlap
                               for box in found.boxes_px)
            one.missed_searches = 0 if is_confirmed else one.missed_searches + found.is_whole
            one.truncation.add_detections(found.boxes_px, one.box_px, camera.height)
        if found.is_whole:  # truncated people may be seen whole again: they are begun anew
            self._followed = [one for one in self._followed
                              if not one.truncation.is_begun_anew(stamp_ns)]
        self._lost.expire(stamp_ns)
        order = np.argsort(-found.scores, kind='stable')
        return [Candidate(found.boxes_px[i], found.scores[i] < search.min_score
                          and not self._lost.may_contain(found.boxes_px[i], stamp_ns))
                for i in order]

    def _follow(self, image, camera, stamp_ns: int) -> None:
        due = followed = self._followed
        unclear = [] if self._turns is None else self._perhaps_detected(stamp_ns)
        if self._turns is not None:
            due = self._turns.due(followed, unclear)
        is_catching_up = bool(followed) and not due
        new = [] if unclear or is_catching_up else self._begin(camera, stamp_ns)
        for one in due:
            one.unconfirmed_images = max(one.unconfirmed_images - 1, 0)
        start_s = perf_counter()
        self._runner.run(image, camera, due, new, stamp_ns,
                         [one for one in followed if one not in due],
                         1 if followed else self.network.passes,
                         twice=self._runs.count == MAX_RUNS)
        self._network_s += perf_counter() - start_s
        unconfirmed = [*(one for one in followed if one.unconfirmed_images), *new]
        self._refused.add([one for one in unconfirmed
                           if one.is_weak and not self._is_sure(one)], stamp_ns)
        new = [one for one in new if one.estimate is not None
               and (self._is_sure(one) or not one.is_weak)]
        self._check_truncation(image, camera, [*followed, *new], stamp_ns)
        recognise([*followed, *new], image, stamp_ns)
        people = without_duplicates([*followed, *new], stamp_ns, self._numbers.established_ns)
        exchange_mistaken(people, stamp_ns)
        self._lost.add([one for one in followed if not one.unconfirmed_images
                        and self._is_lost(one, stamp_ns)])
        self._followed = [one for one in people if self._is_kept(one, stamp_ns)]

    def _perhaps_detected(self, stamp_ns: int) -> List[FollowedPerson]:
        """
        Return the people near unknown boxes, if one of them was not looked at in the last image.

        An unknown box may be that of a person who has moved on since. These people are looked at
        before a new person begins.
        """
        people = self._followed
        newest_ns = max((one.looked_ns for one in people), default=0)
        old = {one.number for one in people if one.looked_ns != newest_ns}
        if not old:
            return []
        unknown = [candidate.box_px for candidate in self._candidates
                   if not self._is_known(candidate, people, stamp_ns)]
        near = [one for one in people if any(are_near(one.box_px, box_px) for box_px in unknown)]
        return near if any(one.number in old for one in near) else []

    def _is_known(self, candidate: Candidate, people, stamp_ns: int) -> bool:
        """Return whether a candidate is one of the people, or was refused just before."""
        limit = (self._numbers.known_weak_overlap if candidate.is_weak
                 else self._numbers.known_person_overlap)
        return (any(overlap(candidate.box_px, one.box_px) > limit for one in people)
                or candidate.is_weak and self._refused.contain(candidate.box_px, stamp_ns))

    def _begin(self, camera, stamp_ns: int) -> List[FollowedPerson]:
        """Return people for the boxes that are no followed ones, as far as there is room."""
        followed, numbers = self._followed, self._numbers
        room = self._max_people - len(followed)
        room = min(room, numbers.max_new_per_image) if followed else room
        new: List[FollowedPerson] = []
        while self._candidates and len(new) < room:
            candidate = box, is_weak = self._candidates.pop(0)
            if self._is_known(candidate, (*followed, *new), stamp_ns):
                continue
            try:
                crop = self.network.crop_of(box, camera)
            except InputError:
                continue  # outside the valid range of the lens there is no crop
            self._number += 1
            one = FollowedPerson(
                self._number, crop, np.asarray(box, np.float64), stamp_ns, stamp_ns,
                unconfirmed_images=numbers.confirm_images if followed else 0, is_weak=is_weak)
            one.truncation.add_detection(box, camera.height)
            new.append(one)
            if is_weak and followed:
                break
        if len(followed) + len(new) >= self._max_people:
            self._candidates = []
        return new

    def _check_truncation(self, image, camera, people: List[FollowedPerson],
                          stamp_ns: int) -> None:
        due = [(one, one.estimate) for one in people if one.estimate is not None
               and one.looked_ns == stamp_ns and one.is_settled
               and one.truncation.is_due(one.estimate, stamp_ns)]
        first = [pair for pair in due if pair[0].truncation.checked_ns is None]
        # else one person in an image, so that no image takes much longer than others
        due = first or sorted(due, key=lambda pair: pair[0].truncation.checked_ns or 0)[:1]
        if due:
            crops = due[0][0].truncation.next_crops
            values = self.network.disagreement(
                image, camera, [estimate for _, estimate in due], crops)
            for (one, _), disagreement in zip(due, values):
                one.truncation.update(crops, disagreement, stamp_ns)
        count = sum(one.truncation.is_truncated for one in people)
        if count:
            self.faults['person_cut_off'] = (
                f'{count} of {len(people)} people are cut off by the upper border of the image; '
                'too little of them is seen to locate them, and they are left out')

    def _is_kept(self, one: FollowedPerson, stamp_ns: int) -> bool:
        is_sure = self._is_sure(one)
        if one.unconfirmed_images and (one.estimate is None or one.is_weak and not is_sure):
            return False
        if one.missed_searches > self.network.max_missed_searches and not is_sure:
            return False
        return not self._is_lost(one, stamp_ns)

    def _is_sure(self, one: FollowedPerson) -> bool:
        return (one.estimate is not None
                and one.estimate.presence >= self._numbers.sure_presence)

    def _is_lost(self, one: FollowedPerson, stamp_ns: int) -> bool:
        numbers = self._numbers
        if one.looked_ns != stamp_ns:
            return False  # it is not known yet
        if self._turns is not None and one.was_seen and not one.is_behind:
            return False  # one missed look may come long after the one before
        limit_ns = numbers.max_behind_ns if one.is_behind else numbers.max_unseen_ns
        return stamp_ns - one.seen_ns > limit_ns

    def _reported(self, stamp_ns: int) -> List[JointObservation]:
        """Return the observations of confirmed people; unconfirmed ones also occlude others."""
        seen = [(one, one.estimate.observation) for one in self._followed
                if one.estimate is not None and not one.truncation.is_truncated]
        observations = with_occluded_joints_hidden([observation for _, observation in seen])
        self.waiting = frozenset(one.number for one, _ in seen if one.looked_ns != stamp_ns)
        if self.waiting and self._turns is not None and self._turns.is_too_slow:
            self.faults['people_in_turn'] = (
                f'of {len(seen)} people {len(seen) - len(self.waiting)} are observed in an image, '
                'in turn, because all take too long; the others are extrapolated')
        return [replace(observation, follower=one.number)
                for (one, _), observation in zip(seen, observations)
                if not one.unconfirmed_images and one.number not in self.waiting]


def _inside_ratio(box, size) -> float:
    """Return the share of a box (4,) that lies in an image of ``size`` (width, height)."""
    inside = np.minimum(box[2:], size) - np.maximum(box[:2], 0)
    if (inside <= 0).any() or (box[2:] <= box[:2]).any():
        return 0.0
    return float(inside.prod() / (box[2:] - box[:2]).prod())
