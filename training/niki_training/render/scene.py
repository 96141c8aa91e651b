"""What happens in a clip: people, their motion, the camera, what stands in the way. All seeded."""

from __future__ import annotations

from dataclasses import dataclass, field

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.data.motion import mirrored
from niki_training.render.truth import inside, pixels_of

WORLD_TO_CAMERA_AXES = np.diag([1.0, -1.0, -1.0])
NEAREST_M, FARTHEST_M = 0.7, 8.0
KINDS = ('clean', 'occluded', 'truncated', 'both')
KIND_SHARES = (0.42, 0.3, 0.2, 0.08)
_ATTEMPTS = 8
_INSIDE = {'clean': 0.98, 'occluded': 0.9, 'truncated': 0.35, 'both': 0.35}
"""The least share of the joints that is in the image, over a clip."""


@dataclass
class Solid:
    """
    A box that stands in the room.

    :param centre_m: (3,) world axes (y up, floor at 0). :param half_m: (3,) half its edges.
    :param yaw: about the vertical. :param colour: (3,) 0 … 1. :param layer: its pattern.
    :param velocity_m: (3,) metres a frame. :param group: boxes of one piece of furniture.
    """

    centre_m: np.ndarray
    half_m: np.ndarray
    yaw: float
    colour: np.ndarray
    layer: int
    velocity_m: np.ndarray = field(default_factory=lambda: np.zeros(3))
    group: int = 0


@dataclass
class View:
    """
    A camera over a clip.

    :param matrix: (3, 3). :param camera_from_world: (T, 3, 3). :param place_m: (T, 3) world.
    :param height_m: above the floor in the first frame. :param pitch_deg: downwards.
    """

    matrix: np.ndarray
    camera_from_world: np.ndarray
    place_m: np.ndarray

    def into(self, points_m) -> np.ndarray:
        """Turn points (T, ..., 3) of the world into the camera's axes."""
        off = points_m - self.place_m.reshape((-1,) + (1,) * (points_m.ndim - 2) + (3,))
        return np.einsum('tij,t...j->t...i', self.camera_from_world, off)


def person_motion(motion, start: int, frames: int, body, rng):
    """
    Take a window of motion for a body, on the floor, with any heading.

    :return: rotmat (T, 24, 3, 3) with joint 0 in world axes, root (T, 3) metres, starting at 0 0.
    """
    rotvec = motion.rotvec[start:start + frames].astype(np.float64)
    root = motion.root_m[start:start + frames].astype(np.float64)
    if rng.random() < 0.5:
        rotvec, root = mirrored(rotvec), root * (-1, 1, 1)
    rotmat = rotmat_from_rotvec(rotvec)
    turn = _about_y(rng.uniform(-np.pi, np.pi))
    rotmat[:, 0] = turn @ rotmat[:, 0]
    root = (root - root[0] * (1, 0, 1)) @ turn.T * (body.height_m / 1.75)
    joints, _ = body.posed(rotmat, root)
    root[:, 1] -= joints[..., 1].min() - 0.03
    return rotmat, root


def _about_y(angle) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    zero, one = np.zeros_like(c), np.ones_like(c)
    return np.stack([np.stack([c, zero, s], -1), np.stack([zero, one, zero], -1),
                     np.stack([-s, zero, c], -1)], -2)


def draw_view(joints_m, kind: str, size, rng) -> View:
    """Place a camera for a clip of one person who stays in the image as far as ``kind`` says."""
    for _ in range(_ATTEMPTS):
        view = _place_camera(joints_m, kind, size, rng)
        if inside(pixels_of(view.into(joints_m), view.matrix), size).mean() >= _INSIDE[kind]:
            break
    return view


