"""
Colours of people's clothes, which tell people apart who pass each other.

While one person is in front of another, the crops of both may come to show the one in front, and
afterwards go on with the wrong person. Nothing but their looks then says who is who.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import length
from niki_ros.body.skeleton import JOINT
import numpy as np

_CORNERS = [JOINT[f'{side}_{part}'] for part in ('shoulder', 'hip', 'knee')
            for side in ('left', 'right')]
# shares of the way from the left to the right side
_ACROSS = (0.25, 0.4, 0.5, 0.6, 0.75)
# and of the way from the shoulders to the hips, then from the hips to the knees, of each part
_ALONG = ((0.12, 0.2, 0.28), (0.42, 0.5, 0.58), (0.7, 0.76, 0.82), (1.25, 1.45, 1.65))
_WEIGHTS = np.array([
    [row * side for row in (max(1 - y, 0), 1 - abs(y - 1), max(y - 1, 0)) for side in (1 - x, x)]
    for part in _ALONG for y in part for x in _ACROSS])
"""Weights of the six corners for the points of all parts."""
_NEEDED = (_WEIGHTS.reshape(len(_ALONG), -1, len(_CORNERS)) > 0).any(axis=1)
"""(parts, 6) True for the corners of each part."""
# brightness, which changes with light and shadow, and two differences of colours
_COLOUR_AXES = np.array([[0.2, 0.2, 0.2], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0]])


@dataclass(frozen=True)
class AppearanceNumbers:
    """Numbers of :class:`Appearance`; differences are shares of the range of colours."""

    min_parts: int = 2  # seen in both, for a comparison
    memory_s: float = 1.0  # time constant with which the remembered colours follow the seen ones


class Appearance(NamedTuple):
    """Mean colours of the upper, middle and lower trunk and of the thighs."""

    colours: np.ndarray  # (parts, 3) brightness, red - green, yellow - blue; NaN where not seen

    @classmethod
    def of(cls, one: JointObservation, image_rgb: np.ndarray) -> Appearance:
        """Return the colours in an image (H, W, 3) uint8 where an observation says they are."""
        points = _WEIGHTS @ np.asarray(one.keypoints_px, dtype=np.float64)[_CORNERS]
        height, width = image_rgb.shape[:2]
        inside = ((points >= 0) & (points < (width, height))).all(axis=1)  # False for NaN
        column, row = np.where(inside, points.T, 0).astype(int)
        parts = len(_ALONG)
        colours = image_rgb[row, column].reshape(parts, -1, 3).mean(axis=1) / 255.0
        is_seen = (inside.reshape(parts, -1).all(axis=1)
                   & ~(one.hidden[_CORNERS] & _NEEDED).any(axis=1))
        return cls(np.where(is_seen[:, None], colours @ _COLOUR_AXES.T, np.nan))

    def difference(self, other: Optional[Appearance],
                   numbers: AppearanceNumbers = AppearanceNumbers()) -> float:
        """Return the mean difference of the colours seen in both; NaN where these are too few."""
        if other is None:
            return np.nan
        off = length(self.colours - other.colours)
        off = off[~np.isnan(off)]
        return float(off.mean()) if len(off) >= numbers.min_parts else np.nan

    def blended(self, newer: Appearance, gap_s: float,
                numbers: AppearanceNumbers = AppearanceNumbers()) -> Appearance:
        """Return these remembered colours after newer ones have been seen ``gap_s`` later."""
        share = 1.0 - np.exp(-gap_s / numbers.memory_s)
        blend = self.colours + share * (newer.colours - self.colours)
        blend = np.where(np.isnan(self.colours), newer.colours, blend)
        return Appearance(np.where(np.isnan(newer.colours), self.colours, blend))


@dataclass(frozen=True)
class RecognitionNumbers:
    """Numbers of :class:`Recognition`; differences are those of appearances."""

    # people whose boxes overlapped in this time may have been mistaken for each other, and what
    # they look like is not learned; the latter also holds for the time between two samples
    close_ns: int = 1_000_000_000
    sample_ns: int = 100_000_000
    min_overlap: float = 0.02  # of the boxes of people who are close, intersection over union
    # the same person from one second to the next has 0.01 to 0.06, two people 0.02 to 0.25
    min_difference: float = 0.05  # by which one of two people fits an appearance better
    exchange_images: int = 2  # in a row in which two people look like each other


_RECOGNITION = RecognitionNumbers()


@dataclass
class Recognition:
    """What one person looks like."""

    now: Optional[Appearance] = None  # in the newest image, None where not needed or not seen
    remembered: Optional[Appearance] = None
    remembered_ns: int = 0
    close_ns: Optional[int] = None  # stamp of the last image in which boxes overlapped
    exchanged_images: int = 0  # in a row in which this person looked like another one

    def is_close(self, stamp_ns: int) -> bool:
        """Return whether the person was next to another one a short time ago."""
        return self.close_ns is not None and stamp_ns - self.close_ns <= _RECOGNITION.close_ns

    def difference(self, seen: Optional[Appearance]) -> float:
        """Return how much an appearance differs from the remembered one; NaN = not known."""
        if seen is None or self.remembered is None:
            return np.nan
        return seen.difference(self.remembered)

    def remember(self, stamp_ns: int) -> None:
        """Add the appearance in the newest image to the remembered one."""
        if self.now is not None:
            gap_s = (stamp_ns - self.remembered_ns) * 1e-9
            self.remembered = (self.now if self.remembered is None
                               else self.remembered.blended(self.now, gap_s))
            self.remembered_ns = stamp_ns

    def fits_better(self, seen: Optional[Appearance], other: Recognition) -> bool:
        """Return whether an appearance is clearly that of this person and not of another one."""
        margin = other.difference(seen) - self.difference(seen)
        return bool(margin > _RECOGNITION.min_difference)  # False where it is not known
