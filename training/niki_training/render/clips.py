"""Random clips of people: the same seed and number give the same people, motion and images."""

from dataclasses import dataclass
from typing import Iterator, NamedTuple

from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import subject_of
from niki_training.data.sampling import WindowSampler
from niki_training.render import furniture, scene, visibility
from niki_training.render.anny_body import AnnyModel, draw_phenotype, RenderedBody
from niki_training.render.appearance import Appearance
from niki_training.render.camera_effects import CameraEffects
from niki_training.render.clothing import draw_patterns
from niki_training.render.motion import RootedMotion
from niki_training.render.opengl import MAIN_ID, OpenGLRenderer

SPLITS = ('train', 'val', 'test')
# of a clip with occlusion to show two to four people, and of any other to show two
_CROWD_ODDS, _COMPANION_ODDS = 0.4, 0.08


@dataclass
class RenderedFrame:
    """One image with its ground truth in camera axes."""

    image_rgb: np.ndarray  # (H, W, 3) uint8, after the effects of the camera
    identity: np.ndarray  # (H, W) uint8: 0 nothing, 1 main person, 2 … others, 100 … furniture
    joints_m: np.ndarray  # (29, 3)
    keypoints_px: np.ndarray  # (29, 2)
    visible: np.ndarray  # (29,) bool
    hidden_percent: float  # of the main person's silhouette, 0 … 100


@dataclass
class ClipPlan:
    """People, motion, camera and furniture of a clip."""

    people: list[RenderedBody]  # the main person first
    rotmat: np.ndarray  # (P, T, 24, 3, 3) of all people, joint 0 in world axes
    root_m: np.ndarray  # (P, T, 3) world axes
    view: scene.View
    boxes: list[furniture.Box]  # of the furniture
    kind: str  # one of ``scene.KINDS``
    piece: str  # name of the main person's piece of motion
    start: int  # its first frame there

    def camera_rotmat(self) -> np.ndarray:
        """Return the main person's local rotations (T, 24, 3, 3), joint 0 in camera axes."""
        rotmat = self.rotmat[0].copy()
        rotmat[:, 0] = self.view.camera_from_world @ rotmat[:, 0]
        return rotmat

    def describe(self) -> dict:
        """Return the ground truth of the whole clip."""
        body = self.people[0]
        return {'betas': body.betas, 'rotmat': self.camera_rotmat(),
                'camera_matrix': self.view.matrix, 'height_m': body.height_m,
                'age': body.phenotype['age'], 'gender': body.phenotype['gender'],
                'weight': body.phenotype['weight'], 'name': self.piece, 'start': self.start,
                'subject': subject_of(self.piece), 'kind': self.kind,
                'people': len(self.people)}


class _PosedPerson(NamedTuple):
    """Joints (T, 29, 3) and bones (T, 24, 3, 4) of one person, camera axes, metres."""

    joints_m: np.ndarray
    bones: np.ndarray


