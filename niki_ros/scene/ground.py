"""The ground: feet that stand are on it, which tells the distance and keeps feet in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
import numpy as np

# joints that touch the ground, and how far above it they are then
_SOLES = np.array([JOINT[f'{side}_{part}'] for side in ('left', 'right')
                   for part in ('ankle', 'foot', 'big_toe')])
_SOLE_M = np.array([0.075, 0.026, 0.015] * 2)
_SIDE = np.array([0, 0, 0, 1, 1, 1])
# expected error of a foot over a second of images, metres at the foot, and of the distance that
# one camera tells by the size, as a share
_FOOT_M, _SIZE_SHARE = 0.03, 0.05
# a distance that differs more than this from the one by size: no foot of this person stands there
_MOST = 0.25
# the lowest sole is put on the ground when it is as near as the first, and left alone from the
# second on: whoever jumps or climbs is higher
_LIFT_M = (0.12, 0.24)
# a foot stands that is this much higher than the lowest, and as slow as this
_STANDS_M, _STILL_M_S = 0.03, 0.35
# a standing foot is held at its place, which gives way with this time constant, so far at most
_HOLD, _YIELD_S, _SLIP_M = 0.8, 0.7, 0.10


@dataclass(frozen=True)
class Ground:
    """
    The plane of the ground in the camera's optical frame.

    :param up: (3,) unit vector away from the ground. :param height_m: of the camera above it.
    """

    up: np.ndarray
    height_m: float

    @classmethod
    def from_transform(cls, camera_from_ground, origin_m) -> Ground:
        """
        Return the plane z = 0 of a frame such as base_footprint.

        :param camera_from_ground: (3, 3) rotation. :param origin_m: (3,) of that frame; both in
            the camera's optical frame.
        :raises InputError: when they are not finite, or the camera is below the ground.
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
        """Return how far above the ground points (..., 3) are, metres."""
        return np.asarray(points_m) @ self.up + self.height_m


def ground_z_offset_m(ground: Ground, joints_m, hidden) -> Optional[float]:
    """
    How much farther (m, along the camera's axis) the body is than it was put by its size.

    The lowest foot stands on the ground: where the ray through it meets the plane is its place.
    That and the size in the image are weighed by their errors: a low camera sees a foot's distance
    badly.

    :param joints_m: (29, 3) in the optical frame, on their pixels. :param hidden: (29,).
    :return: None where no foot is seen, or the lowest one cannot stand.
    """
    points = np.asarray(joints_m, dtype=np.float64)[_SOLES]
    seen = ~np.asarray(hidden)[_SOLES]
    if not seen.any() or (points[:, 2] <= 0.1).any():
        return None
    above = np.where(seen, ground.heights(points) - _SOLE_M, np.inf)
    lowest = int(np.argmin(above))
    point = points[lowest]
    fall = -(point @ ground.up) / point[2]
    reach = ground.height_m - _SOLE_M[lowest]
    if fall <= 0.02 or reach <= 0.05:
        return None
    distance = reach / fall
    by_ground = np.log(distance / point[2])
    if abs(by_ground) > _MOST:
        return None
    weight = 1 / (_FOOT_M / reach)**2
    share = weight / (weight + 1 / _SIZE_SHARE**2)
    return float(point[2] * (np.exp(share * by_ground) - 1))


class FootLock:
    """Feet of one person that stand: they neither sink nor slide."""

    def __init__(self):
        """No foot stands."""
        self._anchors = [None, None]
        self._before: Optional[np.ndarray] = None

    def correction_m(self, ground: Ground, joints_m, hidden, dt_s: float) -> np.ndarray:
        """
        Return by how much (3,) the whole body is to be moved, metres.

        :param joints_m: (29, 3) in the optical frame. :param hidden: (29,) joints not seen.
        """
        points = np.asarray(joints_m, dtype=np.float64)[_SOLES]
        above = ground.heights(points) - _SOLE_M
        before, self._before = self._before, points
        lift = self._lift(ground, above)
        if before is None or not 0 < dt_s < 0.5:
            self._anchors = [None, None]
            return lift
        speed = np.linalg.norm(points - before, axis=1) / dt_s
        pulls = [pull for side in (0, 1) if (pull := self._pull(
            side, points, above, speed, np.asarray(hidden)[_SOLES], dt_s)) is not None]
        if not pulls:
            return lift
        slide = np.mean(pulls, axis=0)
        return lift + _HOLD * (slide - (slide @ ground.up) * ground.up)

    @staticmethod
    def _lift(ground: Ground, above) -> np.ndarray:
        """Return the move that puts the lowest sole on the ground, if it is near or below it."""
        low = float(above.min())
        near, far = _LIFT_M
        share = np.clip((far - abs(low)) / (far - near), 0.0, 1.0)
        return -share * low * ground.up

    def _pull(self, side, points, above, speed, hidden, dt_s) -> Optional[np.ndarray]:
        """Return the way (3,) back to where the foot stands, None where it does not."""
        mine = (_SIDE == side) & ~hidden
        stands = mine.any() and above[mine].min() < above.min() + _STANDS_M and (
            speed[mine].min() < _STILL_M_S)
        if not stands:
            self._anchors[side] = None
            return None
        foot = points[_SIDE == side].mean(axis=0)
        anchor = self._anchors[side]
        if anchor is None or np.linalg.norm(foot - anchor) > _SLIP_M:
            anchor = foot
        anchor = anchor + min(dt_s / _YIELD_S, 1.0) * (foot - anchor)
        self._anchors[side] = anchor
        return anchor - foot
