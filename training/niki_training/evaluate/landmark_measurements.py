"""Measurements of the landmark network's errors, one row per keypoint and image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINTS, MIRROR_KEYPOINTS
from niki_ros.common.errors import InputError
from niki_ros.observers.landmark_keypoints import KEYPOINTS_FROM_LANDMARKS
from niki_ros.scene.camera import Camera
import numpy as np

_LIMB_COUNT = 12  # the first keypoints are limb joints, hips first; both annotations have them
_COCO = {'nose': 0, 'left_ear': 3, 'right_ear': 4, 'left_shoulder': 5, 'right_shoulder': 6,
         'left_elbow': 7, 'right_elbow': 8, 'left_wrist': 9, 'right_wrist': 10, 'left_hip': 11,
         'right_hip': 12, 'left_knee': 13, 'right_knee': 14, 'left_ankle': 15, 'right_ankle': 16}
_LABELS = {1: 'called hidden', 2: 'seen'}
_PAINTED = ('left_wrist', 'right_wrist', 'left_elbow', 'right_elbow', 'left_knee', 'right_knee',
            'left_ankle', 'right_ankle')


@dataclass(frozen=True)
class MeasurementNumbers:
    """Numbers of the measurements."""

    min_keypoint_count: int = 6  # of an annotated person
    look_count: int = 4  # runs of the network, each in the crop that the run before gives
    min_presence: float = 0.5  # of a person in the last run
    fov_deg: float = 60.0  # assumed for photographs
    border_px: float = 2.0  # a box within this distance of the image border is truncated
    paint_ratio: float = 0.35  # half the side of a painted square, over the person's size
    seen_well: float = 0.9  # visibility of a keypoint that is seen well
    # a keypoint is exchanged when the other side's position is nearer by this ratio,
    exchanged_ratio: float = 0.5
    far_ratio: float = 0.15  # and its own is off by more than this share of the size


NUMBERS = MeasurementNumbers()


@dataclass(frozen=True)
class AnnotatedPerson:
    """A person in a photograph."""

    number: int
    file: Path
    box_px: np.ndarray  # (4,) x0, y0, x1, y1
    keypoints: np.ndarray  # (17, 3) of COCO: x, y in pixels, and 0 not annotated, 1 hidden, 2 seen

    def image_rgb(self) -> np.ndarray:
        """Return the photograph (H, W, 3) uint8."""
        import cv2
        bgr = cv2.imread(str(self.file))
        if bgr is None:
            raise InputError(f'{self.file}: not an image that OpenCV reads')
        return np.ascontiguousarray(bgr[:, :, ::-1])

    @property
    def limbs(self) -> np.ndarray:
        """Return the labels (12, 3) of the first twelve of :data:`KEYPOINTS`."""
        return self.keypoints[[_COCO[name] for name in KEYPOINTS[:_LIMB_COUNT]]]

    @property
    def size_px(self) -> float:
        """Return the mean distance of the annotated limbs from the middle of the hips."""
        limbs = self.limbs
        known = limbs[:, 2] > 0
        hips = limbs[:2][known[:2]] if known[:2].any() else limbs[known]
        off_px = limbs[known, :2] - hips[:, :2].mean(0)
        return max(float(np.linalg.norm(off_px, axis=1).mean()), 1.0)


def load_network(model: str):
    """Return the landmark network with the correction of its average errors."""
    from niki_ros.models.model_store import find_model
    from niki_ros.observers.landmark_errors import LandmarkErrors
    from niki_ros.observers.landmark_network import LandmarkNetwork
    return LandmarkNetwork(find_model(f'landmarks-{model}').path, LandmarkErrors.read())


def annotated_people(folder: Path) -> list[AnnotatedPerson]:
    """Return the people of a folder with enough annotated keypoints."""
    path = Path(folder) / 'persons.npz'
    if not path.is_file():
        raise InputError(f'{folder} has no persons.npz; expected a folder like coco_people')
    with np.load(path, allow_pickle=False) as z:
        images, boxes, keypoints = z['image'], z['bbox'], z['keypoints']
    people = []
    for number, (image, box, points) in enumerate(zip(images, boxes, keypoints)):
        if (points[:, 2] > 0).sum() < NUMBERS.min_keypoint_count:
            continue
        file = Path(folder) / 'images' / str(image)
        file = file if file.suffix else file.with_suffix('.jpg')
        people.append(AnnotatedPerson(number, file, np.r_[box[:2], box[:2] + box[2:]], points))
    return people


@dataclass(frozen=True)
class SettledLook:
    """The output of the network after its crop has settled."""

    image_rgb: np.ndarray  # (H, W, 3)
    camera: Camera
    place: object  # the crop
    keypoints_px: np.ndarray  # (21, 2)
    seen: np.ndarray  # (21,) visibility 0 … 1


def settled_look(network, person: AnnotatedPerson) -> SettledLook | None:
    """Run the network several times, each in the crop of the last run; None without a person."""
    image = person.image_rgb()
    camera = Camera.from_fov(image.shape[1], image.shape[0], NUMBERS.fov_deg)
    place = network.crop_of(person.box_px, camera)
    for _ in range(NUMBERS.look_count):
        before, look = place, network.estimate(image, camera, [place])[0]
        place = look.next_crop
    if look.presence < NUMBERS.min_presence:
        return None
    return SettledLook(image, camera, before, *_keypoints(look, camera))


def _keypoints(look, camera: Camera):
    """Return image positions (21, 2) and visibility (21,)."""
    points = look.observation.keypoint_rays
    return camera.project(points.rays), points.seen


def keypoint_errors(person: AnnotatedPerson, look: SettledLook) -> list[dict]:
    height, width = look.image_rgb.shape[:2]
    x0, y0, x1, y1 = person.box_px
    border_px = NUMBERS.border_px
    truncated = bool(x0 < border_px or y0 < border_px or x1 > width - border_px
                     or y1 > height - border_px)
    rows = []
    for name, coco in _COCO.items():
        label = int(person.keypoints[coco, 2])
        if label:
            rows.append({'person': person.number, 'joint': name.split('_')[-1],
                         'label': _LABELS[label], 'size_px': person.size_px,
                         'truncated': float(truncated), **_keypoint_error(person, look, name)})
    return rows


def _keypoint_error(person: AnnotatedPerson, look: SettledLook, name: str) -> dict:
    """Return visibility and error of one keypoint, and 1.0 where it is the other side's."""
    index = KEYPOINTS.index(name)
    true_px = person.keypoints[_COCO[name], :2]
    error, other = (float(np.linalg.norm(look.keypoints_px[k] - true_px)) / person.size_px
                    for k in (index, MIRROR_KEYPOINTS[index]))
    is_exchanged = (index < _LIMB_COUNT and error > NUMBERS.far_ratio
                    and other < NUMBERS.exchanged_ratio * error)
    return {'seen': float(look.seen[index]), 'error': error, 'exchanged': float(is_exchanged)}


