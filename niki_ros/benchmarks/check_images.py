"""Pictures of people, and what the networks of the front end are given of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

from niki_ros.common.errors import InputError
from niki_ros.models.model_folder import find_model, shipped_models
import numpy as np

_MAX_FILE_BYTES = 64 << 20
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_LEAST_SCORE = 0.5


@dataclass(frozen=True)
class Picture:
    """An image (H, W, 3) uint8 and the boxes (n, 4) of people in it, pixels."""

    image_rgb: np.ndarray
    boxes_px: np.ndarray


def check_images(folder: Optional[str] = None) -> List[Picture]:
    """
    Return pictures of people, drawn by us; they ship.

    :param folder: of one's own JPEG and PNG files; who is in them is found by the detector.
    :raises InputError: when there is none, or no person is seen in any.
    """
    if folder is not None:
        pictures = list(_own(Path(folder)))
    else:
        pictures = list(_shipped(shipped_models() / 'check_images.npz'))
    if not sum(len(picture.boxes_px) for picture in pictures):
        raise InputError(f'no person is seen in the {len(pictures)} pictures of '
                         f'{folder or "the package"}; give others: --images FOLDER')
    return pictures


def crops(pictures: List[Picture], size_px: int) -> np.ndarray:
    """Return what a landmark network is given of every person, (n, 3, size, size) 0 … 1."""
    from niki_ros.images.pixels import network_input, rgb_of_view
    from niki_ros.observers.landmark_network import MARGIN
    from niki_ros.scene.camera import Camera
    from niki_ros.scene.person_view import PersonView
    found = []
    for picture in pictures:
        height, width = picture.image_rgb.shape[:2]
        camera = Camera.from_fov(width, height, 60.0)
        for box in picture.boxes_px:
            view = PersonView.around(box, camera, MARGIN)
            found.append(rgb_of_view(picture.image_rgb, view, size_px, camera))
    return network_input(found)


def letterboxed(pictures: List[Picture], size_px: int) -> np.ndarray:
    """Return what a detector is given, (n, 3, size, size) 0 … 1; zeros outside the image."""
    from niki_ros.images.pixels import network_input
    from niki_ros.observers import detectors
    return network_input([detectors.letterboxed(picture.image_rgb, size_px)[0]
                          for picture in pictures])


def _shipped(file: Path) -> Iterator[Picture]:
    """Yield the pictures of an archive: JPEG files end to end, and a box for each."""
    from niki_ros.images.pixels import rgb_from_jpeg
    try:
        with np.load(file, allow_pickle=False) as data:
            jpeg, at, boxes = (data[name] for name in ('jpeg', 'jpeg_at', 'boxes_px'))
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f'{file} holds no pictures to check with: {error}; install niki_ros '
                         'again, or give your own: --images FOLDER') from error
    for start, end, box in zip(at[:-1], at[1:], boxes):
        yield Picture(rgb_from_jpeg(jpeg[start:end].tobytes()), box[None])


def _own(folder: Path) -> Iterator[Picture]:
    """Yield the pictures of a folder with the people that the detector finds."""
    from niki_ros.images.pixels import rgb_from_jpeg
    from niki_ros.observers.detectors import load_detector
    from niki_ros.sources.image_folder import image_files
    files = [f for f in image_files(folder) if f.suffix.lower() in _SUFFIXES
             ] if folder.is_dir() else []
    if not files:
        raise InputError(f'{folder} holds no {", ".join(_SUFFIXES)} files')
    detector = load_detector(find_model('people').path)
    for file in files:
        if file.stat().st_size > _MAX_FILE_BYTES:
            raise InputError(f'{file} has more than {_MAX_FILE_BYTES >> 20} MB')
        image_rgb = rgb_from_jpeg(file.read_bytes())
        boxes, scores = detector.detect(image_rgb)
        yield Picture(image_rgb, boxes[scores >= _LEAST_SCORE])
    detector.close()
