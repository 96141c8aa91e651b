"""Random motion of people on a floor, random cameras and random lights. All seeded."""

from dataclasses import dataclass

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.data.augmentation import mirror_poses
from niki_training.render.visibility import is_inside, project

KINDS = ('clean', 'occluded', 'truncated', 'both')
KIND_ODDS = (0.42, 0.3, 0.2, 0.08)
_MIN_DISTANCE_M, _MAX_DISTANCE_M = 0.7, 8.0
_MAX_ATTEMPTS = 8
_MIN_INSIDE_RATIO = {'clean': 0.98, 'occluded': 0.9, 'truncated': 0.35, 'both': 0.35}  # of joints
_FLOOR_CLEARANCE_M = 0.03
_STANDARD_HEIGHT_M = 1.75  # paths of the pelvis are scaled by the height of a body over this


@dataclass
class View:
    """A camera over a clip."""

    matrix: np.ndarray  # (3, 3)
    camera_from_world: np.ndarray  # (T, 3, 3)
    position_m: np.ndarray  # (T, 3) world axes: y up, floor at 0

    def to_camera(self, points_m) -> np.ndarray:
        """Return points (T, ..., 3) of the world in the camera's axes, metres."""
        offset_m = points_m - self.position_m.reshape((-1,) + (1,) * (points_m.ndim - 2) + (3,))
        return np.einsum('tij,t...j->t...i', self.camera_from_world, offset_m)


def person_motion(motion, start: int, frame_count: int, body, rng):
    """
    Return a window of a RootedMotion for a RenderedBody, on the floor, with a random heading.

    :return: rotmat (T, 24, 3, 3), joint 0 in world axes, and root (T, 3), metres, which starts at
        x = z = 0.
    """
    rotvec = motion.rotvec[start:start + frame_count].astype(np.float64)
    root_m = motion.root_m[start:start + frame_count].astype(np.float64)
    if rng.random() < 0.5:
        rotvec, root_m = mirror_poses(rotvec), root_m * (-1, 1, 1)
    rotmat = rotmat_from_rotvec(rotvec)
    heading = rotmat_about_y(rng.uniform(-np.pi, np.pi))
    rotmat[:, 0] = heading @ rotmat[:, 0]
    root_m = (root_m - root_m[0] * (1, 0, 1)) @ heading.T * (body.height_m / _STANDARD_HEIGHT_M)
    joints_m, _ = body.posed(rotmat, root_m)
    root_m[:, 1] -= joints_m[..., 1].min() - _FLOOR_CLEARANCE_M
    return rotmat, root_m


def rotmat_about_y(angle_rad) -> np.ndarray:
    """Return rotations (..., 3, 3) about y by angles (...)."""
    c, s = np.cos(angle_rad), np.sin(angle_rad)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([np.stack([c, zero, s], -1), np.stack([zero, one, zero], -1),
                     np.stack([-s, zero, c], -1)], -2)


def draw_view(joints_m, kind: str, size_px, rng) -> View:
    """
    Return a camera that sees a person (T, 29, 3), world axes, as far as one of ``KINDS`` demands.

    :param size_px: width and height of the image.
    """
    for _ in range(_MAX_ATTEMPTS):
        view = _any_view(joints_m, kind in ('truncated', 'both'), size_px, rng)
        pixels = project(view.to_camera(joints_m), view.matrix)
        if is_inside(pixels, size_px).mean() >= _MIN_INSIDE_RATIO[kind]:
            break
    return view


