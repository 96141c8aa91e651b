"""Which observation is which person: ids that survive an occlusion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.common.settings import TrackingConfig
from niki_ros.images.boxes import overlap, share_within
from niki_ros.scene.image_rotation import ImageRotation
import numpy as np
from scipy.optimize import linear_sum_assignment

_FORBIDDEN = 1e6
# a lost person is assumed to slow down, with this time constant, from a walk at most
_COAST_S, _COAST_M_S = 0.4, 1.5
# a box of which so much lies in the other one: a front end sees half a person as a small one
_WITHIN = 0.5
_LAST_RESORT = 5.0
# somebody who is not believed yet takes no observation that could be of somebody who is
_UNKNOWN = 2.0
# whom a front end has followed from the last image to this one is most likely the same person
_FOLLOWED = 1.5
# how much the shape in the image changes from frame to frame, as a share of its size, and per
# second: people who walk stay below, what a front end makes of furniture flickers
_FLICKER, _FLICKER_S = 0.008, 0.4
# who has been there for so long is believed however it looks
_PERSISTS_S = 1.0
# a longer gap says nothing about whether somebody was there meanwhile
_GAP_S = 1.0


@dataclass
class PersonTrack:
    """
    One person over time, ``id`` 0 until believed; ``state`` belongs to the pipeline.

    :ivar steady: frames in a row in which the shape in the image stayed itself.
    :ivar seen_s: for how long there were observations, all together.
    """

    id: int  # noqa: A003
    seen_ns: int
    box_px: np.ndarray
    root_m: Optional[np.ndarray]
    root_velocity_m_s: np.ndarray = field(default_factory=lambda: np.zeros(3))
    state: Any = None
    steady: int = 0
    seen_s: float = 0.0
    _last: Optional[JointObservation] = None
    _last_ns: int = 0

    def is_followed_in(self, observation: JointObservation) -> bool:
        """Whether a front end says that this is the person it saw last."""
        return (self._last is not None and observation.follower is not None
                and observation.follower == self._last.follower)

    def note(self, observation: JointObservation, stamp_ns: int) -> None:
        """Count an observation of this person."""
        if self._last is None:
            self.steady = 1
        else:
            dt_s = (stamp_ns - self._last_ns) * 1e-9
            still = shape_change(self._last, observation) <= _FLICKER + _FLICKER_S * dt_s
            self.steady = self.steady + 1 if still else 1
            self.seen_s += dt_s if dt_s <= _GAP_S else 0.0
        self._last, self._last_ns = observation, stamp_ns

    def turn(self, turn: ImageRotation) -> None:
        """Keep id and place in images that are turned; what was learned from others ends."""
        self.box_px = turn.boxes(self.box_px[None])[0]
        rotmat = turn.upright_from_camera
        self.root_m = None if self.root_m is None else rotmat @ self.root_m
        self.root_velocity_m_s = rotmat @ self.root_velocity_m_s
        self.state = self._last = None

    def predicted_root(self, stamp_ns: int) -> Optional[np.ndarray]:
        """Return where the root should be now: it goes on, ever slower."""
        if self.root_m is None:
            return None
        gap_s = (stamp_ns - self.seen_ns) * 1e-9
        speed = float(np.linalg.norm(self.root_velocity_m_s))
        velocity = self.root_velocity_m_s * min(1.0, _COAST_M_S / max(speed, 1e-9))
        return self.root_m + velocity * _COAST_S * (1 - np.exp(-gap_s / _COAST_S))


def shape_change(before: JointObservation, now: JointObservation) -> float:
    """Return how far joints in the image moved apart from the common way, over the body's size."""
    moved = now.keypoints_px[:24] - before.keypoints_px[:24]
    moved = moved[np.isfinite(moved).all(1)]
    if not len(moved):
        return np.inf
    size = max(float((now.box_px[2:] - now.box_px[:2]).max()), 1.0)
    return float(np.median(np.linalg.norm(moved - np.median(moved, axis=0), axis=1))) / size


class Tracker:
    """Joins observations to tracks by distance in metres and overlap in the image."""

    def __init__(self, config: TrackingConfig):
        """Start without people."""
        self.config = config
        self.tracks: List[PersonTrack] = []
        self._next_id = 1

    def update(self, observations, roots_m, stamp_ns: int):
        """
        Return pairs (track, observation or None) for everybody who is still remembered.

        :param roots_m: for each observation the root (3,) in metres, or None.
        """
        keep_ns = self.config.keep_s * 1e9
        self.tracks = [t for t in self.tracks if stamp_ns - t.seen_ns <= keep_ns]
        matched = self._matched(observations, roots_m, stamp_ns)
        for index, observation in enumerate(observations):
            if index not in matched:
                track = PersonTrack(0, stamp_ns, observation.box_px, roots_m[index])
                self.tracks.append(track)
                matched[index] = track
            matched[index].note(observation, stamp_ns)
        seen = {id(track): observations[index] for index, track in matched.items()}
        # front ends dream up people for a frame or two: those go without having been anybody
        self.tracks = [t for t in self.tracks if t.id or id(t) in seen]
        for track in self.tracks:
            others = any(other.id for other in self.tracks)
            believed = (track.steady >= self.config.confirm_frames
                        or track.seen_s >= _PERSISTS_S)
            if not track.id and (believed or not others):
                track.id = self._next_id
                self._next_id += 1
        return [(track, seen.get(id(track))) for track in self.tracks]

    def _matched(self, observations, roots_m, stamp_ns):
        """Return the track of each observation that has one: the cheapest pairs (Hungarian)."""
        if not self.tracks or not observations:
            return {}
        cost = np.array([[self._cost(track, obs, root, stamp_ns)
                          for obs, root in zip(observations, roots_m)] for track in self.tracks])
        return {int(column): self.tracks[row]
                for row, column in zip(*linear_sum_assignment(cost))
                if cost[row, column] < _FORBIDDEN}

    def forget(self):
        """Forget everybody; ids are not used again."""
        self.tracks = []

    def turn(self, turn: ImageRotation):
        """Go on in images that are turned: people stay where they are, and begin as new ones."""
        for track in self.tracks:
            track.turn(turn)

    def _cost(self, track, observation, root_m, stamp_ns):
        """Return what speaks against a pair; whom a front end follows cannot be anywhere."""
        apart = self._apart(track, observation, root_m, stamp_ns)
        if apart >= _FORBIDDEN:
            return apart
        unknown = 0.0 if track.id else _UNKNOWN
        return apart + unknown - _FOLLOWED * track.is_followed_in(observation)

    def _apart(self, track, observation, root_m, stamp_ns):
        """Metres apart over what the gap allows, plus what the boxes do not share."""
        shared = overlap(track.box_px, observation.box_px)
        predicted = track.predicted_root(stamp_ns)
        gap_s = (stamp_ns - track.seen_ns) * 1e-9
        if predicted is None or root_m is None:
            return 2.0 - shared if shared >= self.config.min_overlap else _FORBIDDEN
        # the distance from the camera is a guess, what lies across is seen: count depth a third
        difference = (np.asarray(root_m) - predicted) * (1.0, 1.0, 1 / 3)
        reach = 0.5 + self.config.max_speed_m_s * gap_s
        metres = float(np.linalg.norm(difference))
        if metres <= reach or (metres <= 2 * reach and shared >= self.config.min_overlap):
            return metres / reach + (1.0 - shared)
        # nobody else is there: better a person badly measured than another one
        within = share_within(track.box_px, observation.box_px)
        return _LAST_RESORT - within if within >= _WITHIN else _FORBIDDEN
