"""
Crops of people in photographs, cut as following cuts them, with keypoints and a teacher's outputs.

The teacher is the untouched landmark network. It looks at a person three times, each time in the
crop that the look before gives. Where it then sees another person, the crop is that of the box,
and its outputs are not learned.
"""

from dataclasses import dataclass
from pathlib import Path
import zlib

from niki_ros.common.errors import InputError
from niki_ros.images.pixels import jpeg_from_rgb, network_input, rgb_from_jpeg, rgb_of_view
from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_keypoints import KEYPOINTS_FROM_LANDMARKS
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.view_network import MARGIN, SIZE_PX
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np
from tqdm import tqdm

from niki_training.evaluate.landmark_measurements import annotated_people, AnnotatedPerson, NUMBERS
from niki_training.files.archives import opened_npz
from niki_training.look.jpeg_crops import JpegCrops

FREE_LICENCES = (4, 5, 7, 8)  # of COCO: BY, BY-SA, no known restrictions, US government
SURROUNDINGS_RATIO = 1.5  # side of a stored picture over that of the crop, for augmentation
COCO_LIMBS = (11, 12, 13, 14, 15, 16, 5, 6, 7, 8, 9, 10)
"""COCO's keypoints in the order of :data:`niki_training.evaluate.video_truth.LIMBS`."""
_STORED_PX = round(SIZE_PX * SURROUNDINGS_RATIO)
_HELD_OUT_EVERY = 4
_QUALITY = 92


@dataclass(frozen=True)
class TeacherNumbers:
    """Numbers of :func:`cut_photographs`."""

    looks: int = 3  # of the teacher, before the one that is kept
    max_off_ratio: float = 0.15  # median distance to the labels over the side of the box
    min_presence: float = 0.5


@dataclass(frozen=True)
class Photographs(JpegCrops):
    """
    N crops of people in photographs; positions are sides of the crop from its centre.

    Pictures have 384 px, of which the crop is the middle 256 px.
    """

    keypoints: np.ndarray  # (N, 17, 3) of COCO: u, v, and 0 not annotated, 1 hidden, 2 seen
    landmarks: np.ndarray  # (N, 195) the teacher's outputs
    world: np.ndarray  # (N, 117)
    flag: np.ndarray  # (N, 1)
    peaks: np.ndarray  # (N, 99)
    is_taught: np.ndarray  # (N,) bool, the teacher sees this person
    box_side: np.ndarray  # (N,) longer side of the person's box
    is_held_out: np.ndarray  # (N,) bool, the photograph is kept for evaluation
    size: str  # of the teacher: lite, full or heavy

    def images(self) -> np.ndarray:
        """Return the pictures with surroundings (N, 384, 384, 3) uint8 RGB."""
        return np.stack([rgb_from_jpeg(data) for data in self.jpeg])

    def crops(self) -> np.ndarray:
        """Return the crops themselves (N, 256, 256, 3) uint8 RGB."""
        edge = (_STORED_PX - SIZE_PX) // 2
        return self.images()[:, edge:-edge, edge:-edge]

    def of_split(self, held_out: bool) -> 'Photographs':
        """Return the crops that are kept for evaluation, or the others."""
        keep = np.flatnonzero(self.is_held_out == held_out)
        if not len(keep):
            raise InputError('the photographs have too few people for training and evaluation')
        return self.rows(keep)

    def first(self, count: int) -> 'Photographs':
        """Return the first ``count`` crops."""
        return self.rows(np.arange(min(count, len(self.jpeg))))


def is_held_out(image: str) -> bool:
    """Return whether a photograph is kept for evaluation: one of four, by its name."""
    return zlib.crc32(image.encode()) % _HELD_OUT_EVERY == 0


def read_photographs(path: Path, size: str) -> Photographs:
    """
    Return crops of a folder like coco_people, or of a file of :meth:`Photographs.write`.

    :param size: of the teacher. :raises InputError: when the file is of another teacher.
    """
    if Path(path).is_dir():
        return cut_photographs(path, size)
    found = Photographs.read(path, 'crops of photographs',
                             'niki-train look writes one into its run')
    if found.size != size:
        raise InputError(f'{path} was cut with the teacher {found.size!r}, not {size!r}; give the '
                         'folder of the photographs instead')
    return found


