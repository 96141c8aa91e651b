"""A tracked person: id, clock, stages, and the last sighting."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Callable, List, Optional, Sequence

from niki_ros.body.body import Body
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import length, rotmat_from_rotvec
from niki_ros.body.skeleton import Skeleton
from niki_ros.common.median import median
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import ImageContext, PersonFrame
from niki_ros.people.stages.stage import Stage
from niki_ros.scene.image_rotation import ImageRotation
import numpy as np

# how long a person who waits for the next observation moves on, and stays
_MAX_EXTRAPOLATED_S, _MAX_WAIT_S = 0.25, 1.0
# a person out of sight slows down with this time constant, from walking speed at most
_VELOCITY_DECAY_S, _MAX_COAST_M_S = 0.4, 1.5


@dataclass(frozen=True)
class Sighting:
    """Place and time of the last observation of a person."""

    stamp_ns: int
    box_px: np.ndarray  # (4,) x0, y0, x1, y1
    root_m: Optional[np.ndarray]  # (3,) pelvis, optical frame
    root_velocity_m_s: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def predicted_root_m(self, stamp_ns: int) -> Optional[np.ndarray]:
        """Return the pelvis (3,) at ``stamp_ns``, extrapolated with a velocity that decays."""
        if self.root_m is None:
            return None
        gap_s = (stamp_ns - self.stamp_ns) * 1e-9
        speed_m_s = float(length(self.root_velocity_m_s))
        velocity_m_s = self.root_velocity_m_s * min(1.0, _MAX_COAST_M_S / max(speed_m_s, 1e-9))
        decay_s = _VELOCITY_DECAY_S
        return self.root_m + velocity_m_s * decay_s * (1 - np.exp(-gap_s / decay_s))

    def rotated(self, rotation: ImageRotation) -> Sighting:
        """Return this sighting in axes and pixels of a rotated image."""
        rotmat = rotation.upright_from_camera
        root_m = None if self.root_m is None else rotmat @ self.root_m
        return Sighting(self.stamp_ns, rotation.boxes(self.box_px[None])[0], root_m,
                        rotmat @ self.root_velocity_m_s)


class Person:
    """One person over time; owns the stages, the clock and all state of this person."""

    def __init__(self, make_stages: Callable[[], List[Stage]], sighting: Sighting):
        self.id = 0  # until :meth:`confirm`; then the person is published
        self.sighting = sighting  # the last one that no stage rejected
        self.seen_s = 0.0  # time for which the person has been observed, summed up
        self.stages, self._make_stages = make_stages(), make_stages
        self.last_frame: Optional[PersonFrame] = None  # that passed all stages
        self.has_body = False  # the last frame passed all stages
        self.steadiness = Steadiness()

    def count_observation(self, observation: JointObservation, stamp_ns: int) -> None:
        """Count an observation that was associated with this person."""
        self.seen_s += self.steadiness.add(observation, stamp_ns)

    def confirm(self, person_id: int) -> None:
        """Set the id, with which the person is published."""
        self.id = person_id

    def begin(self, observation: Optional[JointObservation], context: Optional[ImageContext],
              stamp_ns: int, observed_root_m: Optional[np.ndarray] = None) -> PersonFrame:
        """Return the frame of a new image before any stage; see :class:`PersonFrame`."""
        previous = self.last_frame
        return PersonFrame(
            stamp_ns, 0.0 if previous is None else (stamp_ns - previous.stamp_ns) * 1e-9, context,
            observation, observed_root_m, (stamp_ns - self.sighting.stamp_ns) * 1e-9, self.seen_s,
            self.sighting.predicted_root_m(stamp_ns), previous,
            previous_observation=None if previous is None else previous.previous_observation)

    def complete(self, frame: PersonFrame) -> None:
        """Remember a frame that has passed all stages; the clock goes on."""
        self.last_frame, self.has_body = frame.completed(), True
        if frame.observation is not None and frame.root_m is not None:
            self.sighting = Sighting(frame.stamp_ns, frame.observation.box_px, frame.root_m,
                                     frame.root_velocity_m_s)

    def rotate(self, rotation: ImageRotation) -> None:
        """Keep id and place in images that are rotated; all stages are made anew."""
        self.sighting = self.sighting.rotated(rotation)
        self.stages = self._make_stages()
        self.last_frame, self.has_body = None, False
        self.steadiness.restart()

    def extrapolated_body(self, stamp_ns: int, skeleton: Skeleton) -> Optional[Body]:
        """
        Return the body at a stamp at which the person is in view and was not observed.

        It is the last one, moved on at its velocity, with the same confidence and status. Nothing
        of the person changes. None after a frame without a body, or too long a time.
        """
        frame = self.last_frame
        if frame is None or not self.has_body:
            return None
        dt_s = (stamp_ns - frame.stamp_ns) * 1e-9
        if not 0 <= dt_s <= _MAX_WAIT_S:
            return None
        dt_s = min(dt_s, _MAX_EXTRAPOLATED_S)
        turned = rotmat_from_rotvec(frame.angular_velocity_rad_s * dt_s)
        return self.body(replace(
            frame, stamp_ns=stamp_ns, observation=None, rotmat=frame.rotmat @ turned,
            root_m=frame.root_m + frame.root_velocity_m_s * dt_s), skeleton)

    def body(self, frame: PersonFrame, skeleton: Skeleton) -> Body:
        """Return the published body of a completed frame."""
        joints_m, _ = forward_kinematics(frame.rotmat, skeleton.offsets(frame.betas))
        keypoints_px = (np.full((29, 2), np.nan) if frame.observation is None
                        else frame.observation.keypoints_px)
        return Body(
            id=self.id, stamp_ns=frame.stamp_ns, rotmat=frame.rotmat, betas=frame.betas.copy(),
            root_m=frame.root_m, joints_m=joints_m + frame.root_m, confidence=frame.confidence,
            status=frame.status, angular_velocity_rad_s=frame.angular_velocity_rad_s,
            root_velocity_m_s=frame.root_velocity_m_s, keypoints_px=keypoints_px,
            root_source=frame.root_source)


def run_stages(people: Sequence[Person], frames: Sequence[PersonFrame],
                timed=lambda name: nullcontext()) -> List[Optional[PersonFrame]]:
    """
    Return the frames after all stages; None for a person without a body in this image.

    All people pass a stage together, so that a graph runs once for all of them. ``timed`` returns
    the context in which a stage runs, by the name under which its time is reported.
    """
    done: List[Optional[PersonFrame]] = list(frames)
    for position in range(max((len(person.stages) for person in people), default=0)):
        going = {i: frame for i, frame in enumerate(done) if frame is not None}
        if not going:
            break
        stages = [people[i].stages[position] for i in going]
        with timed(stages[0].timed_as):
            stepped = stages[0].step_people(stages, list(going.values()))
        for i, after in zip(going, stepped):
            done[i] = after
    for person, frame in zip(people, done):
        person.has_body = False
        if frame is not None:
            person.complete(frame)
    return done


class Steadiness:
    """Counts images in a row in which an observed shape stays the same."""

    # largest change of the shape between two images, over the size of the box: a constant, and a
    # share for each second between them. Walking people stay below it, false detections of
    # furniture do not.
    MAX_CHANGE_RATIO, MAX_CHANGE_HZ = 0.008, 0.4
    MAX_GAP_S = 1.0  # in a longer gap the person may have been away

    def __init__(self):
        self.frame_count = 0  # images in a row in which the shape of the keypoints stayed the same
        self.restart()

    def restart(self) -> None:
        self._last: Optional[JointObservation] = None
        self._last_ns = 0

    @property
    def follower(self) -> Optional[int]:
        """Return the tracked crop that the last observation comes from; None = no such crop."""
        return None if self._last is None else self._last.follower

    def is_followed_in(self, observation: JointObservation) -> bool:
        """Return whether this and the last observation come from the same tracked crop."""
        return self.follower is not None and observation.follower == self.follower

    def add(self, observation: JointObservation, stamp_ns: int) -> float:
        """Add an observation; return the time (s) for which the person was in view since."""
        seen_s = 0.0
        if self._last is None:
            self.frame_count = 1
        else:
            dt_s = (stamp_ns - self._last_ns) * 1e-9
            limit = self.MAX_CHANGE_RATIO + self.MAX_CHANGE_HZ * dt_s
            is_steady = shape_change_ratio(self._last, observation) <= limit
            self.frame_count = self.frame_count + 1 if is_steady else 1
            seen_s = dt_s if dt_s <= self.MAX_GAP_S else 0.0
        self._last, self._last_ns = observation, stamp_ns
        return seen_s


def shape_change_ratio(before: JointObservation, now: JointObservation) -> float:
    """Return the median motion of keypoints against their common motion, over the body's size."""
    moved_px = now.keypoints_px[:24] - before.keypoints_px[:24]
    moved_px = moved_px[np.isfinite(moved_px).all(1)]
    if not len(moved_px):
        return np.inf
    size_px = max(float((now.box_px[2:] - now.box_px[:2]).max()), 1.0)
    apart_px = length(moved_px - median(moved_px))
    return float(median(apart_px)) / size_px
