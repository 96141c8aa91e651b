"""
Observes people in turn where the machine cannot observe all of them in every image.

Each image then takes no longer than the time to the next one, so that none is skipped. The people
who are not observed in an image are extrapolated by their motion.

After an image that took long the next ones begin late. They stay late, because the next image
arrives, which takes CPU time, while the network runs. One image is then processed without it.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import List, Optional, Sequence, Tuple

from niki_ros.common.settings import ObserverConfig
from niki_ros.images.boxes import overlap
from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.load_window import LoadWindow
from niki_ros.observers.person_network import Workload

_PAIR = 2  # people of a group are observed together by two at least


@dataclass(frozen=True)
class TurnNumbers:
    """Numbers of :class:`Turns`; times are by the stamps of the images."""

    # what a person takes in all, over what the network takes for one: filters, lifter and solver;
    # until it has been measured by a change of ``count``
    person_ratio: float = 1.6
    max_wait_ns: int = 200_000_000  # everybody is observed at least so often
    # one more is observed again once that has fitted into this share of the load that is allowed,
    # for this time, and not sooner than this after as many were too slow
    more_ratio: float = 0.92
    more_after_ns: int = 1_000_000_000
    retry_after_ns: int = 10_000_000_000
    # an image that has waited for this share of the time between two images is not observed
    catch_up_ratio: float = 0.5
    # where people have left, all are observed again this time after there were too many
    fewer_after_ns: int = 2_000_000_000


class Turns:
    """
    Decides who is observed in each image, by what the images before it took.

    :param max_load: time that one image may take over the time between two images.
    :ivar count: followed people who are observed in an image; None = all.
    """

    def __init__(self, max_load: float = ObserverConfig.max_load,
                 numbers: TurnNumbers = TurnNumbers()):
        self._max_load, self._numbers = max_load, numbers
        self.count: Optional[int] = None
        self._window = LoadWindow()
        self._too_slow: Optional[Tuple[int, int]] = None  # stamp, and number of people
        self._before: Optional[Tuple[int, float]] = None  # count and load before the last change
        self._person_s: Optional[float] = None  # what a person takes in all, measured
        self._least = 1  # by ``max_wait_ns``
        self._debt = 0  # people who were observed in addition to ``count``
        self._stamp_ns = 0
        self._is_late = self._is_catching_up = False  # no person is observed in the image
        self._caught_up_ns: Optional[int] = None  # stamp of the last such image
        self._is_often_late = False

    def update(self, workload: Workload, network_s: float) -> None:
        """
        Take the load of the image before.

        :param network_s: time of the network in it.
        """
        if not self._window.continues(workload.stamp_ns):
            self.forget_load()
        self._stamp_ns, period_s = workload.stamp_ns, workload.period_s
        self._is_late = (period_s is not None
                         and workload.waited_s > self._numbers.catch_up_ratio * period_s)
        if not workload.busy_s or not workload.period_s or not workload.people:
            return
        people, stamp_ns = workload.people, workload.stamp_ns
        self._least = min(people, ceil(people * workload.period_s * 1e9
                                       / self._numbers.max_wait_ns))
        if self._have_people_left(people, stamp_ns):
            self._set(None)
        if not self._is_catching_up:
            self._window.add(stamp_ns, workload.busy_s, network_s)
        load_s = self._window.load_s()
        if load_s is None:
            return
        now = people if self.count is None else min(self.count, people)
        limit_s, busy_s = self._max_load * workload.period_s, load_s[0]
        person_s = self._measured_s(now, *load_s)
        if busy_s > limit_s and now > self._least:
            self._set(max(self._least, min(now - 1, now + floor((limit_s - busy_s) / person_s))))
            self._before, self._too_slow = (now, busy_s), (stamp_ns, people)
        elif self.count is not None and self._may_add(
                stamp_ns, busy_s + person_s < self._numbers.more_ratio * limit_s):
            self._set(now + 1 if now + 1 < people else None)
            self._before = now, busy_s

    def due(self, people: Sequence[FollowedPerson],
            unclear: Sequence[FollowedPerson] = ()) -> List[FollowedPerson]:
        """
        Return those who are observed in this image: who have waited longest, and new ones.

        People whose boxes overlap are observed in the same image, because they are compared. In an
        image that begins late no person is observed.

        :param unclear: people who are observed in any other case.
        """
        if self._catches_up(people):
            return []
        if self.count is None or self.count >= len(people):
            return list(people)
        room = max(self.count, self._least) - self._debt
        chosen: List[FollowedPerson] = []
        for group in sorted(_groups(people), key=lambda group: group[0].looked_ns):
            if not chosen and room > 0:
                chosen = group[:max(room, _PAIR)]
            elif len(chosen) + len(group) <= room:
                chosen += group
        self._debt = max(len(chosen) - room, 0)
        return [one for one in people
                if one.unconfirmed_images or one in chosen or one in unclear]

    @property
    def is_too_slow(self) -> bool:
        """Return whether the machine is too slow for all people, not only for a moment."""
        return self.count is not None or self._is_often_late

    def reset(self) -> None:
        """Observe all people until the load of a new stream is known."""
        self._set(None)
        self._too_slow = self._person_s = self._before = None
        self._caught_up_ns = None

    def _catches_up(self, people: Sequence[FollowedPerson]) -> bool:
        """Return whether no person is observed in this image; not in two in a row."""
        self._is_catching_up = bool(people) and self._is_late and not self._is_catching_up
        if self._is_catching_up:
            before_ns, self._caught_up_ns = self._caught_up_ns, self._stamp_ns
            self._is_often_late = (before_ns is not None and self._stamp_ns - before_ns
                                   < self._numbers.more_after_ns)
        return self._is_catching_up

    def _measured_s(self, count: int, busy_s: float, network_s: float) -> float:
        """Return what one more person takes, by the last change of ``count`` if there was one."""
        assumed_s = max(self._numbers.person_ratio * network_s / count, 1e-6)
        if self._before is not None and self._before[0] != count:
            before, before_s = self._before
            measured_s = (before_s - busy_s) / (before - count)
            # other load comes and goes, too
            self._person_s = min(max(measured_s, 0.1 * assumed_s), 1.5 * assumed_s)
            self._before = None
        return assumed_s if self._person_s is None else self._person_s

    def _have_people_left(self, people: int, stamp_ns: int) -> bool:
        if self.count is None or self._too_slow is None:
            return False
        slow_ns, too_many = self._too_slow
        return people < too_many and stamp_ns - slow_ns >= self._numbers.fewer_after_ns

    def _may_add(self, stamp_ns: int, fits: bool) -> bool:
        """Return whether one more person has fitted for long enough."""
        numbers = self._numbers
        return (self._window.has_fitted(fits, stamp_ns, numbers.more_after_ns)
                and (self._too_slow is None
                     or stamp_ns - self._too_slow[0] >= numbers.retry_after_ns))

    def _set(self, count: Optional[int]) -> None:
        self.count, self._debt = count, 0
        self.forget_load()

    def forget_load(self) -> None:
        """Begin new measurements."""
        self._window.clear()


def _groups(people: Sequence[FollowedPerson]) -> List[List[FollowedPerson]]:
    """Return groups of people whose boxes overlap; who has waited longest comes first in each."""
    groups: List[List[FollowedPerson]] = []
    for one in people:
        near = [group for group in groups
                if any(overlap(one.box_px, other.box_px) > 0.0 for other in group)]
        groups = [group for group in groups if group not in near]
        groups.append(sorted([one, *(other for group in near for other in group)],
                             key=lambda one: one.looked_ns))
    return groups
