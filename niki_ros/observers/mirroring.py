"""
A network observes people in crops and in their mirror images.

A network errs differently in an image and in its mirror image, and the mean of both is better than
either. Where there is time, the network runs on both. Else every second crop of a person is
mirrored, and what follows in the pipeline averages over time. Left alone, the outputs would then
alternate around the mean by half the difference of both. It changes slowly, is estimated, and is
removed.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Optional, Sequence, Tuple

from niki_ros.body.rotations import length
from niki_ros.scene.person_view import PersonView
import numpy as np


@dataclass(frozen=True)
class MirrorNumbers:
    """Numbers of :class:`Alternation`."""

    # the estimate is that of the newest images alone up to this period, and is averaged over more
    # images of a slower camera, between which people accelerate
    period_s: float = 1 / 30
    max_period_s: float = 0.5  # after longer ones the estimate begins anew
    # between images that differ by more the network has confused front and back: the cosine
    # between the ways from right to left
    min_side_cosine: float = 0.6
    # where the points in the image move farther, over the width of the crop, the network wavers
    # between two people: crops are not mirrored for some time
    max_jump: float = 0.03
    max_speed_per_s: float = 1.2  # in addition
    pause_s: float = 0.5


class Output(NamedTuple):
    """The output of a network for one person in one image."""

    points: np.ndarray  # (n, 3) in axes that do not move with the crop
    is_mirrored: bool
    stamp_ns: int
    width: float  # of the crop, in the unit of the points that are positions in the image

    def jump(self, last: 'Output', others) -> float:
        """
        Return the median change of the first n points over the width of the crop.

        It is the smaller one of the changes with and without an exchange of the sides.

        :param others: (n,) index of each point's counterpart on the other side.
        """
        before = last.points[:len(others)]
        return float(min(np.median(length(self.points[:len(others)] - before)),
                         np.median(length(self.points[others] - before)))) / self.width

    def side_cosine(self, other: 'Output', sides) -> float:
        """
        Return the cosine between the ways from right to left; -1 = front and back are exchanged.

        :param sides: (2, k) indices of points at the left side, and of their counterparts.
        """
        left, right = sides
        across = [one.points[left].sum(0) - one.points[right].sum(0) for one in (self, other)]
        return float(across[0] @ across[1]
                     / max(length(across[0]) * length(across[1]), 1e-9))

    def agrees(self, other: 'Output', sides, others,
               numbers: MirrorNumbers = MirrorNumbers()) -> bool:
        """Return whether two outputs for the same image show one person from the same side."""
        return (self.side_cosine(other, sides) > numbers.min_side_cosine
                and self.jump(other, others) <= numbers.max_jump)

    def change(self, last: 'Output', sides, others) -> float:
        """Return by how much the person has turned and moved since an image before."""
        return (1.0 - self.side_cosine(last, sides)) / 2 + self.jump(last, others)


@dataclass(frozen=True)
class Alternation:
    """The estimate of half the difference between mirrored and other outputs for one person."""

    half: Optional[np.ndarray] = None  # (n, 3) mirrored minus other points, over 2
    before: Tuple[Output, ...] = ()  # of the last two images, newest first
    pause_until_ns: int = 0

    @property
    def next_is_mirrored(self) -> bool:
        """Return whether the next crop is to be mirrored."""
        now = self.before[0]
        return not now.is_mirrored and now.stamp_ns >= self.pause_until_ns

    def step(self, now: Output, sides: np.ndarray, others: Sequence[int],
             numbers: MirrorNumbers = MirrorNumbers()) -> Tuple[np.ndarray, 'Alternation']:
        """
        Return the points (n, 3) without their alternation, and the estimate for the next image.

        Of three outputs, the first and the last one are interpolated to the time of the second:
        while motion is steady, the result differs from it by twice the half.

        :param sides: (2, k) indices of points at the left side, and of their counterparts.
        :param others: (n,) indices of the counterparts of the first n points, which are positions
            in the image.
        """
        before = tuple(one for one in self.before if one.stamp_ns < now.stamp_ns)
        pause_ns = self.pause_until_ns
        if before and _jumps(now, before[0], others, numbers):
            pause_ns, before = now.stamp_ns + round(numbers.pause_s * 1e9), ()
        if not (before and _continues(now, before[0], sides, numbers)):
            return now.points, Alternation(self.half, (now,), pause_ns)
        sign, half = 1.0 if now.is_mirrored else -1.0, self.half
        if len(before) == 2 and now.is_mirrored == before[1].is_mirrored:
            span_ns = now.stamp_ns - before[1].stamp_ns
            share = (before[0].stamp_ns - before[1].stamp_ns) / span_ns
            between = share * now.points + (1 - share) * before[1].points
            found = sign / 2 * (between - before[0].points)
            weight = min(1.0, (2e9 * numbers.period_s / span_ns) ** 2)
            half = found if half is None else half + weight * (found - half)
        steady = now.points if half is None else now.points - sign * half
        return steady, Alternation(half, (now, before[0]), pause_ns)


def _jumps(now: Output, last: Output, others, numbers: MirrorNumbers) -> bool:
    passed_s = 1e-9 * (now.stamp_ns - last.stamp_ns)
    return now.jump(last, others) > numbers.max_jump + numbers.max_speed_per_s * passed_s


def _continues(now: Output, last: Output, sides, numbers: MirrorNumbers) -> bool:
    if (now.is_mirrored == last.is_mirrored
            or now.stamp_ns - last.stamp_ns > numbers.max_period_s * 1e9):
        return False
    return now.side_cosine(last, sides) > numbers.min_side_cosine


@dataclass(frozen=True)
class FollowedView(PersonView):
    """The view of a person who is followed."""

    is_mirrored: bool = False  # where the network does not run on both
    alternation: Alternation = field(default_factory=Alternation)
    whole_width: float = 0.0  # when the legs were last seen; 0 = never

    @classmethod
    def after(cls, view: PersonView, alternation: Alternation) -> 'FollowedView':
        """Return the view that follows an output."""
        return cls(view.camera_from_view, view.camera_from_upright, view.width,
                   alternation.next_is_mirrored, alternation)