def painted_keypoint_errors(network, person: AnnotatedPerson, look: SettledLook) -> list[dict]:
    """Return one row for each joint that is seen well and is then painted over."""
    rows = []
    for name in _PAINTED:
        x, y, label = person.keypoints[_COCO[name]]
        if label != 2 or look.seen[KEYPOINTS.index(name)] < NUMBERS.seen_well:
            continue
        image, half_px = look.image_rgb.copy(), NUMBERS.paint_ratio * person.size_px
        rows_px, columns_px = (slice(max(int(v - half_px), 0), max(int(v + half_px), 1))
                               for v in (y, x))
        image[rows_px, columns_px] = image.reshape(-1, 3).mean(0)
        again = network.estimate(image, look.camera, [look.place])[0]
        painted = SettledLook(image, look.camera, look.place, *_keypoints(again, look.camera))
        rows.append({'person': person.number, 'joint': name.split('_')[-1],
                     'label': 'painted over', **_keypoint_error(person, painted, name)})
    return rows


def rendered_errors(folder: Path) -> tuple[dict, dict]:
    """
    Return joint → lasting and flickering error, and joint → slope of the estimated depth.

    Only of limb joints that the network sees well and that are visible; per coordinate, medians.
    """
    from niki_training.front_end.observe import landmark_axes
    from niki_training.render.shards import read_shards
    shards = read_shards(Path(folder), 'train')
    joints_m = shards['joints_m'][:, :, JOINT_OF_KEYPOINT[:_LIMB_COUNT]]
    weights = KEYPOINTS_FROM_LANDMARKS[:_LIMB_COUNT]
    known = (shards['obs_found'][..., None]
             & (shards['obs_landmarks_seen'] @ weights.T > NUMBERS.seen_well)
             & shards['visible'][:, :, JOINT_OF_KEYPOINT[:_LIMB_COUNT]].astype(bool))
    error = np.where(known[..., None], _image_errors(shards, joints_m, weights), np.nan)
    rendered = {}
    for name, rows in _kinds():
        lasting = np.nanmedian(error[:, :, rows], axis=1)
        changes = np.abs(np.diff(error[:, :, rows], axis=1))
        rendered[name] = {'lasting': float(np.nanmedian(np.abs(lasting))),
                          'flickers': float(np.nanmedian(changes) / np.sqrt(2))}
    clip, frame = np.nonzero(shards['obs_found'])
    axes = landmark_axes(shards, clip, frame)
    about_hips_m = joints_m - joints_m[:, :, :2].mean(2, keepdims=True)
    depth_m = (about_hips_m[clip, frame] @ axes)[..., 2]
    guess_m = (weights @ shards['obs_landmarks_world_m'][clip, frame])[..., 2]
    guess_m = guess_m - guess_m[:, :2].mean(1, keepdims=True)
    return rendered, depth_slopes(depth_m, guess_m, known[clip, frame])


