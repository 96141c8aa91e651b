"""Measurements of the landmark network's errors, one row per keypoint and image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINTS, MIRROR_KEYPOINTS
from niki_ros.common.errors import InputError
from niki_ros.observers.landmark_keypoints import KEYPOINTS_FROM_LANDMARKS
from niki_ros.scene.camera import Camera
import numpy as np

_LIMBS = 12
"""The first keypoints are limb joints, hips first; joints of both annotations."""
_COCO = {'nose': 0, 'left_ear': 3, 'right_ear': 4, 'left_shoulder': 5, 'right_shoulder': 6,
         'left_elbow': 7, 'right_elbow': 8, 'left_wrist': 9, 'right_wrist': 10, 'left_hip': 11,
         'right_hip': 12, 'left_knee': 13, 'right_knee': 14, 'left_ankle': 15, 'right_ankle': 16}
_LABELS = {1: 'called hidden', 2: 'seen'}
_LEAST_KEYPOINTS = 6
_LOOKS = 4
_PRESENT = 0.5
_EDGE_PX = 2.0
_PAINTED = ('left_wrist', 'right_wrist', 'left_elbow', 'right_elbow', 'left_knee', 'right_knee',
            'left_ankle', 'right_ankle')
_PAINT_SHARE = 0.35
"""Half the side of a painted square, as a share of the person's size."""
_FOV_DEG = 60.0
_SEEN_WELL, _EXCHANGED, _FAR = 0.9, 0.5, 0.15


@dataclass(frozen=True)
class Annotated:
    """
    A person in a photograph.

    :param box_px: (4,) x0, y0, x1, y1. :param keypoints: (17, 3) of COCO: x, y, 0 … 2.
    """

    number: int
    image: Path
    box_px: np.ndarray
    keypoints: np.ndarray

    def read(self) -> np.ndarray:
        """Return the photograph (H, W, 3), RGB."""
        import cv2
        bgr = cv2.imread(str(self.image))
        if bgr is None:
            raise InputError(f'{self.image}: not an image that OpenCV reads')
        return np.ascontiguousarray(bgr[:, :, ::-1])

    @property
    def size_px(self) -> float:
        """Return the mean distance of the annotated limbs from the middle of the hips."""
        places = self.keypoints[[_COCO[name] for name in KEYPOINTS[:_LIMBS]]]
        known = places[:, 2] > 0
        hips = places[:2][known[:2]] if known[:2].any() else places[known]
        off = places[known, :2] - hips[:, :2].mean(0)
        return max(float(np.linalg.norm(off, axis=1).mean()), 1.0)


def load_network(model: str):
    """Return the landmark network, corrected as in the pipeline."""
    from niki_ros.models.model_folder import find_model
    from niki_ros.observers.landmark_errors import LandmarkErrors
    from niki_ros.observers.landmark_network import LandmarkNetwork
    return LandmarkNetwork(find_model(f'landmarks-{model}').path, LandmarkErrors.read())


def annotated_people(folder: Path) -> List[Annotated]:
    """
    Return everybody with six keypoints or more.

    :raises InputError: when the folder holds no annotated photographs.
    """
    path = Path(folder) / 'persons.npz'
    if not path.is_file():
        raise InputError(f'{folder} has no persons.npz; expected a folder like coco_people')
    with np.load(path, allow_pickle=False) as z:
        images, boxes, keypoints = z['image'], z['bbox'], z['keypoints']
    people = []
    for number, (image, box, points) in enumerate(zip(images, boxes, keypoints)):
        if (points[:, 2] > 0).sum() < _LEAST_KEYPOINTS:
            continue
        file = Path(folder) / 'images' / str(image)
        file = file if file.suffix else file.with_suffix('.jpg')
        people.append(Annotated(number, file, np.r_[box[:2], box[:2] + box[2:]], points))
    return people


