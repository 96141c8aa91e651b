"""A rendered person who walks between a calibrated camera and the measured person."""

from dataclasses import dataclass

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.evaluate.video_truth import LIMBS
from niki_training.render import scene
from niki_training.render.anny_body import AnnyModel
from niki_training.render.clothing import draw_patterns, dress
from niki_training.render.opengl import MAIN_ID, OpenGLRenderer

_ADULT = {'gender': 0.9, 'age': 0.75, 'height': 0.45, 'weight': 0.5, 'muscle': 0.5,
          'proportions': 0.5}
_ANKLES = [LIMBS.index('left_ankle'), LIMBS.index('right_ankle')]
_HIPS = [LIMBS.index('left_hip'), LIMBS.index('right_hip')]


@dataclass(frozen=True)
class PasserByNumbers:
    """Numbers of :class:`PasserBy`."""

    distance_ratio: float = 0.55  # of the walk, over the distance of the measured person
    speed_m_s: float = 1.3  # of the walk
    ankle_m: float = 0.08  # height of an ankle joint above the floor


class PasserBy:
    """
    Draws a person who walks through the view once, from left to right.

    :param motion: :class:`~niki_training.render.motion.RootedMotion` with a long straight walk.
    :param calibrated: :class:`~niki_training.evaluate.video_truth.CalibratedCamera`, world z up.
    :param limbs_m: (frames, 12, 3) of the measured person, camera axes.
    :param size: width and height of the images; None = those of the calibration.
    :ivar covers: (frames, 12) True for limb joints behind the passer-by; :meth:`paint` sets it.
    """

    def __init__(self, motion, calibrated, limbs_m, size=None, seed: int = 0,
                 numbers: PasserByNumbers = PasserByNumbers()):
        rng = np.random.default_rng(seed)
        camera = calibrated.camera.resized(*size) if size else calibrated.camera
        frame_count = len(limbs_m)
        model = AnnyModel(open_skeleton())
        body = model.body(_ADULT)
        start = straightest_walk(motion, frame_count, numbers.speed_m_s * frame_count / motion.fps)
        rotmat, root_m = scene.person_motion(motion, start, frame_count, body, rng)
        camera_from_stage, origin_m = stage_in_front(
            limbs_m, calibrated.camera_from_world[:, 2], numbers)
        turn = rotmat_to_x(root_m)
        root_m = (root_m - root_m[frame_count // 2] * (1, 0, 1)) @ turn.T
        rotmat[:, 0] = camera_from_stage @ turn @ rotmat[:, 0]
        _, self._bones = body.posed(rotmat, root_m @ camera_from_stage.T + origin_m)
        self._matrix = camera.matrix
        self._renderer = OpenGLRenderer(model, camera.width, camera.height)
        blank = np.zeros((camera.height, camera.width, 3), np.uint8)
        self._renderer.load([dress(body, model.weights, rng)], draw_patterns(rng), blank)
        self._lights = scene.lights_in_camera(scene.draw_lights(rng), camera_from_stage)
        self._limbs_px = camera.project(limbs_m)
        self.covers = np.zeros((frame_count, len(LIMBS)), dtype=bool)

    def paint(self, image_rgb, index: int) -> np.ndarray:
        """Return frame ``index`` (H, W, 3) with the passer-by; lens distortion is left out."""
        drawn, identity, _ = self._renderer.draw(
            self._matrix, self._lights, self._bones[index][None], with_depth=False)
        mask = identity == MAIN_ID
        height, width = mask.shape
        pixels = np.nan_to_num(self._limbs_px[index], nan=-1.0)
        column, row = np.floor(pixels).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
        self.covers[index, inside] = mask[row[inside], column[inside]]
        return np.where(mask[..., None], drawn, image_rgb)

    def close(self) -> None:
        self._renderer.close()


def straightest_walk(motion, frame_count: int, length_m: float) -> int:
    """Return the first frame of the straight window whose length is nearest to ``length_m``."""
    best_m, start = np.inf, None
    for begin, count in zip(motion.starts, motion.lengths):
        at = np.arange(begin, begin + count - frame_count + 1, 10)
        if not len(at):
            continue
        path_m = motion.root_m[at[:, None] + np.linspace(0, frame_count - 1, 9).astype(int)]
        path_m = path_m[..., [0, 2]].astype(np.float64)
        direct_m = np.linalg.norm(path_m[:, -1] - path_m[:, 0], axis=-1)
        walked_m = np.linalg.norm(np.diff(path_m, axis=1), axis=-1).sum(1)
        cost_m = np.abs(direct_m - length_m) + 3 * (walked_m - direct_m)
        if cost_m.min() < best_m:
            best_m, start = cost_m.min(), int(at[cost_m.argmin()])
    if start is None or best_m > length_m / 2:
        raise InputError(f'the motion has no walk of {length_m:.1f} m in {frame_count} frames')
    return start


def stage_in_front(limbs_m, up, numbers: PasserByNumbers = PasserByNumbers()) -> tuple:
    """
    Return the floor in front of a person: camera_from_stage (3, 3) and the origin (3,), metres.

    Stage axes: x right in the image, y up, z towards the camera. ``limbs_m`` (frames, 12, 3) and
    the unit vector ``up`` (3,) have camera axes.
    """
    middle_m = limbs_m[:, _HIPS].mean((0, 1))
    ahead = middle_m - up * (middle_m @ up)
    distance_m = np.linalg.norm(ahead)
    ahead = ahead / distance_m
    floor_m = np.nanmin(limbs_m[:, _ANKLES] @ up) - numbers.ankle_m
    camera_from_stage = np.stack([np.cross(ahead, up), up, -ahead], axis=1)
    return camera_from_stage, numbers.distance_ratio * distance_m * ahead + floor_m * up


def rotmat_to_x(root_m) -> np.ndarray:
    """Return the rotation (3, 3) about y after which the path (frames, 3) leads along x."""
    way_m = root_m[-1] - root_m[0]
    return scene.rotmat_about_y(np.arctan2(way_m[2], way_m[0]))
