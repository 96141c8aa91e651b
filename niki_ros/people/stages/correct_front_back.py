"""
Corrects observations that confuse front and back.

A body from behind looks like its mirror image from the front: left and right are exchanged, and
the depth changes its sign. Front ends switch from one interpretation to the other faster than
people turn, with full confidence. Some exchange the names only, as of people who bend forward.
"""

from dataclasses import dataclass
from typing import Any, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import MIRROR_29
from niki_ros.body.trunk_frame import trunk_left
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np

_MIRROR = list(MIRROR_29)


@dataclass(frozen=True)
class FrontBackNumbers:
    """Numbers of :class:`CorrectFrontBack`; cosines are to the remembered direction."""

    accept_after_s: float = 1.0  # a interpretation that lasts for this time is accepted
    start_s: float = 0.3  # first interpretations of a track are averaged, none is corrected
    max_turned_cos: float = 0.2  # a interpretation below this contradicts the remembered direction
    min_gain_cos: float = 0.6  # by which the other interpretation must be nearer
    seen_s: float = 0.1  # time constant of the remembered direction
    corrected_s: float = 1.0  # the same while interpretations are corrected


# sigma of the joints of another interpretation, whose depth is uncertain (error on the Pose2Sim
# trial: 220-350 mm when mirrored, 167 mm when exchanged, 410-640 mm uncorrected)
_MIRRORED_SIGMA_200MM, _EXCHANGED_SIGMA_200MM = 0.6, 0.45


def mirrored(observation: JointObservation) -> JointObservation:
    """Return the observation with left and right exchanged and the depth negated."""
    return _renamed(observation, -1.0, _MIRRORED_SIGMA_200MM)


def exchanged(observation: JointObservation) -> JointObservation:
    """Return the observation with the names of left and right exchanged."""
    return _renamed(observation, 1.0, _EXCHANGED_SIGMA_200MM)


def _renamed(observation, depth_sign, sigma_200mm) -> JointObservation:
    joints = observation.joints_m[_MIRROR] * np.array([1, 1, depth_sign], np.float32)
    points = observation.keypoint_rays
    if points is not None:
        points = points.mirrored(depth_sign)
    return replace(
        observation, joints_m=joints - joints[:1],
        sigma_200mm=np.maximum(observation.sigma_200mm[_MIRROR], sigma_200mm),
        keypoints_px=observation.keypoints_px[_MIRROR],
        keypoint_sigma_px=observation.keypoint_sigma_px[_MIRROR], twist_cos_sin=None,
        keypoint_rays=points, unlifted_sigma_200mm=None)


class CorrectFrontBack(Stage):
    """Remembers which way a person faces, and corrects observations that say the opposite."""

    Numbers = FrontBackNumbers
    timed_as = 'track'

    def __init__(self, parts=None, numbers=None):
        super().__init__(parts, numbers)
        self._left: Any = None
        self._joints_m: Any = None
        self._interpretation: Any = None
        self._against_s = self._age_s = 0.0

    def step(self, frame: PersonFrame) -> PersonFrame:
        if frame.observation is None:
            return frame
        corrected = self.correct(frame.observation, frame.dt_s)
        return replace(frame, observation=corrected,
                       is_front_back_corrected=corrected is not frame.observation)

    def correct(self, observation: JointObservation, dt_s: float) -> JointObservation:
        """Return the observation, or the interpretation that fits the known direction."""
        numbers, left = self.numbers, trunk_left(observation.joints_m)
        if self._left is None or dt_s > numbers.accept_after_s:
            self._left, self._against_s, self._age_s = left, 0.0, 0.0
            self._joints_m = observation.joints_m
            return observation
        self._age_s += dt_s
        if self._age_s < numbers.start_s:
            self._remember(left, observation, dt_s / max(self._age_s, 1e-6))
            return observation
        if left @ self._left < numbers.max_turned_cos:
            corrected = self._corrected(left, observation, dt_s)
            if corrected is not None:
                return corrected
        self._against_s, self._interpretation = 0.0, None
        self._remember(left, observation, dt_s / numbers.seen_s)
        return observation

    def _corrected(self, left, observation, dt_s) -> Optional[JointObservation]:
        """Return the other interpretation; None where it is no better, or this one has lasted."""
        # the kind of mistake shows when it begins; later the remembered joints are guesses
        interpretation = self._interpretation or self._nearer(observation, (mirrored, exchanged))
        other = interpretation(observation)
        other_left = trunk_left(other.joints_m)
        if (other_left - left) @ self._left <= self.numbers.min_gain_cos:
            return None
        self._against_s += dt_s
        if self._against_s > self.numbers.accept_after_s:
            self._left = left
            return None
        self._interpretation = interpretation
        self._remember(other_left, other, dt_s / self.numbers.corrected_s)
        return other

    def _nearer(self, observation, interpretations):
        """Return the interpretation with the joints nearest to those of the frame before."""
        return min(interpretations, key=lambda apply: float(
            np.linalg.norm(apply(observation).joints_m - self._joints_m, axis=1).mean()))

    def _remember(self, left, observation, weight: float) -> None:
        """Turn the remembered direction towards ``left`` by a share ``weight`` of the way."""
        kept = self._left + min(weight, 1.0) * (left - self._left)
        self._left = kept / max(float(np.linalg.norm(kept)), 1e-6)
        self._joints_m = observation.joints_m
