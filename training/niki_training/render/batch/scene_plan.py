"""Random scenes of crops: people, camera, image border, furniture. In numpy, seeded by crop."""

from dataclasses import dataclass
from typing import NamedTuple

from niki_ros.body.rotations import rotmat_from_rotvec
import numpy as np

from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT
from niki_training.render import furniture
from niki_training.render.batch.bank import Bank
from niki_training.render.batch.crop_views import followed_views, tangents, Views
from niki_training.render.batch.posed_people import draw_people, PosedPeople, SkeletonTable
from niki_training.render.batch.random_draws import crop_generator, CropRandom
from niki_training.render.scene import View

MAIN_PLACE = 0
"""Place of the main person among the people of a crop."""

_FURNITURE_STREAM = 1  # of the random numbers of a crop
_MIN_OTHER_DEPTH_M = 0.35  # of the nearest joint of another person


@dataclass(frozen=True)
class SceneNumbers:
    """How scenes are drawn; odds are of a crop."""

    empty_odds: float = 0.08
    level_odds: float = 0.7  # cameras as on robots and tripods, the others look up or down
    level_pitch_sigma_rad: float = 0.15
    pitch_range_rad: tuple[float, float] = (-0.52, 1.4)
    roll_sigma_rad: float = 0.08
    any_roll_odds: float = 0.03
    heading_sigma: tuple[float, float] = (0.35, 0.18)  # tangents of the pelvis across and down
    distance_m: tuple[float, float] = (1.3, 10.0)  # log-uniform
    near_odds: float = 0.3
    near_distance_m: tuple[float, float] = (0.9, 2.4)
    min_joint_depth_m: float = 0.45
    cut_odds: float = 0.35  # the image's border cuts the body
    cut_side_odds: tuple[float, ...] = (0.6, 0.15, 0.15, 0.1)  # bottom, left, right, top
    cut_seen_ratio: tuple[float, float] = (0.3, 0.9)  # of the body's extent, on the seen side
    margin_ratio: tuple[float, float] = (0.02, 2.5)  # from body to border where it is not cut
    focal_px: tuple[float, float] = (280.0, 1600.0)  # log-uniform, of the source image
    other_odds: tuple[float, ...] = (0.62, 0.27, 0.11)  # of 0, 1, 2 other people
    other_front_odds: float = 0.45
    front_depth_ratio: tuple[float, float] = (0.45, 0.92)  # distance over that of the person
    behind_depth_ratio: tuple[float, float] = (1.08, 2.2)
    front_across_sigma: float = 0.22  # widths of the crop
    behind_across_sigma: float = 0.4
    front_furniture_odds: float = 0.3
    back_furniture_odds: float = 0.3


class ImageGeometry(NamedTuple):
    """The camera of N crops."""

    camera_from_world: np.ndarray  # (N, 3, 3); y of the world is up
    border: np.ndarray  # (N, 4) x0, y0, x1, y1 of the image, tangents
    focal_px: np.ndarray  # (N,) of the source image


class ScenePlan(NamedTuple):
    """N scenes with M people; metres, axes of the views unless said otherwise."""

    index: np.ndarray  # (N,) numbers of the crops
    is_present: np.ndarray  # (N,) bool: the main person is there
    person: np.ndarray  # (M,) of the bank; the main persons come first, in the order of crops
    crop: np.ndarray  # (M,) crop of each person
    place: np.ndarray  # (M,) 0 = the main person, 1 … = others of the crop
    main: np.ndarray  # (N,) of the bank, also where it is absent
    bones: np.ndarray  # (M, 24, 3, 4) that move the meshes at rest
    rotmat: np.ndarray  # (N, 24, 3, 3) local rotations of the main persons
    joints_m: np.ndarray  # (N, 29, 3) of the main persons
    furniture: np.ndarray  # (T, 13) corners of triangles, as furniture.triangles has them
    furniture_crop: np.ndarray  # (T,)
    views: Views
    geometry: ImageGeometry


