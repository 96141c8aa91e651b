"""
People followed from image to image, each in a crop of their own; a detector finds new ones.

Where a network saw a person in one image it looks in the next, for all people in one batch. The
detector runs some times a second in addition, and never holds an image up; what it finds and
is not followed yet is looked at, up to three times, until the crop fits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.common.checks import checked_rgb, finite_array
from niki_ros.common.errors import InputError
from niki_ros.common.settings import CameraConfig, ObserverConfig
from niki_ros.images.boxes import overlap
from niki_ros.observers.covered_joints import without_covered_joints
from niki_ros.observers.cut_off import CutOff
from niki_ros.observers.network import Look, PersonNetwork
from niki_ros.observers.search import Found, Search
from niki_ros.scene.camera import Camera
from niki_ros.scene.duplicates import is_same_person
import numpy as np

MIN_PRESENT = 0.5
"""Below this there is no person in a crop."""
SURELY_PRESENT = 0.9
"""
From this on a person is there whatever the detector says.

What the network takes for a person in 46 pictures without people stays below 0.8; of people who
walk by at 80 pixels' height 95 % are above 0.92.
"""
MAX_GAP_NS = 10_000_000_000
"""A longer pause than this is a new stream: where people were says nothing any more."""

# who is not seen is looked for at the same place for so long
_LOST_NS = 250_000_000
# and near that place detections with a low score count for so long
_MISSED_NS = 3_000_000_000
# a person moves by less than so many of their sizes in a second
_SIZES_PER_S = 2.0
# new people looked at in one image while others are followed: three looks each
_NEW_AT_ONCE = 2
# who is found while others are followed is reported when seen in so many images in a row: a crop
# that shows two people settles on one of them in the next image
_DOUBT = 3
# the camera's period is told from so many gaps, and told so often
_GAPS, _TELL_NS = 10, 5_000_000_000
# a detector's box and a person's share at least this much (IoU)
_SAME_BOX = 0.3
# a box that shares more with a person who is followed is theirs; with less it can be that of
# another one in front of them
_KNOWN_BOX = 0.45
# what is left of neighbours around a person's box, in shares of it
_OWN_ROOM = 0.04
# so much of a box that is given must be inside the image
_INSIDE = 0.2


@dataclass
class _Followed:
    """
    One person who is followed.

    :ivar number: of this follower. :ivar box_px: (4,) where they were last.
    :ivar since_ns: when they were found. :ivar seen_ns: when they were seen last.
    :ivar look: of this image, None where not seen.
    :ivar doubt: images in which they must be seen before they are reported.
    :ivar moved: share of the box that is not where it was in the image before.
    :ivar unconfirmed: searches in a row that have not found them.
    :ivar cut_off: whether the border of the image leaves enough of them.
    :ivar alone: others are painted over where they are looked at.
    """

    number: int
    place: Any
    box_px: np.ndarray
    since_ns: int
    seen_ns: int
    look: Optional[Look] = None
    doubt: int = 0
    moved: float = 0.0
    unconfirmed: int = 0
    cut_off: CutOff = field(default_factory=CutOff)
    alone: bool = False


class FollowingObserver:
    """
    The front end: find by a detector, follow by a network that looks at crops.

    :param search: finds people; None = only boxes that are given.
    :param max_people: followed at once.
    :ivar faults: what went wrong in the last image, by name.
    """

    def __init__(self, network: PersonNetwork, search: Optional[Search],
                 max_people: int = ObserverConfig.max_people,
                 fov_deg: float = CameraConfig.fov_deg):
        """Start without people."""
        self.network, self.search = network, search
        self.faults: Dict[str, str] = {}
        self._most, self._fov_deg = max_people, fov_deg
        self._followed: List[_Followed] = []
        self._lost: List[_Followed] = []
        self._waiting: List[np.ndarray] = []
        self._count = 0
        self._stamps_ns: List[int] = []
        self._told_ns: Optional[int] = None
        self._last_ns: Optional[int] = None

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera], stamp_ns: int,
                boxes_px=None) -> List[JointObservation]:
        """
        Return one observation for every person in the image.

        :param image_rgb: (H, W, 3) uint8. :param camera: of the image; None = a field of view is
            assumed.
        :param stamp_ns: of the image. Backwards, or 10 s forward, begins a new stream.
        :param boxes_px: (n, 4) x0, y0, x1, y1 of people, from another detector.
        :raises InputError: for an image or boxes of another form.
        """
        image = checked_rgb(image_rgb)
        size = image.shape[1], image.shape[0]
        camera = (camera or Camera.from_fov(*size, self._fov_deg)).resized(*size)
        self.faults = {}
        self._note_time(stamp_ns)
        self._keep_up(stamp_ns)
        boxes = self._given(boxes_px, size)
        if self.search is not None:
            boxes += self._searched(self.search, self.search.result(stamp_ns), stamp_ns, size)
        # what is left of an earlier search is found again where it was a person
        self._waiting = boxes or self._waiting
        self._follow(image, camera, stamp_ns)
        if self.search is not None:
            if not self._followed and not self._waiting:
                found = self.search.now(image, stamp_ns)
                self._waiting = self._searched(self.search, found, stamp_ns, size)
                self._follow(image, camera, stamp_ns)
            elif len(self._followed) < self._most:
                self.search.start(image, stamp_ns)
        return self._reported()

    def reset(self) -> None:
        """Forget the images before."""
        self._followed, self._lost, self._waiting, self._last_ns = [], [], [], None
        self._stamps_ns, self._told_ns = [], None
        if self.search is not None:
            self.search.reset()

    def close(self) -> None:
        """Free network and detector."""
        if self.search is not None:
            self.search.close()
        self.network.close()

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        facts = self.network.describe()
        if self.search is None:
            return {**facts, 'detector': 'given boxes only'}
        about = self.search.detector.describe()
        return {**facts, 'detector': about.get('name', type(self.search.detector).__name__),
                **{f'detector_{key}': value for key, value in about.items() if key != 'name'}}

    def _note_time(self, stamp_ns: int) -> None:
        if self._last_ns is not None and not 0 <= stamp_ns - self._last_ns <= MAX_GAP_NS:
            self.reset()
        self._last_ns = stamp_ns

    def _keep_up(self, stamp_ns: int) -> None:
        """Tell the network every now and then how fast images come and how many people are in."""
        self._stamps_ns = [*self._stamps_ns[-_GAPS:], stamp_ns]
        due = self._told_ns is None or stamp_ns - self._told_ns >= _TELL_NS
        if len(self._stamps_ns) > _GAPS and due:
            self._told_ns = stamp_ns
            # images that are left out make gaps longer, never shorter
            period_s = float(np.percentile(np.diff(self._stamps_ns), 25)) * 1e-9
            self.network.keep_up(period_s, len(self._followed))

    def _given(self, boxes_px, size) -> List[np.ndarray]:
        """Return those of the given boxes that lie in the image."""
        if boxes_px is None:
            return []
        return [box for box in finite_array('boxes_px', boxes_px, (None, 4))
                if _shown(box, size) >= _INSIDE]

    def _searched(self, search: Search, found: Optional[Found], stamp_ns: int, size) -> list:
        """Return the boxes of a search, best first; note who was found again."""
        if search.fault:
            self.faults['detector_failed'] = search.fault
        if found is None:
            return []
        for one in self._followed:
            again = any(overlap(box, one.box_px) > _SAME_BOX for box in found.boxes_px)
            one.unconfirmed = 0 if again else one.unconfirmed + found.whole
            one.cut_off.found_among(found.boxes_px, one.box_px, size[1])
        if found.whole:  # what of them there is to be seen may have come back
            self._followed = [one for one in self._followed if not one.cut_off.is_cut]
        self._lost = [one for one in self._lost if stamp_ns - one.seen_ns <= _MISSED_NS]
        order = np.argsort(-found.scores, kind='stable')
        return [found.boxes_px[i] for i in order if found.scores[i] >= search.min_score
                or any(_is_near(found.boxes_px[i], one, stamp_ns) for one in self._lost)]

    def _follow(self, image, camera, stamp_ns: int) -> None:
        """Look at all people in one batch, and at new ones until their crops fit."""
        new = self._new(camera, stamp_ns)
        looks = self._looks(image, camera, [*self._followed, *new])
        count = len(self._followed)
        for one, look in zip(self._followed, looks[:count]):
            _take(one, look, stamp_ns)
            one.doubt = max(one.doubt - 1, 0)
        found = new = self._begun(image, camera, new, looks[count:], stamp_ns)
        for one in new:
            # beside somebody else the network may see nobody at all
            one.alone = one.look is None and _is_crowded(one, [*self._followed, *new])
        again = [one for one in new if one.alone]
        if again:
            self._begun(image, camera, again, self._looks(image, camera, again, found), stamp_ns)
        new = [one for one in new if one.look is not None]
        self._see_again(image, camera, [*self._followed, *new], stamp_ns)
        alive = [one for one in self._followed if self._is_kept(one, stamp_ns)]
        self._lost += [one for one in self._followed
                       if not one.doubt and stamp_ns - one.seen_ns > _LOST_NS]
        self._followed = _without_doubles([*alive, *new])

    def _begun(self, image, camera, new, looks, stamp_ns: int) -> List[_Followed]:
        """Look at new people until their crops fit; return all of them, those not seen too."""
        for one, look in zip(new, looks):
            _take(one, look, stamp_ns)
        for _ in range(self.network.looks - 1):
            seen = [one for one in new if one.look is not None]
            for one, look in zip(seen, self._looks(image, camera, seen, new)):
                _take(one, look, stamp_ns)
        return new

    def _looks(self, image, camera, people: List[_Followed], beside=()) -> List[Look]:
        """
        Return what the network says of people: one batch, but for those who are to be alone.

        :param beside: people who are not followed yet.
        """
        together = [one for one in people if not one.alone]
        said = dict(zip((one.number for one in together), self.network.look(
            image, camera, [one.place for one in together])))
        for one in people:
            if one.alone:
                others = [other.box_px for other in (*self._followed, *people, *beside)
                          if other.number != one.number]
                said[one.number], = self.network.look(
                    painted_over(image, one.box_px, others), camera, [one.place])
        return [said[one.number] for one in people]

    def _see_again(self, image, camera, people: List[_Followed], stamp_ns: int) -> None:
        """Look at those in other crops who may be cut off by the border of the image."""
        doubted = [(one, one.look) for one in people if one.look is not None
                   and one.cut_off.is_to_be_seen_again(one.look, stamp_ns)]
        if doubted:
            values = self.network.disagreement(image, camera, [look for _, look in doubted])
            for (one, _), value in zip(doubted, values):
                one.cut_off.note(float(value), stamp_ns)
        cut = sum(one.cut_off.is_cut for one in people)
        if cut:
            self.faults['person_cut_off'] = (
                f'{cut} of {len(people)} people are cut off by the upper border of the image, and '
                'too little of them is seen to say where they are; they are left out')

    def _reported(self) -> List[JointObservation]:
        """Return whom to report; those who are in doubt still hide the people behind them."""
        seen = [(one, one.look.observation) for one in self._followed
                if one.look is not None and not one.cut_off.is_cut]
        observations = without_covered_joints([observation for _, observation in seen])
        return [replace(observation, follower=one.number)
                for (one, _), observation in zip(seen, observations) if not one.doubt]

    def _is_kept(self, one: _Followed, stamp_ns: int) -> bool:
        """Whether to keep looking for a person; one never reported must be seen each time."""
        if one.doubt and one.look is None:
            return False
        unsure = one.look is None or one.look.present < SURELY_PRESENT
        if one.unconfirmed > self.network.patience and unsure:
            return False
        return stamp_ns - one.seen_ns <= _LOST_NS

    def _new(self, camera, stamp_ns: int) -> List[_Followed]:
        """Return people to begin with: boxes of new people, as many as there is room for."""
        room = self._most - len(self._followed)
        room = min(room, _NEW_AT_ONCE) if self._followed else room
        new: List[_Followed] = []
        while self._waiting and len(new) < room:
            box = self._waiting.pop(0)
            if any(overlap(box, one.box_px) > _KNOWN_BOX for one in (*self._followed, *new)):
                continue
            try:
                place = self.network.place_of(box, camera)
            except InputError:
                continue  # where the lens sees nothing there is no person to follow
            doubt = _DOUBT if self._followed else 0
            self._count += 1
            one = _Followed(self._count, place, np.asarray(box, np.float64), stamp_ns, stamp_ns,
                            doubt=doubt)
            one.cut_off.found(box, camera.height)
            new.append(one)
        if len(self._followed) + len(new) >= self._most:
            self._waiting = []
        return new


def _take(one: _Followed, look: Look, stamp_ns: int) -> None:
    """Note what was seen of a person; where they are not there, the place stays."""
    there = look.present >= MIN_PRESENT and np.isfinite(look.observation.box_px).all()
    one.look = look if there else None
    if there:
        box = np.asarray(look.observation.box_px, np.float64)
        one.moved = 1.0 - overlap(box, one.box_px)
        one.place, one.box_px, one.seen_ns = look.place, box, stamp_ns


def painted_over(image_rgb, mine_px, others_px) -> np.ndarray:
    """
    Return the image with the boxes of others in one colour, but for what is in the person's.

    :param mine_px: (4,) box of the person. :param others_px: boxes (4,) of the others.
    """
    height, width = image_rgb.shape[:2]
    room = _OWN_ROOM * (np.asarray(mine_px[2:]) - mine_px[:2])
    mine = _pixels([*(mine_px[:2] - room), *(mine_px[2:] + room)], width, height)
    painted = image_rgb.copy()
    colour = image_rgb[mine].reshape(-1, 3).mean(axis=0).astype(np.uint8)
    for box in others_px:
        painted[_pixels(box, width, height)] = colour
    painted[mine] = image_rgb[mine]
    return painted


def _pixels(box_px, width: int, height: int) -> tuple:
    """Return rows and columns of a box, at least one of each."""
    x0, y0, x1, y1 = (int(value) for value in box_px)
    x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
    return slice(y0, max(min(y1, height), y0 + 1)), slice(x0, max(min(x1, width), x0 + 1))


def _is_crowded(one: _Followed, people: List[_Followed]) -> bool:
    """Whether somebody else can be seen in the crop of a person."""
    middle, side = (one.box_px[:2] + one.box_px[2:]) / 2, (one.box_px[2:] - one.box_px[:2]).max()
    crop = np.concatenate([middle - side / 2, middle + side / 2])
    return any(overlap(crop, other.box_px) > 0.0 for other in people if other is not one)


def _without_doubles(people: List[_Followed]) -> List[_Followed]:
    """
    Keep one of those who have come to look at the same person.

    Whose box has moved least has been on that person; the other one has been covered, or has left.
    """
    kept: List[_Followed] = []
    for one in sorted(people, key=lambda p: (p.look is None, p.moved)):
        seen = one.look.observation if one.look else None
        others = (other.look.observation for other in kept if other.look)
        if seen is None or not any(is_same_person(seen, other) for other in others):
            kept.append(one)
    return sorted(kept, key=lambda p: p.since_ns)


def _is_near(box, lost: _Followed, stamp_ns: int) -> bool:
    """Whether a box can be that of a person who was lost."""
    size = float((lost.box_px[2:] - lost.box_px[:2]).max())
    apart = np.linalg.norm((box[:2] + box[2:] - lost.box_px[:2] - lost.box_px[2:]) / 2)
    reach = size * (0.5 + _SIZES_PER_S * (stamp_ns - lost.seen_ns) * 1e-9)
    return bool(apart <= reach and 0.4 < (box[2:] - box[:2]).max() / max(size, 1.0) < 2.5)


def _shown(box, size) -> float:
    """Return the share of a box that lies in the image."""
    inside = np.minimum(box[2:], size) - np.maximum(box[:2], 0)
    if (inside <= 0).any() or (box[2:] <= box[:2]).any():
        return 0.0
    return float(inside.prod() / (box[2:] - box[:2]).prod())
