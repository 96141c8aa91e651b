"""Marks limb joints as hidden when they move faster than a body can."""

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_ros.common.replace import replace
from niki_ros.people.person_frame import PersonFrame
from niki_ros.people.stages.stage import Stage
import numpy as np

CHECKED_JOINTS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in (
    'knee', 'ankle', 'foot', 'big_toe', 'elbow', 'wrist', 'hand', 'middle_finger')])


@dataclass(frozen=True)
class LimbJumpNumbers:
    """Numbers of :class:`RejectLimbJumps`."""

    max_speed_m_s: float = 8.0  # of a joint relative to the pelvis
    noise_m: float = 0.12  # of the measurement of a joint
    drift_m_s: float = 0.5  # speed of a joint while it is rejected
    well_seen_sigma_200mm: float = 0.6
    max_rejection_well_seen_s: float = 0.15  # then the new place is accepted
    max_rejection_s: float = 1.0  # the same for joints that are not well seen


class RejectLimbJumps(Stage):
    """
    Sets sigma to 1 for limb joints that have jumped.

    A front end that loses a limb places it elsewhere long before it reports the limb as hidden.
    """

    Numbers = LimbJumpNumbers
    timed_as = 'lift'

    def __init__(self, parts=None, numbers=None):
        super().__init__(parts, numbers)
        self._accepted_m: Optional[np.ndarray] = None
        self._since_s = np.zeros(len(CHECKED_JOINTS))

    def step(self, frame: PersonFrame) -> PersonFrame:
        # the limbs of a corrected observation cannot be compared with the last ones
        if frame.observation is None or frame.is_front_back_corrected:
            return frame
        return replace(frame, observation=self.check(frame.observation, frame.dt_s))

    def check(self, observation: JointObservation, dt_s: float) -> JointObservation:
        """Return the observation with sigma 1 for joints that jumped; ``dt_s`` since the last."""
        numbers, joints_m = self.numbers, np.asarray(observation.joints_m)[CHECKED_JOINTS]
        if self._accepted_m is None or dt_s > numbers.max_rejection_s:
            self._accepted_m, self._since_s = joints_m.copy(), np.zeros(len(CHECKED_JOINTS))
            return observation
        self._since_s = self._since_s + dt_s
        apart_m = np.linalg.norm(joints_m - self._accepted_m, axis=1)
        reach_m = (numbers.noise_m + numbers.max_speed_m_s * dt_s
                   + numbers.drift_m_s * self._since_s)
        sigma = np.asarray(observation.sigma_200mm)[CHECKED_JOINTS]
        well_seen = sigma < numbers.well_seen_sigma_200mm
        max_s = np.where(well_seen, numbers.max_rejection_well_seen_s, numbers.max_rejection_s)
        hidden = observation.hidden[CHECKED_JOINTS]
        jumped = (apart_m > reach_m) & (self._since_s <= max_s) & ~hidden
        accepted = ~jumped & ~hidden
        self._accepted_m[accepted] = joints_m[accepted]
        self._since_s[accepted] = 0.0
        return observation if not jumped.any() else _hidden(observation, CHECKED_JOINTS[jumped])


def _hidden(observation: JointObservation, joints) -> JointObservation:
    def changed(values, value):
        values = np.array(values)
        values[joints] = value
        return values
    unlifted = observation.unlifted_sigma_200mm
    return replace(
        observation, sigma_200mm=changed(observation.sigma_200mm, 1.0),
        keypoint_sigma_px=changed(observation.keypoint_sigma_px, np.inf),
        unlifted_sigma_200mm=None if unlifted is None else changed(unlifted, 1.0))