class ClipRenderer:
    """
    Plans and draws clips.

    :param motion: of the split. :param split: one of ``SPLITS``.
    :param frame_count: frames of a clip, 30 a second. :param size: width and height in pixels.
    :param clothes: folders of garments. :param panoramas: folder; see :class:`Appearance`.
    """

    def __init__(self, motion: RootedMotion, skeleton: Skeleton, split: str, seed: int = 0,
                 frame_count: int = 36, size=(640, 480), clothes=(), panoramas=None):
        if split not in SPLITS:
            raise InputError(f'split {split!r} is unknown; expected one of {SPLITS}')
        self.motion, self.split, self.seed = motion, split, seed
        self.frame_count, self.size = frame_count, tuple(size)
        self.windows = WindowSampler(motion, frame_count)
        self.model = AnnyModel(skeleton)
        self.appearance = Appearance(self.model, clothes, panoramas, split)
        self._renderer = OpenGLRenderer(self.model, *size)

    def _rng(self, index: int, stream: int):
        return np.random.default_rng([self.seed, SPLITS.index(self.split), index, stream])

    def plan(self, index: int) -> ClipPlan:
        rng = self._rng(index, 0)
        kind = str(rng.choice(scene.KINDS, p=scene.KIND_ODDS))
        is_occluded = kind in ('occluded', 'both')
        is_crowd = is_occluded and rng.random() < _CROWD_ODDS
        count = int(rng.integers(2, 5)) if is_crowd else 1 + int(rng.random() < _COMPANION_ODDS)
        people = [self.model.body(draw_phenotype(rng)) for _ in range(count)]
        starts = self.windows.draw_starts(count, rng)
        moves = [scene.person_motion(self.motion, start, self.frame_count, body, rng)
                 for start, body in zip(starts, people)]
        rotmat, root_m = (np.stack(part) for part in zip(*moves))
        joints_m, _ = people[0].posed(rotmat[0], root_m[0])
        view = scene.draw_view(joints_m, kind, self.size, rng)
        _place_others(root_m, view, is_crowd, rng)
        piece_count = int(rng.integers(0 if is_crowd else 1, 3)) if is_occluded else 0
        boxes = furniture.draw_furniture(joints_m, view, piece_count, rng)
        boxes += furniture.draw_furniture(joints_m, view, int(rng.integers(4)), rng, behind=True)
        piece, start = self.motion.piece_of(int(starts[0]))
        return ClipPlan(people, rotmat, root_m, view, boxes, kind, piece, start)

    def draw(self, clip: ClipPlan, index: int) -> Iterator[RenderedFrame]:
        rng = self._rng(index, 1)
        outfits = [self.appearance.dress(body, rng) for body in clip.people]
        patterns = draw_patterns(rng)
        background, lights = self.appearance.draw_surroundings(self.size, clip.view, rng)
        self._renderer.load(outfits, patterns, background)
        effects = CameraEffects(self.size, rng)
        surface = self.appearance.surface_samples(clip.people[0], outfits[0], rng)
        matrix = clip.view.matrix
        posed = [_posed_in_camera(*person, clip.view)
                 for person in zip(clip.people, clip.rotmat, clip.root_m)]
        for t in range(clip.rotmat.shape[1]):
            bones = [person.bones[t] for person in posed]
            image, identity, depth_m = self._draw(clip, lights, bones, t)
            if effects.exposure:
                image = self._motion_blurred(clip, lights, posed, t, effects.exposure, image)
            joints_m = posed[0].joints_m[t]
            points_m, normals = surface.posed(bones[0])
            yield RenderedFrame(
                effects.apply(image), identity, joints_m, visibility.project(joints_m, matrix),
                visibility.visible_joints(joints_m, matrix, identity, depth_m, MAIN_ID,
                                          surface.depth_m),
                visibility.hidden_percent(points_m, normals, matrix, identity, MAIN_ID))

    def _draw(self, clip: ClipPlan, lights: dict, bones, t: int, with_depth: bool = True):
        """Return image, ids and depth of frame ``t`` with people at ``bones`` (P, 24, 3, 4)."""
        camera_lights = scene.lights_in_camera(lights, clip.view.camera_from_world[t])
        return self._renderer.draw(
            clip.view.matrix, camera_lights, bones, furniture.triangles(clip.boxes, clip.view, t),
            _background_shift(clip.view, t, self.size), with_depth,
            clip.view.camera_from_world[t])

    def _motion_blurred(self, clip: ClipPlan, lights: dict, posed: list[_PosedPerson], t: int,
                        exposure: float, image) -> np.ndarray:
        """Return the mean of ``image`` and of images at both ends of the exposure."""
        total, last = image.astype(np.uint16), clip.rotmat.shape[1] - 1
        for share in (-exposure / 2, exposure / 2):
            other = min(max(t + (1 if share > 0 else -1), 0), last)
            bones = [(1 - abs(share)) * person.bones[t] + abs(share) * person.bones[other]
                     for person in posed]
            total += self._draw(clip, lights, bones, t, with_depth=False)[0]
        return (total // 3).astype(np.uint8)

    def close(self) -> None:
        self._renderer.close()


def _place_others(root_m, view: scene.View, is_crowd: bool, rng) -> None:
    """Move all but the main person (P, T, 3) next to that person, some of a crowd in front."""
    main_m = root_m[0].mean(0)
    to_camera = (view.position_m[0] - main_m) * (1, 0, 1)
    aside = np.array([to_camera[2], 0, -to_camera[0]]) / max(np.linalg.norm(to_camera), 0.1)
    for other_m in root_m[1:]:
        forward = rng.uniform(0.15, 0.55) if is_crowd and rng.random() < 0.6 else (
            rng.uniform(-1.0, -0.1))
        across = rng.normal() * (0.35 if forward > 0 else 1.0)
        other_m += main_m * (1, 0, 1) + forward * to_camera + across * aside


def _posed_in_camera(body: RenderedBody, rotmat, root_m, view: scene.View) -> _PosedPerson:
    """Return the person of rotations (T, 24, 3, 3) and roots (T, 3) in world axes."""
    in_camera = rotmat.copy()
    in_camera[:, 0] = view.camera_from_world @ in_camera[:, 0]
    return _PosedPerson(*body.posed(in_camera, view.to_camera(root_m)))


def _background_shift(view: scene.View, t: int, size):
    """Return the motion (2,) of the background since frame 0, in widths and heights."""
    ahead = view.camera_from_world[t] @ view.camera_from_world[0].T @ (0.0, 0.0, 1.0)
    if ahead[2] < 0.1:
        return 0.0, 0.0
    moved_px = ahead[:2] / ahead[2] * view.matrix[[0, 1], [0, 1]]
    return tuple(-moved_px / size)