def _image_errors(shards: dict, joints_m, weights) -> np.ndarray:
    """Return errors (clips, frames, 12, 2) in the image, over the size of the person there."""
    focal_px, centre_px = (shards['camera_matrix'][:, None, None, [0, 1], at]
                           for at in ([0, 1], 2))
    pixels = weights @ shards['obs_landmarks'] * shards['image_size'][:, None, None]
    true = joints_m[..., :2] / joints_m[..., 2:]
    size = np.linalg.norm(true - true[:, :, :2].mean(2, keepdims=True), axis=-1).mean(-1)
    return ((pixels - centre_px) / focal_px - true) / size[..., None, None]


def _kinds() -> Iterator[tuple[str, list[int]]]:
    for row in range(0, _LIMB_COUNT, 2):
        yield KEYPOINTS[row].split('_')[-1], [row, row + 1]


def depth_slopes(true_m, guess_m, known) -> dict[str, dict[str, float]]:
    """
    Return joint → slope of estimated over true depth, and standard deviation from that line, mm.

    :param true_m: (n, 12) depth about the hips. :param guess_m: (n, 12) its estimate.
    :param known: (n, 12) True where both count.
    """
    slopes = {}
    for name, rows in _kinds():
        mask = known[:, rows]
        true, guess = true_m[:, rows][mask], guess_m[:, rows][mask]
        if len(true) > 2:
            slope, offset = np.polyfit(true, guess, 1)
            residual_m = guess - slope * true - offset
            slopes[name] = {'slope': float(slope), 'residual_mm': float(1e3 * residual_m.std())}
    return slopes


def video_depth_slopes(folder: Path, model: str) -> dict[str, dict[str, float]]:
    """Return :func:`depth_slopes` on calibrated video with measured joints."""
    from niki_ros.common.settings import ObserverConfig, PipelineConfig
    from niki_ros.observers import load_observer
    from niki_ros.sources.open import open_source

    from niki_training.evaluate.video_scores import is_of_person
    from niki_training.evaluate.video_truth import read_trial
    config = PipelineConfig(observer=ObserverConfig(model=model))
    depths_m, guesses_m, known = [], [], []
    for clip in read_trial(folder):
        camera, observer = clip.calibrated.camera, load_observer(config)
        with open_source(str(clip.video)) as source:
            for frame, true_m in zip(source, clip.limbs_m):
                people = observer.observe(frame.image_rgb, camera, frame.stamp_ns)
                one = next((one for one in people if is_of_person(one, camera.project(true_m))),
                           None)
                if one is not None and one.keypoint_rays is not None:
                    depths_m.append(true_m[:, 2] - true_m[:2, 2].mean())
                    guesses_m.append(one.keypoint_rays.guess_m[:_LIMB_COUNT, 2])
                    known.append(one.keypoint_rays.seen[:_LIMB_COUNT] > NUMBERS.seen_well)
        observer.close()
    if not depths_m:
        raise InputError(f'{folder}: no person is found in these videos')
    return depth_slopes(*(np.array(values) for values in (depths_m, guesses_m, known)))
