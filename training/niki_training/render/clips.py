"""A clip from its number: the same seed and number give the same people, motion and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator

from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import subject_of, Windows
from niki_training.render import scene, truth
from niki_training.render.body import BodyModel, draw_phenotype
from niki_training.render.draw import Canvas, MAIN_ID
from niki_training.render.looks import draw_patterns, dress
from niki_training.render.motion import RootedMotion
from niki_training.render.surroundings import draw_background, Lens

SPLITS = ('train', 'val', 'test')
FRAME_NS = 33_333_333


@dataclass
class Frame:
    """
    One picture with its truth, camera axes, metres and pixels.

    :param image_rgb: (H, W, 3) uint8 as the camera delivers it.
    :param identity: (H, W) uint8: 1 = the main person, 2 … others, 100 … furniture, 0 = nothing.
    :param joints_m: (29, 3). :param keypoints_px: (29, 2). :param visible: (29,) bool.
    :param hidden_percent: of the person's silhouette, 0 … 100.
    """

    image_rgb: np.ndarray
    identity: np.ndarray
    joints_m: np.ndarray
    keypoints_px: np.ndarray
    visible: np.ndarray
    hidden_percent: float


@dataclass
class Clip:
    """
    A clip that is planned, not yet drawn.

    :param rotmat: (P, T, 24, 3, 3) of every person, joint 0 in world axes.
    :param root_m: (P, T, 3) world. :param kind: one of ``scene.KINDS``.
    :param piece: name of the main person's motion, and ``start`` its first frame there.
    """

    people: list
    rotmat: np.ndarray
    root_m: np.ndarray
    view: scene.View
    solids: list
    kind: str
    piece: str
    start: int

    def camera_rotmat(self) -> np.ndarray:
        """Return the main person's local rotations, joint 0 in camera axes, (T, 24, 3, 3)."""
        rotmat = self.rotmat[0].copy()
        rotmat[:, 0] = self.view.camera_from_world @ rotmat[:, 0]
        return rotmat

    def describe(self) -> dict:
        """Return the truth that holds for the whole clip."""
        body = self.people[0]
        return {'betas': body.betas, 'rotmat': self.camera_rotmat(),
                'camera_matrix': self.view.matrix, 'height_m': body.height_m,
                'age': body.phenotype['age'], 'gender': body.phenotype['gender'],
                'weight': body.phenotype['weight'], 'name': self.piece, 'start': self.start,
                'subject': subject_of(self.piece), 'kind': self.kind,
                'people': len(self.people)}


