"""A rendered person who walks between a calibrated camera and the person that is measured."""

from __future__ import annotations

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.evaluate.video_truth import LIMBS
from niki_training.render import scene
from niki_training.render.body import BodyModel
from niki_training.render.draw import Canvas, MAIN_ID
from niki_training.render.looks import draw_patterns, dress

_ADULT = {'gender': 0.9, 'age': 0.75, 'height': 0.45, 'weight': 0.5, 'muscle': 0.5,
          'proportions': 0.5}
_NEARER = 0.55
_WALK_M_S = 1.3
_ANKLE_M = 0.08
_ANKLES = [LIMBS.index('left_ankle'), LIMBS.index('right_ankle')]
_HIPS = [LIMBS.index('left_hip'), LIMBS.index('right_hip')]


class PasserBy:
    """
    Walks through the view once, from left to right, at about half the distance.

    :ivar covers: (frames, 12) True where the passer-by stands before a limb joint.
    """

    def __init__(self, motion, calibrated, limbs_m, size=None, seed: int = 0):
        """
        Choose a walk and a body, and open a canvas.

        :param motion: of :func:`niki_training.render.motion.load_rooted_motion`.
        :param calibrated: a :class:`~niki_training.evaluate.video_truth.CalibratedCamera`,
            world z up.
        :param limbs_m: (frames, 12, 3) of the measured person, camera axes, metres.
        :param size: width and height of the images, where not those of the calibration.
        :raises InputError: when nobody walks that far in ``motion``.
        """
        rng = np.random.default_rng(seed)
        camera = calibrated.camera.resized(*size) if size else calibrated.camera
        frames = len(limbs_m)
        model = BodyModel(open_skeleton())
        body = model.body(_ADULT)
        start = straightest_walk(motion, frames, _WALK_M_S * frames / motion.fps)
        rotmat, root = scene.person_motion(motion, start, frames, body, rng)
        stage, origin = _stage(limbs_m, calibrated.camera_from_world[:, 2])
        turn = _about_up(root)
        root = (root - root[frames // 2] * (1, 0, 1)) @ turn.T
        rotmat[:, 0] = stage @ turn @ rotmat[:, 0]
        _, self._bones = body.posed(rotmat, root @ stage.T + origin)
        self._matrix = camera.matrix
        self._canvas = Canvas(model, camera.width, camera.height)
        blank = np.zeros((camera.height, camera.width, 3), np.uint8)
        self._canvas.load([dress(body, model.weights, rng)], draw_patterns(rng), blank)
        self._lights = scene.lights_in_camera(scene.draw_lights(rng), stage)
        self._pixels = camera.project(limbs_m)
        self.covers = np.zeros((frames, len(LIMBS)), dtype=bool)

    def on(self, image_rgb, index: int) -> np.ndarray:
        """Return the image of frame ``index`` with the passer-by in it; lenses are not bent."""
        drawn, identity, _ = self._canvas.draw(
            self._matrix, self._lights, self._bones[index][None], truth=False)
        mask = identity == MAIN_ID
        height, width = mask.shape
        pixels = np.nan_to_num(self._pixels[index], nan=-1.0)
        column, row = np.floor(pixels).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        self.covers[index, inside] = mask[row[inside], column[inside]]
        return np.where(mask[..., None], drawn, image_rgb)

    def close(self) -> None:
        """Free the canvas."""
        self._canvas.close()


def straightest_walk(motion, frames: int, length_m: float) -> int:
    """
    Return the first frame of the window that covers ``length_m`` best, and straight.

    :raises InputError: when no piece is long enough, or nobody gets half as far.
    """
    best, found = np.inf, None
    for begin, count in zip(motion.starts, motion.lengths):
        at = np.arange(begin, begin + count - frames + 1, 10)
        if not len(at):
            continue
        path = motion.root_m[at[:, None] + np.linspace(0, frames - 1, 9).astype(int)]
        path = path[..., [0, 2]].astype(np.float64)
        direct = np.linalg.norm(path[:, -1] - path[:, 0], axis=-1)
        walked = np.linalg.norm(np.diff(path, axis=1), axis=-1).sum(1)
        cost = np.abs(direct - length_m) + 3 * (walked - direct)
        if cost.min() < best:
            best, found = cost.min(), int(at[cost.argmin()])
    if found is None or best > length_m / 2:
        raise InputError(f'nobody walks {length_m:.1f} m in {frames} frames of this motion')
    return found


def _stage(limbs_m, up) -> tuple:
    """Return the rotation camera from stage (x right, y up, z towards the camera), its origin."""
    middle = limbs_m[:, _HIPS].mean((0, 1))
    ahead = middle - up * (middle @ up)
    distance = np.linalg.norm(ahead)
    ahead = ahead / distance
    floor = np.nanmin(limbs_m[:, _ANKLES] @ up) - _ANKLE_M
    stage = np.stack([np.cross(ahead, up), up, -ahead], axis=1)
    return stage, _NEARER * distance * ahead + floor * up


def _about_up(root_m) -> np.ndarray:
    """Return the turn about y after which the path (frames, 3) leads along x."""
    way = root_m[-1] - root_m[0]
    angle = np.arctan2(way[2], way[0])
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
