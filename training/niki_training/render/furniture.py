"""Random furniture of boxes in front of and behind a person. All seeded."""

from dataclasses import dataclass, field

import numpy as np

from niki_training.render.scene import rotmat_about_y, View

FIRST_FURNITURE_ID = 100  # id of the first piece in the image of identities


@dataclass
class Box:
    """A box in the room."""

    centre_m: np.ndarray  # (3,) world axes (y up, floor at 0)
    half_m: np.ndarray  # (3,) half its edges
    yaw_rad: float  # about the vertical
    colour: np.ndarray  # (3,) RGB, 0 … 1
    layer: int  # index of its pattern
    velocity_m: np.ndarray = field(default_factory=lambda: np.zeros(3))  # (3,) metres a frame
    piece: int = 0  # number of the piece of furniture that the box belongs to


def draw_furniture(joints_m, view: View, count: int, rng, behind: bool = False) -> list:
    """
    Return the boxes of ``count`` pieces of furniture around a person (T, 29, 3), world axes.

    Between camera and person half of the pieces move; behind the person all of them stand, and
    those that would be nearer than 0.8 m are left out.
    """
    boxes = []
    for piece in range(count):
        frame = int(rng.integers(len(joints_m) // 4, len(joints_m)))
        camera_m = view.position_m[frame]
        target_m = joints_m[frame, rng.integers(29)]
        ratio = rng.uniform(1.3, 2.2) if behind else rng.uniform(0.45, 0.93)
        position_m = camera_m + ratio * (target_m - camera_m)
        if behind:
            position_m = position_m + rng.normal(size=3) * (1.0, 0.0, 1.0)
        position_m[1] = max(position_m[1], 0.0)
        depths_m = (np.stack([position_m, target_m]) - camera_m) @ view.camera_from_world[frame, 2]
        if behind and depths_m[0] < depths_m[1] + 0.8:
            continue
        make = (_block, _table, _chair, _pillar, _shelf, _plank)[rng.integers(6)]
        shapes = make(position_m, ratio * np.linalg.norm(target_m - camera_m), rng)
        velocity_m = np.zeros(3)
        if not behind and rng.random() < 0.5:
            right = view.camera_from_world[0, 0] * (1, 0, 1)
            velocity_m = right * rng.choice([-1, 1]) * rng.uniform(0.3, 1.8) / 30
        colour, layer = rng.uniform(0.05, 0.9, 3), int(rng.integers(6))
        if rng.random() < 0.5:
            colour = np.full(3, colour[0]) * (1, 0.9, 0.8)
        yaw_rad = rng.uniform(-np.pi, np.pi)
        floor_m, rotmat = position_m * (1, 0, 1), rotmat_about_y(yaw_rad)
        boxes += [Box(floor_m + rotmat @ offset_m - velocity_m * frame, half_m, yaw_rad, colour,
                      layer, velocity_m, piece) for offset_m, half_m in shapes]
    return boxes


# each returns the boxes of one piece: offset (3,) of the centre from the point of the floor below
# the piece, and half the edges (3,), metres


def _block(position_m, distance_m, rng):
    half_m = rng.uniform(0.06, 0.28, 3) * np.sqrt(distance_m)
    floats = rng.random() < 0.4
    return [(np.array([0, position_m[1] if floats else half_m[1], 0]), half_m)]


def _table(position_m, distance_m, rng):
    high, long, deep = rng.uniform(0.5, 1.1), rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.5)
    legs = [(np.array([x * long * 0.9, high / 2, z * deep * 0.9]),
             np.array([0.03, high / 2, 0.03])) for x in (-1, 1) for z in (-1, 1)]
    return [(np.array([0, high, 0]), np.array([long, 0.025, deep])), *legs]


def _chair(position_m, distance_m, rng):
    seat, back = rng.uniform(0.38, 0.5), rng.uniform(0.8, 1.1)
    legs = [(np.array([x * 0.2, seat / 2, z * 0.2]), np.array([0.02, seat / 2, 0.02]))
            for x in (-1, 1) for z in (-1, 1)]
    return [(np.array([0, seat, 0]), np.array([0.23, 0.03, 0.23])),
            (np.array([0, (seat + back) / 2, -0.21]), np.array([0.22, (back - seat) / 2, 0.02])),
            *legs]


def _pillar(position_m, distance_m, rng):
    wide = rng.uniform(0.03, 0.2)
    return [(np.array([0, 1.5, 0]), np.array([wide, 1.5, wide]))]


def _shelf(position_m, distance_m, rng):
    high, long = rng.uniform(0.6, 1.8), rng.uniform(0.3, 0.7)
    boards = [(np.array([0, y, 0]), np.array([long, 0.02, 0.15]))
              for y in np.arange(0.05, high, rng.uniform(0.25, 0.45))]
    sides = [(np.array([x * long, high / 2, 0]), np.array([0.02, high / 2, 0.15]))
             for x in (-1, 1)]
    return boards + sides


def _plank(position_m, distance_m, rng):
    low = position_m[1] + rng.uniform(-0.3, 0.3)
    half_m = np.array([rng.uniform(0.2, 1.0), rng.uniform(0.02, 0.15), 0.02])
    return [(np.array([0, low, 0]), half_m)]


def _unit_box():
    """Return corners (36, 3) of the triangles of a box, normals (36, 3), texture axes (36, 2)."""
    corners, normals, texture_axes = [], [], []
    for axis in range(3):
        for sign in (-1, 1):
            u, v = [k for k in range(3) if k != axis]
            quad = np.zeros((4, 3))
            quad[:, axis] = sign
            quad[:, u], quad[:, v] = (-1, 1, 1, -1), (-1, -1, 1, 1)
            for k in (0, 1, 2, 0, 2, 3):
                corners.append(quad[k])
                normals.append(np.eye(3)[axis] * sign)
                texture_axes.append((u, v))
    return np.array(corners), np.array(normals), np.array(texture_axes)


_CORNERS, _NORMALS, _TEXTURE_AXES = _unit_box()


def triangles(boxes, view: View, frame: int) -> np.ndarray | None:
    """Return the triangles (n, 13) of ``boxes`` for :meth:`OpenGLRenderer.draw`, or None."""
    if not boxes:
        return None

    def of_boxes(name: str) -> np.ndarray:
        return np.array([getattr(box, name) for box in boxes])

    camera_from_world, camera_m = view.camera_from_world[frame], view.position_m[frame]
    local_m = _CORNERS * of_boxes('half_m')[:, None]
    world_from_box = np.swapaxes(rotmat_about_y(of_boxes('yaw_rad')), -1, -2)
    centre_m = of_boxes('centre_m') + of_boxes('velocity_m') * frame
    corners = np.empty((len(boxes), len(_CORNERS), 13))
    corners[..., :3] = (local_m @ world_from_box + (centre_m - camera_m)[:, None]
                        ) @ camera_from_world.T
    corners[..., 3:6] = _NORMALS @ world_from_box @ camera_from_world.T
    corners[..., 6:9] = of_boxes('colour')[:, None]
    corners[..., 9:11] = np.take_along_axis(local_m, _TEXTURE_AXES[None], axis=2)
    corners[..., 11] = of_boxes('layer')[:, None]
    corners[..., 12] = FIRST_FURNITURE_ID + of_boxes('piece')[:, None]
    return corners.reshape(-1, 13)