def _any_view(joints_m, is_cut: bool, size_px, rng) -> View:
    """Return a camera; the person is not checked to be inside the image."""
    width, height = size_px
    focal_px = width / 2 / np.tan(np.radians(rng.uniform(45, 95)) / 2)
    centre_px = np.array([width / 2, height / 2]) + rng.normal(size=2) * (6, 6)
    matrix = np.array([[focal_px, 0, centre_px[0]], [0, focal_px, centre_px[1]], [0, 0, 1]])
    height_ratio = 1.05 + 1.4 * rng.random()**2 if is_cut else rng.choice(
        [rng.uniform(0.38, 0.85), rng.uniform(0.2, 0.38)], p=[0.93, 0.07])
    tall_m = max(np.ptp(joints_m[0, :, 1]), 0.8)
    distance_m = np.clip(focal_px * tall_m / (height_ratio * height),
                         _MIN_DISTANCE_M, _MAX_DISTANCE_M)
    aim_m = _aim(joints_m[len(joints_m) // 2], is_cut, rng)
    position_m = np.array([0.0, rng.uniform(0.3, 2.0), 0.0])
    level_m = np.sqrt(max(distance_m**2 - (position_m[1] - aim_m[1])**2, 0.25 * distance_m**2))
    heading_rad = rng.uniform(-np.pi, np.pi)
    direction = np.array([np.sin(heading_rad), np.cos(heading_rad)])
    position_m[[0, 2]] = aim_m[[0, 2]] + level_m * direction
    aim_px = centre_px + rng.uniform(-1, 1, 2) * (
        np.array([0.42, 0.1]) if is_cut and rng.random() < 0.5
        else np.array([0.12, 0.06])) * size_px
    rotmat = look_at(position_m, aim_m, aim_px, matrix,
                     np.radians(np.clip(rng.normal() * 2, -6, 6)))
    return _moving(View(matrix, rotmat[None], position_m[None]), is_cut, joints_m, rng)


def _aim(joints_m, is_cut: bool, rng) -> np.ndarray:
    """Return the point (3,) of the body at which the camera is pointed."""
    if not is_cut:
        return (joints_m.max(0) + joints_m.min(0)) / 2
    odds = {'spine3': 0.3, 'head': 0.28, 'spine1': 0.14, 'left_shoulder': 0.06,
            'right_shoulder': 0.06, 'pelvis': 0.1, 'left_knee': 0.03, 'right_knee': 0.03}
    return joints_m[JOINT[rng.choice(list(odds), p=list(odds.values()))]]


def look_at(position_m, aim_m, aim_px, matrix, roll_rad: float) -> np.ndarray:
    """
    Return camera_from_world (3, 3) of a camera at ``position_m`` with ``aim_m`` at ``aim_px``.

    Yaw and pitch are set one after the other: exact in the middle of the image, near it elsewhere.
    """
    forward = (aim_m - position_m) / np.linalg.norm(aim_m - position_m)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward])
    x, y = (aim_px - matrix[:2, 2]) / (matrix[0, 0], matrix[1, 1])
    yaw, pitch = np.arctan(x), np.arctan(y)
    off = rotmat_from_rotvec(np.array([[-pitch, 0, 0], [0, yaw, 0], [0, 0, roll_rad]]))
    return off[2] @ off[0] @ off[1] @ level


def _moving(view: View, is_cut: bool, joints_m, rng) -> View:
    """Return the view as the camera stands, drives, turns, follows or approaches the person."""
    frame_count = len(joints_m)
    rotmat = np.repeat(view.camera_from_world, frame_count, axis=0)
    position_m = np.repeat(view.position_m, frame_count, axis=0)
    style = rng.random()
    time_s = np.arange(frame_count)[:, None] / 30
    if is_cut and style < 0.45:
        velocity_m_s = rotmat[0, 2] * (-1, 0, -1) * rng.uniform(0.5, 2.0)
        left_s = time_s[::-1] if rng.random() < 0.75 else time_s
        position_m = position_m + left_s * velocity_m_s
    elif style < 0.6:
        position_m = position_m + time_s * rng.normal(size=3) * (0.3, 0.0, 0.3)
        rotmat = rotmat_from_rotvec(time_s * rng.normal(size=3) * (0.03, 0.25, 0.01)) @ rotmat
    elif style < 0.7:
        position_m = position_m + (joints_m[:, 0] - joints_m[:1, 0]) * (1, 0, 1)
    if rng.random() < 0.3:
        shake = np.cumsum(rng.normal(size=(frame_count, 3)) * 0.0025, axis=0)
        rotmat = rotmat_from_rotvec(shake) @ rotmat
    return View(view.matrix, rotmat, position_m)


def draw_lights(rng) -> dict:
    """
    Return lights in world axes: two lamps, sky and ground.

    ``light_to`` are unit vectors (2, 3), ``light_colour`` (2, 3), ``sky`` and ``ground`` (3,).
    """
    to_light = rng.normal(size=(2, 3)) * (1, 0.4, 1) + (0, 0.9, 0)
    warm = np.array([1.0, 0.95, 0.85]) if rng.random() < 0.5 else np.array([0.95, 0.97, 1.0])
    bright = rng.uniform(0.8, 1.7)
    return {
        'light_to': to_light / np.linalg.norm(to_light, axis=1, keepdims=True),
        'light_colour':
            np.array([warm * rng.uniform(0.2, 0.6), warm * rng.uniform(0, 0.3)]) * bright,
        'sky': np.full(3, rng.uniform(0.4, 0.7)) * bright,
        'ground': np.full(3, rng.uniform(0.15, 0.4)) * bright, 'gloss': rng.uniform(0.0, 0.15)}


def lights_in_camera(lights: dict, camera_from_world) -> dict:
    """Return ``lights`` in the axes of the camera of one frame, with the direction ``up``."""
    return dict(lights, light_to=lights['light_to'] @ camera_from_world.T,
                up=camera_from_world @ (0.0, 1.0, 0.0))