def _place_camera(joints_m, kind: str, size, rng) -> View:
    """
    Place a camera, wherever the person then is.

    :param joints_m: (T, 29, 3) world axes. :param kind: one of ``KINDS``.
    :param size: width and height in pixels.
    """
    width, height = size
    focal = width / 2 / np.tan(np.radians(rng.uniform(45, 95)) / 2)
    centre = np.array([width / 2, height / 2]) + rng.normal(size=2) * (6, 6)
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    cut = kind in ('truncated', 'both')
    span = 1.05 + 1.4 * rng.random()**2 if cut else rng.choice(
        [rng.uniform(0.38, 0.85), rng.uniform(0.2, 0.38)], p=[0.93, 0.07])
    tall = max(np.ptp(joints_m[0, :, 1]), 0.8)
    distance = np.clip(focal * tall / (span * height), NEAREST_M, FARTHEST_M)
    middle = joints_m[len(joints_m) // 2]
    aim = _aim(middle, cut, rng)
    place = np.array([0.0, rng.uniform(0.3, 2.0), 0.0])
    level = np.sqrt(max(distance**2 - (place[1] - aim[1])**2, 0.25 * distance**2))
    heading = rng.uniform(-np.pi, np.pi)
    place[[0, 2]] = aim[[0, 2]] + level * np.array([np.sin(heading), np.cos(heading)])
    pixel = centre + rng.uniform(-1, 1, 2) * (np.array([0.42, 0.1]) if cut and rng.random() < 0.5
                                              else np.array([0.12, 0.06])) * size
    turn = _look(place, aim, pixel, matrix, np.radians(np.clip(rng.normal() * 2, -6, 6)))
    return _moved(View(matrix, turn[None], place[None]), cut, joints_m, rng)


def _aim(joints, cut: bool, rng) -> np.ndarray:
    """Return the point of the body that the camera looks at."""
    if not cut:
        return (joints.max(0) + joints.min(0)) / 2
    weights = {'spine3': 0.3, 'head': 0.28, 'spine1': 0.14, 'left_shoulder': 0.06,
               'right_shoulder': 0.06, 'pelvis': 0.1, 'left_knee': 0.03, 'right_knee': 0.03}
    name = rng.choice(list(weights), p=list(weights.values()))
    return joints[JOINT[name]]


def _look(place, aim, pixel, matrix, roll) -> np.ndarray:
    """Return camera_from_world (3, 3) of a camera at ``place`` that sees ``aim`` at ``pixel``."""
    forward = (aim - place) / np.linalg.norm(aim - place)
    right = np.cross(forward, (0.0, 1.0, 0.0))
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward])
    x, y = (pixel - matrix[:2, 2]) / (matrix[0, 0], matrix[1, 1])
    yaw, pitch = np.arctan(x), np.arctan(y)
    off = rotmat_from_rotvec(np.array([[-pitch, 0, 0], [0, yaw, 0], [0, 0, roll]]))
    return off[2] @ off[0] @ off[1] @ level


def _moved(view: View, cut: bool, joints_m, rng) -> View:
    """Let a camera stand, drive, turn, follow the person, or come so near that it cuts them."""
    frames = len(joints_m)
    turn = np.repeat(view.camera_from_world, frames, axis=0)
    place = np.repeat(view.place_m, frames, axis=0)
    style = rng.random()
    time = np.arange(frames)[:, None] / 30
    if cut and style < 0.45:
        back = turn[0, 2] * (-1, 0, -1) * rng.uniform(0.5, 2.0)
        left = time[::-1] if rng.random() < 0.75 else time
        place = place + left * back
    elif style < 0.6:
        place = place + time * rng.normal(size=3) * (0.3, 0.0, 0.3)
        turn = rotmat_from_rotvec(time * rng.normal(size=3) * (0.03, 0.25, 0.01)) @ turn
    elif style < 0.7:
        place = place + (joints_m[:, 0] - joints_m[:1, 0]) * (1, 0, 1)
    if rng.random() < 0.3:
        shake = np.cumsum(rng.normal(size=(frames, 3)) * 0.0025, axis=0)
        turn = rotmat_from_rotvec(shake) @ turn
    return View(view.matrix, turn, place)


