"""Images of people for the comparison of engines, and the inputs that networks make of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

from niki_ros.common.errors import InputError
from niki_ros.models.model_store import find_model, shipped_models
import numpy as np

_MAX_FILE_BYTES = 64 << 20
_SUFFIXES = ('.jpg', '.jpeg', '.png')
_MIN_DETECTOR_SCORE = 0.5
_FOV_DEG = 60.0  # of the images, whose cameras are not known


@dataclass(frozen=True)
class CheckImage:
    """An image (H, W, 3) uint8 RGB and boxes (n, 4) of people: x0, y0, x1, y1 in pixels."""

    image_rgb: np.ndarray
    boxes_px: np.ndarray


def check_images(folder: Optional[str] = None) -> List[CheckImage]:
    """Return images of people: JPEG and PNG files of a folder; None = rendered ones that ship."""
    if folder is not None:
        images = list(_from_folder(Path(folder)))
    else:
        images = list(_from_archive(shipped_models() / 'check_images.npz'))
    if not sum(len(image.boxes_px) for image in images):
        raise InputError(f'no person is detected in the {len(images)} images of '
                         f'{folder or "the package"}; give others: --images FOLDER')
    return images


def crops(images: List[CheckImage], size_px: int) -> np.ndarray:
    """Return a landmark network's input for each person: (n, 3, size, size) float32 RGB, 0 … 1."""
    from niki_ros.images.pixels import network_input, rgb_of_view
    from niki_ros.observers.view_network import MARGIN
    from niki_ros.scene.camera import Camera
    from niki_ros.scene.person_view import PersonView
    found = []
    for image in images:
        height, width = image.image_rgb.shape[:2]
        camera = Camera.from_fov(width, height, _FOV_DEG)
        for box in image.boxes_px:
            view = PersonView.around(box, camera, MARGIN)
            found.append(rgb_of_view(image.image_rgb, view, size_px, camera))
    return network_input(found)


def letterboxed(images: List[CheckImage], size_px: int) -> np.ndarray:
    """
    Return a detector's input for each image: (n, 3, size, size) float32 RGB, 0 … 1.

    Each image is scaled to the upper left corner; the rest is zero.
    """
    from niki_ros.images.pixels import network_input
    from niki_ros.observers import detectors
    return network_input([detectors.letterboxed(image.image_rgb, size_px)[0] for image in images])


def _from_archive(file: Path) -> Iterator[CheckImage]:
    """Yield the images of an archive: joined JPEG files, and one box for each."""
    from niki_ros.images.pixels import rgb_from_jpeg
    try:
        with np.load(file, allow_pickle=False) as data:
            jpeg, at, boxes = (data[name] for name in ('jpeg', 'jpeg_at', 'boxes_px'))
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f'{file} holds no images: {error}; install niki_ros again, or give your '
                         'own: --images FOLDER') from error
    for start, end, box in zip(at[:-1], at[1:], boxes):
        yield CheckImage(rgb_from_jpeg(jpeg[start:end].tobytes()), box[None])


def _from_folder(folder: Path) -> Iterator[CheckImage]:
    """Yield the images of a folder with the people that the detector finds."""
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
        yield CheckImage(image_rgb, boxes[scores >= _MIN_DETECTOR_SCORE])
    detector.close()