class ScenePlanner:
    """Draws scenes from a bank."""

    def __init__(self, bank: Bank, seed: int, numbers: SceneNumbers = SceneNumbers()):
        self.bank, self.seed, self.numbers = bank, seed, numbers
        self.table = SkeletonTable(bank)

    @property
    def places(self) -> int:
        """People of a crop, at most."""
        return len(self.numbers.other_odds)

    def plan(self, index, draw: CropRandom) -> ScenePlan:
        """Return the scenes of the crops ``index`` (N,), with numbers of ``draw``."""
        numbers = self.numbers
        main = draw_people(self.bank, self.table, draw)
        camera = _camera_rotmats(draw, numbers)
        joints_m = main.joints_m @ np.swapaxes(camera, -1, -2)
        joints_m = joints_m + _root_m(joints_m, draw, numbers)[:, None]
        border = _border(joints_m, draw, numbers)
        views = followed_views(joints_m, border, draw)
        geometry = ImageGeometry(camera, border, np.exp(draw.uniform(*np.log(numbers.focal_px))))
        present = ~draw.chance(numbers.empty_odds)
        placed = [(main, joints_m, np.flatnonzero(present))]
        placed += self._others(joints_m, present, views, geometry, draw)
        turn = np.swapaxes(views.camera_from_view, -1, -2)
        rotmat = _turned_root(main.rotmat, turn @ camera)
        parts = [self._bones(people, at_m, rows, views, camera) for people, at_m, rows in placed]
        solids, solid_crop = self._furniture(index, joints_m, geometry, views, draw)
        rows = [rows for _, _, rows in placed]
        return ScenePlan(
            np.asarray(index), present,
            np.concatenate([people.person[r] for people, _, r in placed]), np.concatenate(rows),
            np.repeat(np.arange(len(rows)), list(map(len, rows))), main.person,
            np.concatenate(parts), rotmat, views.from_camera(joints_m), solids, solid_crop, views,
            geometry)

    def _bones(self, people: PosedPeople, joints_m, rows, views: Views, camera) -> np.ndarray:
        turn = np.swapaxes(views.camera_from_view, -1, -2)[rows]
        rotmat = _turned_root(people.rotmat[rows], turn @ camera[rows])
        root_m = (turn @ joints_m[rows, 0, :, None])[..., 0]
        return self.table.matrices(people.person[rows], rotmat, root_m)

    def _others(self, joints_m, present, views: Views, geometry: ImageGeometry,
                draw: CropRandom) -> list:
        """Return (people, joints (N, 29, 3) in camera axes, crops in which they are) each."""
        numbers = self.numbers
        wanted, placed = draw.choice(numbers.other_odds), []
        for number in range(1, len(numbers.other_odds)):
            other = draw_people(self.bank, self.table, draw)
            in_camera_m = other.joints_m @ np.swapaxes(geometry.camera_from_world, -1, -2)
            is_front = draw.chance(numbers.other_front_odds)
            low, high = (np.where(is_front, a, b) for a, b in zip(
                numbers.front_depth_ratio, numbers.behind_depth_ratio))
            across = draw.normal() * views.width * np.where(
                is_front, numbers.front_across_sigma, numbers.behind_across_sigma)
            root_m = joints_m[:, 0] * draw.uniform(low, high)[:, None]
            root_m[:, 0] += across * root_m[:, 2]
            at_m = _on_floor_of(joints_m, in_camera_m + root_m[:, None], geometry)
            is_there = present & (wanted >= number) & (at_m[..., 2].min(1) > _MIN_OTHER_DEPTH_M)
            placed.append((other, at_m, np.flatnonzero(is_there)))
        return placed

    def _furniture(self, index, joints_m, geometry: ImageGeometry, views: Views,
                   draw: CropRandom):
        """Return triangles' corners (T, 13) in the axes of the views, and their crops (T,)."""
        numbers, parts, crops = self.numbers, [np.zeros((0, 13))], [np.zeros(0, np.int64)]
        is_there = np.stack([draw.chance(numbers.front_furniture_odds),
                             draw.chance(numbers.back_furniture_odds)], 1)
        for row in np.flatnonzero(is_there.any(1)):
            rng = crop_generator(self.seed, index[row], _FURNITURE_STREAM)
            world_from_camera = geometry.camera_from_world[row].T
            world_m = joints_m[row] @ world_from_camera.T
            camera_m = np.array([0.0, -world_m[:, 1].min(), 0.0])
            view = View(np.eye(3), geometry.camera_from_world[row][None], camera_m[None])
            boxes = []
            for is_back, count in enumerate(is_there[row] * rng.integers(1, 3, 2)):
                boxes += furniture.draw_furniture((world_m + camera_m)[None], view, count, rng,
                                                  bool(is_back))
            corners = furniture.triangles(boxes, view, 0)
            if corners is None:
                continue
            for columns in (slice(0, 3), slice(3, 6)):
                corners[:, columns] = corners[:, columns] @ views.camera_from_view[row]
            parts.append(corners)
            crops.append(np.full(len(corners), row))
        return np.concatenate(parts), np.concatenate(crops)