class Studio:
    """Makes clips: everything that is loaded once."""

    def __init__(self, motion: RootedMotion, skeleton: Skeleton, split: str, seed: int = 0,
                 frames: int = 36, size=(640, 480)):
        """Load the bodies and open a canvas."""
        if split not in SPLITS:
            raise InputError(f'split {split!r} is unknown; expected one of {SPLITS}')
        self.motion, self.skeleton, self.split = motion, skeleton, split
        self.seed, self.frames, self.size = seed, frames, tuple(size)
        self.windows = Windows(motion, frames)
        self.model = BodyModel(skeleton)
        self.canvas = Canvas(self.model, *size)

    def _rng(self, index: int, part: int):
        return np.random.default_rng([self.seed, SPLITS.index(self.split), index, part])

    def plan(self, index: int) -> Clip:
        """Decide what happens in clip ``index``."""
        rng = self._rng(index, 0)
        kind = str(rng.choice(scene.KINDS, p=scene.KIND_SHARES))
        crowd = kind in ('occluded', 'both') and rng.random() < 0.4
        count = int(rng.integers(2, 5)) if crowd else 1 + int(rng.random() < 0.08)
        people = [self.model.body(draw_phenotype(rng)) for _ in range(count)]
        starts = self.windows.draw_starts(count, rng)
        moves = [scene.person_motion(self.motion, start, self.frames, body, rng)
                 for start, body in zip(starts, people)]
        rotmat, root = (np.stack(part) for part in zip(*moves))
        joints, _ = people[0].posed(rotmat[0], root[0])
        view = scene.draw_view(joints, kind, self.size, rng)
        self._spread(root, view, crowd, rng)
        pieces = 0
        if kind in ('occluded', 'both'):
            pieces = int(rng.integers(0 if crowd else 1, 3))
        solids = scene.draw_furniture(joints, view, pieces, rng)
        solids += scene.draw_furniture(joints, view, int(rng.integers(4)), rng, behind=True)
        piece, start = self.motion.piece_of(int(starts[0]))
        return Clip(people, rotmat, root, view, solids, kind, piece, start)

    @staticmethod
    def _spread(root, view, crowd: bool, rng) -> None:
        """Place the others around the main person; in a crowd some stand in front."""
        main = root[0].mean(0)
        to_camera = (view.place_m[0] - main) * (1, 0, 1)
        aside = np.array([to_camera[2], 0, -to_camera[0]]) / max(np.linalg.norm(to_camera), 0.1)
        for other in root[1:]:
            before = rng.uniform(0.15, 0.55) if crowd and rng.random() < 0.6 else (
                rng.uniform(-1.0, -0.1))
            across = rng.normal() * (0.35 if before > 0 else 1.0)
            other += main * (1, 0, 1) + before * to_camera + across * aside

    def frames_of(self, clip: Clip, index: int) -> Iterator[Frame]:
        """Draw a clip."""
        rng = self._rng(index, 1)
        looks = [dress(body, self.model.weights, rng) for body in clip.people]
        self.canvas.load(looks, draw_patterns(rng), draw_background(self.size, clip.view, rng))
        lights, lens = scene.draw_lights(rng), Lens(self.size, rng)
        probe = truth.Probe(clip.people[0], self.model.weights, looks[0]['vertices'], rng)
        view, matrix = clip.view, clip.view.matrix
        posed = [_in_camera(body, clip.rotmat[p], clip.root_m[p], view)
                 for p, body in enumerate(clip.people)]
        for t in range(clip.rotmat.shape[1]):
            bones = [moves[t] for _, moves in posed]
            image, identity, depth = self.canvas.draw(
                matrix, scene.lights_in_camera(lights, view.camera_from_world[t]), bones,
                scene.triangles(clip.solids, view, t), _drift(view, t, self.size))
            if lens.exposure:
                image = self._exposed(clip, lights, posed, t, lens.exposure, image)
            joints = posed[0][0][t]
            points, normals = probe.posed(bones[0])
            yield Frame(
                lens.take(image), identity, joints, truth.pixels_of(joints, matrix),
                truth.visible_joints(joints, matrix, identity, depth, MAIN_ID, probe.depth_m),
                truth.hidden_percent(points, normals, matrix, identity, MAIN_ID))

    def _exposed(self, clip, lights, posed, t: int, exposure: float, image):
        """Blend ``image`` with what there was shortly before and after it."""
        total, last = image.astype(np.uint16), clip.rotmat.shape[1] - 1
        for share in (-exposure / 2, exposure / 2):
            other = min(max(t + (1 if share > 0 else -1), 0), last)
            bones = [(1 - abs(share)) * moves[t] + abs(share) * moves[other]
                     for _, moves in posed]
            view = clip.view
            total += self.canvas.draw(
                view.matrix, scene.lights_in_camera(lights, view.camera_from_world[t]), bones,
                scene.triangles(clip.solids, view, t), _drift(view, t, self.size), False)[0]
        return (total // 3).astype(np.uint8)

    def close(self) -> None:
        """Free the canvas."""
        self.canvas.close()


def _in_camera(body, rotmat, root_m, view):
    """Return joints (T, 29, 3) and bones (T, 24, 3, 4) of a person in the camera's axes."""
    turned = rotmat.copy()
    turned[:, 0] = view.camera_from_world @ turned[:, 0]
    return body.posed(turned, view.into(root_m))


def _drift(view, t: int, size):
    """Return how far the background has moved since the first frame, in widths and heights."""
    ahead = view.camera_from_world[t] @ view.camera_from_world[0].T @ (0.0, 0.0, 1.0)
    if ahead[2] < 0.1:
        return 0.0, 0.0
    moved = ahead[:2] / ahead[2] * view.matrix[[0, 1], [0, 1]]
    return tuple(-moved / size)