@dataclass(frozen=True)
class Settled:
    """What the network says once its crop has settled: positions (21, 2) and sight (21,)."""

    image_rgb: np.ndarray
    camera: Camera
    place: object
    pixels: np.ndarray
    seen: np.ndarray


def settled_look(network, person: Annotated) -> Optional[Settled]:
    """Look several times, each time where the last look says; None when no person is there."""
    image = person.read()
    camera = Camera.from_fov(image.shape[1], image.shape[0], _FOV_DEG)
    place = network.place_of(person.box_px, camera)
    for _ in range(_LOOKS):
        before, look = place, network.look(image, camera, [place])[0]
        place = look.place
    if look.present < _PRESENT:
        return None
    return Settled(image, camera, before, *_keypoints(look, camera))


def _keypoints(look, camera):
    points = look.observation.keypoint_rays
    return camera.project(points.rays), points.seen


def errors_of(person: Annotated, look: Settled) -> List[Dict]:
    """Return a row for each annotated keypoint."""
    height, width = look.image_rgb.shape[:2]
    x0, y0, x1, y1 = person.box_px
    truncated = bool(x0 < _EDGE_PX or y0 < _EDGE_PX or x1 > width - _EDGE_PX
                     or y1 > height - _EDGE_PX)
    rows = []
    for name, coco in _COCO.items():
        label = int(person.keypoints[coco, 2])
        if label:
            rows.append({'person': person.number, 'joint': name.split('_')[-1],
                         'label': _LABELS[label], 'size_px': person.size_px,
                         'truncated': float(truncated), **_miss(person, look, name)})
    return rows


def _miss(person: Annotated, look: Settled, name: str) -> Dict:
    """Return the error of one keypoint, how well it is seen, whether it is the other side's."""
    index = KEYPOINTS.index(name)
    true = person.keypoints[_COCO[name], :2]
    error = float(np.linalg.norm(look.pixels[index] - true)) / person.size_px
    other = float(np.linalg.norm(look.pixels[MIRROR_KEYPOINTS[index]] - true)) / person.size_px
    return {'seen': float(look.seen[index]), 'error': error,
            'exchanged': float(index < _LIMBS and error > _FAR and other < _EXCHANGED * error)}


def painted_over(network, person: Annotated, look: Settled) -> List[Dict]:
    """Paint single joints over that are seen well, and look again at the same place."""
    rows = []
    for name in _PAINTED:
        x, y, label = person.keypoints[_COCO[name]]
        if label != 2 or look.seen[KEYPOINTS.index(name)] < _SEEN_WELL:
            continue
        image, half = look.image_rgb.copy(), _PAINT_SHARE * person.size_px
        rows_px, columns_px = (slice(max(int(v - half), 0), max(int(v + half), 1))
                               for v in (y, x))
        image[rows_px, columns_px] = image.reshape(-1, 3).mean(0)
        again = network.look(image, look.camera, [look.place])[0]
        pixels, seen = _keypoints(again, look.camera)
        painted = Settled(image, look.camera, look.place, pixels, seen)
        rows.append({'person': person.number, 'joint': name.split('_')[-1],
                     'label': 'painted over', **_miss(person, painted, name)})
    return rows