def _camera_rotmats(draw: CropRandom, numbers: SceneNumbers) -> np.ndarray:
    """Return camera_from_world (N, 3, 3); the heading is that of the people."""
    pitch = np.where(draw.chance(numbers.level_odds), draw.normal(numbers.level_pitch_sigma_rad),
                     draw.uniform(*numbers.pitch_range_rad))
    roll = np.where(draw.chance(numbers.any_roll_odds), draw.uniform(-np.pi, np.pi),
                    draw.normal(numbers.roll_sigma_rad))
    turns = np.zeros((2, len(pitch), 3))
    turns[0, :, 2], turns[1, :, 0] = roll, pitch
    return rotmat_from_rotvec(turns[0]) @ rotmat_from_rotvec(turns[1]) @ CAMERA_FROM_UPRIGHT


def _root_m(joints_m, draw: CropRandom, numbers: SceneNumbers) -> np.ndarray:
    """Return a place of the pelvis (N, 3) in camera axes for joints (N, 29, 3) about it."""
    near = draw.chance(numbers.near_odds)
    low, high = (np.where(near, a, b) for a, b in zip(numbers.near_distance_m, numbers.distance_m))
    depth_m = np.exp(draw.uniform(np.log(low), np.log(high)))
    depth_m = np.maximum(depth_m, numbers.min_joint_depth_m - joints_m[..., 2].min(1))
    flat = draw.normal(np.array(numbers.heading_sigma), (2,))
    return np.concatenate([flat, np.ones((len(flat), 1))], -1) * depth_m[:, None]


def _border(joints_m, draw: CropRandom, numbers: SceneNumbers) -> np.ndarray:
    """Return the border (N, 4) of the image, tangents, for joints (N, 29, 3) in camera axes."""
    flat = tangents(joints_m)
    low, high = flat.min(1), flat.max(1)
    size = np.maximum(high - low, 0.05)
    margin = draw.uniform(*numbers.margin_ratio, (4,)) * size.max(1, keepdims=True)
    border = np.concatenate([low - margin[:, :2], high + margin[:, 2:]], 1)
    is_cut, side = draw.chance(numbers.cut_odds), draw.choice(numbers.cut_side_odds)
    seen = draw.uniform(*numbers.cut_seen_ratio)
    for number, (column, axis) in enumerate(((3, 1), (0, 0), (2, 0), (1, 1))):
        at = (low[:, axis] + seen * size[:, axis] if column >= 2
              else high[:, axis] - seen * size[:, axis])
        border[:, column] = np.where(is_cut & (side == number), at, border[:, column])
    return border


def _turned_root(rotmat, turn) -> np.ndarray:
    """Return local rotations (N, 24, 3, 3) whose joint 0 is turned by ``turn`` (N, 3, 3)."""
    turned = rotmat.copy()
    turned[:, 0] = turn @ rotmat[:, 0]
    return turned


def _on_floor_of(joints_m, other_m, geometry: ImageGeometry) -> np.ndarray:
    """Return other joints (N, 29, 3), camera axes, on the floor under joints (N, 29, 3)."""
    up = geometry.camera_from_world[..., 1]
    floors_m = [np.einsum('nja,na->nj', points, up).min(1) for points in (joints_m, other_m)]
    return other_m + ((floors_m[0] - floors_m[1])[:, None] * up)[:, None]
