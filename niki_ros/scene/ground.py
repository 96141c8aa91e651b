"""The ground plane: distance of a person by a standing foot, and locking of standing feet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
import numpy as np

# joints of the feet, their heights above the ground in standing, and their sides
_FOOT_JOINTS = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right')
                         for part in ('ankle', 'foot', 'big_toe')])
_FOOT_JOINT_HEIGHT_M = np.array([0.075, 0.026, 0.015] * 2)
_SIDE = np.array([0, 0, 0, 1, 1, 1])


@dataclass(frozen=True)
class Ground:
    """The plane of the ground in the camera's optical frame."""

    up: np.ndarray  # (3,) unit vector away from the ground
    height_m: float  # of the camera above the ground

    @classmethod
    def from_transform(cls, camera_from_ground, origin_m) -> Ground:
        """
        Return the plane z = 0 of a frame such as base_footprint.

        :param camera_from_ground: (3, 3) rotation to the camera's optical axes.
        :param origin_m: (3,) of that frame in the camera's optical frame.
        :raises InputError: when a value is not finite, or the camera is below the ground.
        """
        rotmat = np.asarray(camera_from_ground, dtype=np.float64)
        origin = np.asarray(origin_m, dtype=np.float64)
        if not np.isfinite(rotmat).all() or not np.isfinite(origin).all():
            raise InputError('the transform to the ground has values that are not finite')
        up = rotmat[:, 2] / max(float(np.linalg.norm(rotmat[:, 2])), 1e-9)
        height = float(-up @ origin)
        if height <= 0.05:
            raise InputError(f'the camera is {height:.2f} m above the ground frame; expected more '
                             'than 0.05 m with z of that frame up')
        return cls(up, height)

    def heights(self, points_m) -> np.ndarray:
        """Return the heights (...) of points (..., 3) above the ground, metres."""
        return np.asarray(points_m) @ self.up + self.height_m


@dataclass(frozen=True)
class GroundDistanceNumbers:
    """Numbers of :func:`ground_z_offset_m`."""

    foot_error_m: float = 0.03  # expected error of a foot's position over a second of images
    size_error_ratio: float = 0.05  # expected error of a distance that is measured by size
    max_log_ratio: float = 0.25  # of the two distances; beyond, the foot is not on this ground


def ground_z_offset_m(ground: Ground, joints_m, hidden,
                      numbers: GroundDistanceNumbers = GroundDistanceNumbers()) -> Optional[float]:
    """
    Return how far to move the body along the camera's z axis, metres, so that a foot stands.

    The lowest foot stands where the ray through it meets the plane. That distance and the one by
    size are weighted by their errors: a low camera measures the distance of a foot badly.

    :param joints_m: (29, 3), optical frame, consistent with their pixels.
    :param hidden: (29,) bool, True where not seen.
    :return: None where no foot is seen, or the lowest one cannot stand.
    """
    points = np.asarray(joints_m, dtype=np.float64)[_FOOT_JOINTS]
    seen = ~np.asarray(hidden)[_FOOT_JOINTS]
    if not seen.any() or (points[:, 2] <= 0.1).any():
        return None
    above = np.where(seen, ground.heights(points) - _FOOT_JOINT_HEIGHT_M, np.inf)
    lowest = int(np.argmin(above))
    point = points[lowest]
    descent = -(point @ ground.up) / point[2]
    camera_height = ground.height_m - _FOOT_JOINT_HEIGHT_M[lowest]
    if descent <= 0.02 or camera_height <= 0.05:
        return None
    log_ratio = np.log(camera_height / descent / point[2])
    if abs(log_ratio) > numbers.max_log_ratio:
        return None
    weight = 1 / (numbers.foot_error_m / camera_height)**2
    share = weight / (weight + 1 / numbers.size_error_ratio**2)
    return float(point[2] * (np.exp(share * log_ratio) - 1))


@dataclass(frozen=True)
class FootLockNumbers:
    """Numbers of :class:`FootLock`."""

    # the lowest foot is put on the ground up to the first height, and left alone from the second
    # on: a person who jumps or climbs is higher
    lift_m: Tuple[float, float] = (0.12, 0.24)
    standing_height_m: float = 0.03  # a standing foot is less than this above the lowest one
    standing_speed_m_s: float = 0.35  # and slower than this
    hold_ratio: float = 0.8  # share of a standing foot's motion that is taken back
    release_s: float = 0.7  # time constant with which the place of a standing foot follows it
    max_slip_m: float = 0.10  # a foot this far from its place stands at another place
    max_gap_s: float = 0.5  # after a longer time between two images no foot has a place


class FootLock:
    """Keeps the standing feet of one person on the ground and in place."""

    def __init__(self, numbers: FootLockNumbers = FootLockNumbers()):
        self._numbers = numbers
        self._places_m: List[Optional[np.ndarray]] = [None, None]
        self._before_m: Optional[np.ndarray] = None

    def correction_m(self, ground: Ground, joints_m, hidden, dt_s: float) -> np.ndarray:
        """Return the translation (3,) of a body with joints (29, 3), metres, optical frame."""
        points = np.asarray(joints_m, dtype=np.float64)[_FOOT_JOINTS]
        above = ground.heights(points) - _FOOT_JOINT_HEIGHT_M
        before, self._before_m = self._before_m, points
        lift = self._lift(ground, above)
        if before is None or not 0 < dt_s < self._numbers.max_gap_s:
            self._places_m = [None, None]
            return lift
        speed = np.linalg.norm(points - before, axis=1) / dt_s
        hidden = np.asarray(hidden)[_FOOT_JOINTS]
        moves = [move for side in (0, 1) if (move := self._move_back(
            side, points, above, speed, hidden, dt_s)) is not None]
        if not moves:
            return lift
        slide = np.mean(moves, axis=0)
        return lift + self._numbers.hold_ratio * (slide - (slide @ ground.up) * ground.up)

    def _lift(self, ground: Ground, above) -> np.ndarray:
        """Return the translation (3,) that puts the lowest foot on the ground where it is near."""
        lowest = float(above.min())
        near, far = self._numbers.lift_m
        share = np.clip((far - abs(lowest)) / (far - near), 0.0, 1.0)
        return -share * lowest * ground.up

    def _move_back(self, side, points, above, speed, hidden, dt_s) -> Optional[np.ndarray]:
        """Return the way (3,) of a foot back to its place, None where it does not stand."""
        numbers, seen = self._numbers, (_SIDE == side) & ~hidden
        stands = (seen.any() and above[seen].min() < above.min() + numbers.standing_height_m
                  and speed[seen].min() < numbers.standing_speed_m_s)
        if not stands:
            self._places_m[side] = None
            return None
        foot = points[_SIDE == side].mean(axis=0)
        place = self._places_m[side]
        if place is None or np.linalg.norm(foot - place) > numbers.max_slip_m:
            place = foot
        place = place + min(dt_s / numbers.release_s, 1.0) * (foot - place)
        self._places_m[side] = place
        return place - foot