def draw_furniture(joints_m, view: View, count: int, rng, behind: bool = False) -> list:
    """Place ``count`` pieces between camera and person, half of them moving, or behind."""
    pieces = []
    for group in range(count):
        frame = int(rng.integers(len(joints_m) // 4, len(joints_m)))
        place = view.place_m[frame]
        target = joints_m[frame, rng.integers(29)]
        share = rng.uniform(1.3, 2.2) if behind else rng.uniform(0.45, 0.93)
        between = place + share * (target - place)
        if behind:
            between = between + rng.normal(size=3) * (1.0, 0.0, 1.0)
        between[1] = max(between[1], 0.0)
        depths = (np.stack([between, target]) - place) @ view.camera_from_world[frame, 2]
        if behind and depths[0] < depths[1] + 0.8:
            continue
        make = (_block, _table, _chair, _pillar, _shelf, _plank)[rng.integers(6)]
        boxes = make(between, share * np.linalg.norm(target - place), rng)
        speed = np.zeros(3)
        if not behind and rng.random() < 0.5:
            right = view.camera_from_world[0, 0] * (1, 0, 1)
            speed = right * rng.choice([-1, 1]) * rng.uniform(0.3, 1.8) / 30
        colour, layer = rng.uniform(0.05, 0.9, 3), int(rng.integers(6))
        if rng.random() < 0.5:
            colour = np.full(3, colour[0]) * (1, 0.9, 0.8)
        yaw = rng.uniform(-np.pi, np.pi)
        turn = _about_y(yaw)
        for off, half in boxes:
            centre = np.array([between[0], 0, between[2]]) + turn @ off - speed * frame
            pieces.append(Solid(centre, half, yaw, colour, layer, speed, group))
    return pieces


def _block(at, distance, rng):
    half = rng.uniform(0.06, 0.28, 3) * np.sqrt(distance)
    floats = rng.random() < 0.4
    return [(np.array([0, at[1] if floats else half[1], 0]), half)]


def _table(at, distance, rng):
    high, long, deep = rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.5)
    legs = [(np.array([x * long * 0.9, high / 2, z * deep * 0.9]),
             np.array([0.03, high / 2, 0.03])) for x in (-1, 1) for z in (-1, 1)]
    return [(np.array([0, high, 0]), np.array([long, 0.025, deep])), *legs]


def _chair(at, distance, rng):
    seat, back = rng.uniform(0.38, 0.5), rng.uniform(0.8, 1.1)
    legs = [(np.array([x * 0.2, seat / 2, z * 0.2]), np.array([0.02, seat / 2, 0.02]))
            for x in (-1, 1) for z in (-1, 1)]
    return [(np.array([0, seat, 0]), np.array([0.23, 0.03, 0.23])),
            (np.array([0, (seat + back) / 2, -0.21]), np.array([0.22, (back - seat) / 2, 0.02])),
            *legs]


def _pillar(at, distance, rng):
    wide = rng.uniform(0.03, 0.2)
    return [(np.array([0, 1.5, 0]), np.array([wide, 1.5, wide]))]


def _shelf(at, distance, rng):
    high, long = rng.uniform(0.6, 1.8), rng.uniform(0.3, 0.7)
    boards = [(np.array([0, y, 0]), np.array([long, 0.02, 0.15]))
              for y in np.arange(0.05, high, rng.uniform(0.25, 0.45))]
    sides = [(np.array([x * long, high / 2, 0]), np.array([0.02, high / 2, 0.15]))
             for x in (-1, 1)]
    return boards + sides


def _plank(at, distance, rng):
    low = at[1] + rng.uniform(-0.3, 0.3)
    return [(np.array([0, low, 0]), np.array([rng.uniform(0.2, 1.0), rng.uniform(0.02, 0.15),
                                              0.02]))]


_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
_SIDES = [(axis, sign) for axis in range(3) for sign in (-1, 1)]


def _unit_box():
    """Return the 36 corners of a box's triangles, their normals and texture places."""
    at, normal, where = [], [], []
    for axis, sign in _SIDES:
        u, v = [k for k in range(3) if k != axis]
        quad = np.zeros((4, 3))
        quad[:, axis] = sign
        quad[:, u], quad[:, v] = (-1, 1, 1, -1), (-1, -1, 1, 1)
        for k in (0, 1, 2, 0, 2, 3):
            at.append(quad[k])
            normal.append(np.eye(3)[axis] * sign)
            where.append((u, v))
    return np.array(at), np.array(normal), np.array(where)


_BOX_AT, _BOX_NORMAL, _BOX_WHERE = _unit_box()
FIRST_SOLID_ID = 100


def triangles(solids, view: View, frame: int):
    """Return what :meth:`Canvas.draw` takes for ``solids`` in one frame, (n, 13), or None."""
    if not solids:
        return None
    turn, place = view.camera_from_world[frame], view.place_m[frame]
    parts = []
    for solid in solids:
        local = _BOX_AT * solid.half_m
        spin = _about_y(solid.yaw)
        world = local @ spin.T + solid.centre_m + solid.velocity_m * frame
        part = np.empty((36, 13))
        part[:, :3] = (world - place) @ turn.T
        part[:, 3:6] = _BOX_NORMAL @ spin.T @ turn.T
        part[:, 6:9] = solid.colour
        part[:, 9:11] = np.take_along_axis(local, _BOX_WHERE, axis=1)
        part[:, 11], part[:, 12] = solid.layer, FIRST_SOLID_ID + solid.group
        parts.append(part)
    return np.concatenate(parts)


def draw_lights(rng) -> dict:
    """Return lights in world axes: two lamps, sky and ground."""
    to = rng.normal(size=(2, 3)) * (1, 0.4, 1) + (0, 0.9, 0)
    warm = np.array([1.0, 0.95, 0.85]) if rng.random() < 0.5 else np.array([0.95, 0.97, 1.0])
    bright = rng.uniform(0.8, 1.7)
    return {
        'light_to': to / np.linalg.norm(to, axis=1, keepdims=True),
        'light_colour': np.array([warm * rng.uniform(0.2, 0.6), warm * rng.uniform(0, 0.3)])
        * bright,
        'sky': np.full(3, rng.uniform(0.4, 0.7)) * bright,
        'ground': np.full(3, rng.uniform(0.15, 0.4)) * bright,
        'gloss': rng.uniform(0.0, 0.15),
    }


def lights_in_camera(lights: dict, turn) -> dict:
    """Turn ``lights`` into the axes of the camera of one frame; ``turn`` camera_from_world."""
    return dict(lights, light_to=lights['light_to'] @ turn.T, up=turn @ (0.0, 1.0, 0.0))