def cut_photographs(folder: Path, size: str, numbers: TeacherNumbers = TeacherNumbers()
                    ) -> Photographs:
    """Cut the crops of all people with enough keypoints whose photograph is free."""
    free = _free_people(folder)
    people = [person for person in annotated_people(folder) if free[person.number]]
    if not people:
        raise InputError(f'{folder}: no photograph of a person has one of the licences '
                         f'{FREE_LICENCES}')
    # one thread: on cores that are busy, two spend their time in waiting for each other
    teacher = LandmarkNetwork(find_model(f'landmarks-{size}').path, threads=1)
    rows = [_person_crop(teacher, person, numbers)
            for person in tqdm(people, desc='photographs', disable=None, unit='person')]
    teacher.close()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return Photographs(columns.pop('jpeg'), size=size, **{
        name: np.array(column) for name, column in columns.items()})


def _free_people(folder: Path) -> np.ndarray:
    """Return (n,) whether the photograph of each person may be used, changed and sold."""
    with opened_npz(Path(folder) / 'persons.npz', 'annotated people', 'expected a folder like '
                    'coco_people') as z:
        return np.isin(z['licence'], FREE_LICENCES)


def _person_crop(teacher, person: AnnotatedPerson, numbers: TeacherNumbers) -> dict:
    """Return one row of :class:`Photographs`."""
    image = person.image_rgb()
    camera = Camera.from_fov(image.shape[1], image.shape[0], NUMBERS.fov_deg)
    view = first = teacher.crop_of(person.box_px, camera)
    for _ in range(numbers.looks):
        view = teacher.estimate(image, camera, [view])[0].next_crop
    row = _look(teacher, image, view, camera, person, numbers)
    if not row['is_taught']:
        row = {**_look(teacher, image, first, camera, person, numbers), 'is_taught': False}
        view = first
    wide = rgb_of_view(image, view.enlarged(SURROUNDINGS_RATIO, 0.0), _STORED_PX, camera)
    return {**row, 'jpeg': jpeg_from_rgb(wide, _QUALITY),
            'is_held_out': is_held_out(person.file.stem)}


def _look(teacher, image, view: PersonView, camera: Camera, person, numbers) -> dict:
    """Return labels and the teacher's outputs in a view, and whether both agree."""
    found = teacher.engine.run({'image': network_input([rgb_of_view(image, view, SIZE_PX,
                                                                    camera)])})
    keypoints = np.concatenate([uv_of_pixels(person.keypoints[:, :2], view, camera),
                                person.keypoints[:, 2:]], axis=1)
    box = PersonView.around(person.box_px, camera, MARGIN)
    side = box.width / MARGIN / view.width
    marks = _limb_marks(found['landmarks'][0])
    known = keypoints[list(COCO_LIMBS), 2] > 0
    off = np.linalg.norm(marks - keypoints[list(COCO_LIMBS), :2], axis=1)[known]
    is_taught = (found['flag'][0, 0] > numbers.min_presence and known.any()
                 and np.median(off) < numbers.max_off_ratio * side)
    return {'keypoints': keypoints.astype(np.float32), 'box_side': np.float32(side),
            'is_taught': bool(is_taught),
            **{name: found[name][0] for name in ('landmarks', 'world', 'flag', 'peaks')}}


def _limb_marks(landmarks) -> np.ndarray:
    """Return the limb joints (12, 2) of landmarks (195,), sides of the crop from its centre."""
    marks = landmarks.reshape(39, 5)[:33, :2] / SIZE_PX - 0.5
    return (KEYPOINTS_FROM_LANDMARKS @ marks)[:len(COCO_LIMBS)]


def uv_of_pixels(pixels, view: PersonView, camera: Camera) -> np.ndarray:
    """Return positions (n, 2), sides of the crop from its centre, of pixels (n, 2) of an image."""
    rays = camera.rays(pixels) @ view.camera_from_view
    return rays[:, :2] / rays[:, 2:] / view.width
