"""Who is followed by which landmarker, and when the whole image is searched for others."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, List, Optional, Tuple

from niki_ros.core.tracking import distinct, overlap, same_person, share_within
from niki_ros.core.types import JointObservation
from niki_ros.observers.closer_look import CloserLook
import numpy as np

SEARCH_MS = 500
"""So often the whole image is searched for people who have come."""

# a person's part of the image, in heights of the person: arms and a step fit into it
_MARGIN = 0.35
_LEAST_PX = 48.0
# so much of a box may be outside the image
_INSIDE = 0.2
# who was found by a closer look is believed when seen so often in a row: furniture is not
_LOOKS = 3
# who is smaller than this share of the image's longer side is looked at from nearer: of the whole
# image MediaPipe may take a head for a small person, and go on so
_SMALL = 0.3
# boxes that share so much are of one person
_SAME = 0.3
# a small box of which so much lies in another is a limb or a head taken for somebody
_PART = 0.7

Region = Optional[Tuple[int, int, int, int]]


def _is_small(box_px, size) -> bool:
    return bool(np.ptp(np.reshape(box_px, (2, 2)), axis=0).max() < _SMALL * max(size))


def _is_part(box_px, follower, small: bool) -> bool:
    """Whether what was found in the whole image is of somebody who is looked at from nearer."""
    if follower.doubt and overlap(box_px, follower.box_px) > _SAME:
        return True
    return small and share_within(box_px, follower.box_px) > _PART


class _Follower:
    """
    A landmarker for one person; ``box_px`` is where the person was last.

    :ivar doubt: looks that must see the person before anybody is told.
    """

    def __init__(self, landmarker, box_px, whole: bool, doubt: int = 0):
        """Look at the ``whole`` image, or at the part around ``box_px``."""
        self.landmarker, self.box_px, self._whole = landmarker, np.asarray(box_px, float), whole
        self.doubt = doubt

    def region(self, size) -> Region:
        """Return the part of an image of this size (width, height) to look at; None = all."""
        if self._whole:
            return None
        low, high = self.box_px[:2], self.box_px[2:]
        side = max(float((high - low).max()), _LEAST_PX)
        half = (high - low) / 2 + _MARGIN * side
        middle = (low + high) / 2
        x0, y0 = np.clip(np.floor(middle - half), 0, np.array(size) - 1).astype(int)
        x1, y1 = np.clip(np.ceil(middle + half), 1, size).astype(int)
        return int(x0), int(y0), max(int(x1), int(x0) + 1), max(int(y1), int(y0) + 1)


class Followers:
    """
    Follows everybody with a landmarker of their own, and searches for more twice a second.

    A landmarker for several people works on one after the other, and searches the whole image in
    every frame in which there are fewer than it may follow. One for each person runs beside the
    others, the first one on the whole image if near, the others on the part with their person.

    :param make: ``make(people)`` returns a landmarker that follows so many.
    :param most: people at once. :param make_closer: makes the one that looks closer.
    """

    def __init__(self, make: Callable, most: int, make_closer: Callable):
        """Make the landmarker that searches, and one that follows."""
        self._make, self._most = make, most
        self._searcher = make(most)
        self._free = [] if most == 1 else [make(1)]
        self._made = len(self._free)
        self._spare: Optional[Future] = None
        self._followers: List[_Follower] = []
        self._searched_ms: Optional[int] = None
        self._pool = ThreadPoolExecutor(most + 1, 'niki_follow')
        self._closer = CloserLook(make_closer, self._pool)

    def observe(self, time_ms: int, cut, size, given=()) -> List[JointObservation]:
        """
        Return everybody at ``time_ms``.

        :param cut: ``cut(region)(landmarker)`` gives what one sees in that part of the image; what
            a part gives may be asked for after this call.
        :param size: width and height of the image. :param given: boxes of people, by a detector.
        """
        for one in self._closer.found():
            self._follow_nearer(one.box_px, doubt=_LOOKS)
        self._add_given(given, size)
        if self._most == 1 and not self._followers:
            seen = self._alone(cut, size)
        else:
            seen = self._everybody(time_ms, cut, size)
        if max(len(seen), len(self._followers)) < self._most:
            # beside what follows, and asked for at the next image
            self._closer.look(time_ms, cut, size, [one.box_px for one in self._followers])
        return seen

    def _everybody(self, time_ms, cut, size) -> List[JointObservation]:
        """Follow whom there is, and search when it is time to."""
        full = len(self._followers) >= self._most
        due = self._searched_ms is None or time_ms - self._searched_ms >= SEARCH_MS
        due = (due or not self._followers) and not full
        search = self._pool.submit(cut(None), self._searcher) if due else None
        seen, lost = self._follow(cut, size)
        if search is None and lost and len(self._followers) < self._most:
            search = self._pool.submit(cut(None), self._searcher)
        if search is not None:
            self._searched_ms = time_ms
            seen = self._joined(seen, distinct(search.result()), size)
        self._prepare()
        return seen

    def close(self) -> None:
        """Free all landmarkers."""
        self._pool.shutdown()
        self._closer.close()
        landmarkers = [self._searcher, *self._free, *(f.landmarker for f in self._followers)]
        if self._spare is not None:
            landmarkers.append(self._spare.result())
        for landmarker in landmarkers:
            landmarker.close()

    def _alone(self, cut, size) -> List[JointObservation]:
        """Follow one person in the whole image with the landmarker that searches, if near."""
        seen = cut(None)(self._searcher)[:1]
        if seen and _is_small(seen[0].box_px, size):
            self._start(seen[0].box_px, size)
        return seen

    def _follow(self, cut, size):
        """Return who is still there, and whether somebody is not."""
        work = [self._pool.submit(cut(one.region(size)), one.landmarker)
                for one in self._followers[1:]]
        results = [cut(one.region(size))(one.landmarker) for one in self._followers[:1]]
        results += [one.result() for one in work]
        seen: List[JointObservation] = []
        doubted: List[JointObservation] = []
        kept, lost = [], False
        for follower, found in zip(self._followers, results):
            one = found[0] if found else None
            # a follower can jump to another person, whom another one may follow already
            gone = one is None or overlap(one.box_px, follower.box_px) == 0.0
            if gone or any(same_person(one, other) for other in seen + doubted):
                self._free.append(follower.landmarker)
                lost = lost or not follower.doubt
                continue
            follower.box_px = np.asarray(one.box_px, float)
            follower.doubt = max(follower.doubt - 1, 0)
            kept.append(follower)
            (doubted if follower.doubt else seen).append(one)
        self._followers = kept
        return seen, lost

    def _joined(self, seen, found, size) -> List[JointObservation]:
        """Add those of the search who are not followed yet."""
        for one in found:
            if len(self._followers) >= self._most:  # with those whom nobody is told of yet
                break
            known = any(same_person(one, other) for other in seen)
            small = _is_small(one.box_px, size)
            if not known and not any(_is_part(one.box_px, follower, small)
                                     for follower in self._followers):
                self._start(one.box_px, size)
                seen.append(one)
        return seen

    def _add_given(self, boxes, size):
        """Follow people that somebody else has found, unless they are followed already."""
        for box in np.asarray(boxes, float).reshape(-1, 4):
            shown = np.minimum(box[2:], size) - np.maximum(box[:2], 0)
            inside = (shown > 0).all() and shown.prod() >= _INSIDE * (box[2:] - box[:2]).prod()
            if inside:
                self._follow_nearer(box)

    def _follow_nearer(self, box_px, doubt=0):
        """Begin to follow by a part of the image, unless this is somebody who is followed."""
        known = any(overlap(box_px, one.box_px) > _SAME for one in self._followers)
        if not known and len(self._followers) < self._most:
            self._followers.append(_Follower(self._landmarker(), box_px, False, doubt))

    def _start(self, box_px, size):
        """Begin to follow; the first person by the whole image, as nobody else is in the way."""
        whole = not self._followers and not _is_small(box_px, size)
        self._followers.append(_Follower(self._landmarker(), box_px, whole))

    def _landmarker(self):
        """Return a landmarker for one person; one is made ahead of time."""
        if self._free:
            return self._free.pop()
        spare, self._spare = self._spare, None
        self._made += 1
        return spare.result() if spare is not None else self._make(1)

    def _prepare(self):
        """Make another landmarker beside the work when a second person may need it."""
        if not self._free and self._spare is None and self._made < self._most and self._followers:
            self._spare = self._pool.submit(self._make, 1)