def of_rendered(folder: Path):
    """
    Return joint → lasting and flickering error, and joint → slope of the guess of depth.

    Only limb joints that the network sees well and that nothing hides; per coordinate, medians.
    """
    from niki_training.front_end.observe import landmark_axes
    from niki_training.render.shards import read_shards
    shards = read_shards(Path(folder), 'train')
    joints = shards['joints_m'][:, :, JOINT_OF_KEYPOINT[:_LIMBS]]
    weights = KEYPOINTS_FROM_LANDMARKS[:_LIMBS]
    focal, middle = (shards['camera_matrix'][:, None, None, [0, 1], at] for at in ([0, 1], 2))
    pixels = weights @ shards['obs_landmarks'] * shards['image_size'][:, None, None]
    true = joints[..., :2] / joints[..., 2:]
    size = np.linalg.norm(true - true[:, :, :2].mean(2, keepdims=True), axis=-1).mean(-1)
    error = ((pixels - middle) / focal - true) / size[..., None, None]
    known = (shards['obs_found'][..., None]
             & (shards['obs_landmarks_seen'] @ weights.T > _SEEN_WELL)
             & shards['visible'][:, :, JOINT_OF_KEYPOINT[:_LIMBS]].astype(bool))
    error = np.where(known[..., None], error, np.nan)
    rendered = {}
    for name, rows in _kinds():
        mine = error[:, :, rows]
        lasting = np.nanmedian(mine, axis=1)
        rendered[name] = {
            'lasting': float(np.nanmedian(np.abs(lasting))),
            'flickers': float(np.nanmedian(np.abs(np.diff(mine, axis=1))) / np.sqrt(2))}
    clip, frame = np.nonzero(shards['obs_found'])
    axes = landmark_axes(shards, clip, frame)
    about = joints - joints[:, :, :2].mean(2, keepdims=True)
    depth = (about[clip, frame] @ axes)[..., 2]
    guess = (weights @ shards['obs_landmarks_world_m'][clip, frame])[..., 2]
    guess = guess - guess[:, :2].mean(1, keepdims=True)
    return rendered, depth_slopes(depth, guess, known[clip, frame])


def _kinds():
    """Yield the kinds of limb joints and the rows (2,) of both sides."""
    for row in range(0, _LIMBS, 2):
        yield KEYPOINTS[row].split('_')[-1], [row, row + 1]


def depth_slopes(true_m, guess_m, known) -> Dict:
    """
    Return joint → slope of the guess over the truth, and standard deviation from that line, mm.

    :param true_m: (n, 12) depth about the hips. :param guess_m: likewise. :param known: (n, 12).
    """
    out = {}
    for name, rows in _kinds():
        ok = known[:, rows]
        true, guess = true_m[:, rows][ok], guess_m[:, rows][ok]
        if len(true) > 2:
            slope, offset = np.polyfit(true, guess, 1)
            residual = guess - slope * true - offset
            out[name] = {'slope': float(slope), 'residual_mm': float(1e3 * residual.std())}
    return out


def depth_of_video(folder: Path, model: str) -> Dict:
    """Return joint → slope of the guess of depth on calibrated video with measured joints."""
    from niki_ros.common.settings import ObserverConfig, PipelineConfig
    from niki_ros.observers import load_observer
    from niki_ros.sources.open import open_source

    from niki_training.evaluate.video import is_there
    from niki_training.evaluate.video_truth import limb_joints, read_calibration, read_trc
    trials, videos = sorted(folder.glob('*.trc')), sorted(folder.glob('*.mp4'))
    if len(trials) != 1 or not videos:
        raise InputError(f'{folder} has {len(trials)} .trc and {len(videos)} .mp4 files; '
                         'expected one trial and a video per camera')
    truth = limb_joints(read_trc(trials[0]))
    config = PipelineConfig(observer=ObserverConfig(model=model))
    depths, guesses, known = [], [], []
    for (_, calibrated), video in zip(
            sorted(read_calibration(folder / 'calibration.toml').items()), videos):
        observer = load_observer(config)
        with open_source(str(video)) as source:
            for frame, world in zip(source, truth):
                true = calibrated.points(world)
                for one in observer.observe(frame.image_rgb, calibrated.camera, frame.stamp_ns):
                    if is_there(one, calibrated.camera.project(true)):
                        points = one.keypoint_rays
                        depths.append(true[:, 2] - true[:2, 2].mean())
                        guesses.append(points.guess_m[:_LIMBS, 2])
                        known.append(points.seen[:_LIMBS] > _SEEN_WELL)
                        break
        observer.close()
    if not depths:
        raise InputError(f'{folder}: no person is seen in these videos')
    return depth_slopes(*(np.array(values) for values in (depths, guesses, known)))
