"""
Joints out of sight: what is known of them is what was known before.

A front end goes on giving positions for joints behind an obstacle. Those are guesses, wrong in the
same direction frame after frame, so that no filter of independent errors removes them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_ros.body.trunk_frame import trunk_frame
import numpy as np

# without sight, confidence halves in this time; of joints hidden for a second a third is right
FADE_S = 0.5
# a joint that comes back is trusted to move as fast as a seen one after this time
_RETURN_S = 0.5
# where a joint was last is worth more than a front end's guess for so long, and nothing after
KEPT_S, FORGOTTEN_S = 1.0, 2.0


class Sight:
    """
    How well each of the 24 joints has been seen lately.

    :ivar confidence: (2, 24) last: that the joint is seen, and that it is right.
    """

    def __init__(self):
        """Nothing has been seen."""
        self.confidence = np.zeros((2, 24))
        self._seen_s = np.full(24, _RETURN_S)
        self._unseen_s = np.full(29, np.inf)

    def memory(self, hidden, dt_s: float) -> np.ndarray:
        """
        Return what the last place of each joint is worth (29,), 1 … 0; 0 where never seen.

        :param hidden: (29,) True where not seen now.
        """
        self._unseen_s = np.where(hidden, self._unseen_s + dt_s, 0.0)
        return np.clip((FORGOTTEN_S - self._unseen_s) / (FORGOTTEN_S - KEPT_S), 0.0, 1.0)

    def update(self, confidence, hidden, dt_s: float) -> np.ndarray:
        """
        Return the confidence (2, 24): as given where seen, what is left of the last one elsewhere.

        :param confidence: (2, 24) of this frame. :param hidden: (24,) True where not seen.
        """
        faded = self.confidence * 0.5 ** (dt_s / FADE_S)
        self.confidence = np.where(hidden, faded, confidence)
        return self.confidence

    def pace(self, hidden, dt_s: float) -> np.ndarray:
        """Return how fast each joint may turn (24,), 0 … 1: slowly where it was not seen."""
        self._seen_s = np.where(hidden, 0.0, np.minimum(self._seen_s + dt_s, _RETURN_S))
        return (self._seen_s / _RETURN_S) ** 2


def carried_on(observation: JointObservation, rotmat, offsets_m, rest_m,
               memory=1.0) -> JointObservation:
    """
    Put hidden joints where the body had them last, on the trunk as it stands now.

    Of a limb that has been out of sight for long, or always, the front end's guess is better:
    hidden joints of rendered people, most of them hidden from the start, 169 mm instead of 173;
    but a real arm that is hidden for 0.75 s, 257 mm instead of 53.

    :param rotmat: (24, 3, 3) local rotations of the frame before. :param offsets_m: (29, 3).
    :param rest_m: (29, 3) rest joints of this body.
    :param memory: (29,) of ``Sight.memory``.
    """
    hidden = observation.hidden
    if rotmat is None or not hidden.any():
        return observation
    joints = np.asarray(observation.joints_m, dtype=np.float64)
    before, _ = forward_kinematics(rotmat, offsets_m)
    sigma = np.asarray(observation.sigma_200mm, dtype=np.float64)
    old = trunk_frame(before[None], sigma[None], rest_m)
    new = trunk_frame(joints[None], sigma[None], rest_m)
    moved = (before - old.origin_m) @ old.camera_from_trunk[0] @ new.camera_from_trunk[0].T
    share = np.where(hidden, memory, 0.0)[:, None]
    placed = joints + share * (moved + new.origin_m - joints)
    return replace(observation, joints_m=(placed - placed[:1]).astype(np.float32))


# how much the distance may change in a second, as a share of it: nothing seen, and all seen
_DEPTH_RATE = (0.2, 3.0)


def held_distance(root_m, last_m, hidden, dt_s: float) -> np.ndarray:
    """
    Keep the root (3,) near the distance it had, on the ray it is seen along.

    The size in the image tells the distance, and of half a body that is little.

    :param last_m: (3,) root of the frame before, or None. :param hidden: (24,) joints not seen.
    """
    root_m = np.asarray(root_m, dtype=np.float64)
    if last_m is None or last_m[2] <= 0.1 or root_m[2] <= 0.1:
        return root_m
    slow, fast = _DEPTH_RATE
    most = (slow + fast * (1.0 - np.mean(hidden)) ** 4) * dt_s
    change = np.log(root_m[2] / last_m[2])
    return root_m * np.exp(np.clip(change, -most, most) - change)


_LIMBS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in (
    'knee', 'ankle', 'foot', 'big_toe', 'elbow', 'wrist', 'hand', 'middle_finger')])
# no joint moves faster against the pelvis, and none is measured better than this
_FAST_M_S, _SLACK_M = 8.0, 0.12
# a joint that was not believed may have moved on meanwhile, but not at full speed
_WANDER_M_S = 0.5
# how long another place is doubted: of a joint that is seen well, and of one that is not
_SEEN_WELL, _DOUBT_SEEN_S, _DOUBT_S = 0.6, 0.15, 1.0

# sudden change of the distance that a front end's own noise explains, and a person's speed
_STEP, _WALK_M_S = 0.12, 1.0
# time constant of the distance that is remembered for the way back from a mistake
_STEADY_S = 1.0


class JumpGuard:
    """
    Calls limb joints hidden that have jumped further than a body can move them.

    That is how a front end that loses sight of a limb gives itself away: it puts it elsewhere
    from one frame to the next, long before it calls it hidden.
    """

    def __init__(self):
        """Believe the first frame."""
        self._place: Optional[np.ndarray] = None
        self._since_s = np.zeros(len(_LIMBS))

    def check(self, observation: JointObservation, dt_s: float) -> JointObservation:
        """Return the observation with sigma 1 for joints that jumped; ``dt_s`` since the last."""
        joints = np.asarray(observation.joints_m)[_LIMBS]
        sigma = np.asarray(observation.sigma_200mm)
        if self._place is None or dt_s > _DOUBT_S:
            self._place, self._since_s = joints.copy(), np.zeros(len(_LIMBS))
            return observation
        self._since_s = self._since_s + dt_s
        apart = np.linalg.norm(joints - self._place, axis=1)
        reach = _SLACK_M + _FAST_M_S * dt_s + _WANDER_M_S * self._since_s
        patience_s = np.where(sigma[_LIMBS] < _SEEN_WELL, _DOUBT_SEEN_S, _DOUBT_S)
        hidden = observation.hidden[_LIMBS]
        jumped = (apart > reach) & (self._since_s <= patience_s) & ~hidden
        believed = ~jumped & ~hidden
        self._place[believed] = joints[believed]
        self._since_s[believed] = 0.0
        if not jumped.any():
            return observation
        sigma = sigma.copy()
        sigma[_LIMBS[jumped]] = 1.0
        spread = np.array(observation.keypoint_sigma_px)
        spread[_LIMBS[jumped]] = np.inf
        own = observation.unlifted_sigma_200mm
        if own is not None:
            own = np.array(own)
            own[_LIMBS[jumped]] = 1.0
        return replace(observation, sigma_200mm=sigma, keypoint_sigma_px=spread,
                       unlifted_sigma_200mm=own)


class DistanceGuard:
    """
    Refuses observations in which the person is suddenly nearer or farther by a quarter.

    A front end that sees only half of a person squeezes a whole body into that half, or takes
    another person's parts; nobody moves like that. After a second it is believed.
    """

    def __init__(self):
        """Believe the first frame."""
        self._log: Optional[float] = None
        self._steady = 0.0
        self._since_s = 0.0

    def fits(self, distance_m: float, dt_s: float) -> bool:
        """Return whether the person can be at this distance, ``dt_s`` after the last call."""
        now = float(np.log(max(distance_m, 0.1)))
        self._since_s += dt_s
        if self._log is None:
            self._steady = now
        elif self._since_s <= _DOUBT_S:
            change = min(abs(now - self._log), abs(now - self._steady))
            if change > _STEP + _WALK_M_S * self._since_s / np.exp(self._log):
                return False
        self._log, self._since_s = now, 0.0
        self._steady += min(dt_s / _STEADY_S, 1.0) * (now - self._steady)
        return True
