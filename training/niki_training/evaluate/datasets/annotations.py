"""Annotations of a benchmark: sequences, images, and the people in them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, NamedTuple

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np

_BOX_MARGIN_RATIO = 0.1  # added on every side of a box, over the extent of its joints


@dataclass(frozen=True)
class PersonTruth:
    """Ground truth of one person in one image, in camera axes."""

    joints_m: np.ndarray  # (24, 3) SMPL's joints
    joints_px: np.ndarray  # (24, 2) their image positions
    box_px: np.ndarray  # (4,) x0, y0, x1, y1
    rotmat: np.ndarray | None = None  # (24, 3, 3) SMPL's local rotations, joint 0 in camera axes
    betas: np.ndarray | None = None  # (10,) SMPL's shape, or None
    gender: str = 'neutral'
    joints17_m: np.ndarray | None = None  # (17, 3) measured joints in the order of Human3.6M
    vertices_m: np.ndarray | None = None  # (6890, 3) SMPL's mesh, or None
    valid: bool = True  # True for people that the benchmark counts


class AnnotatedImage(NamedTuple):
    """One image of a benchmark."""

    file: Path
    camera: Callable[[tuple], Camera]  # returns the camera of an image of (width, height)
    people: list[PersonTruth | None]  # the same ones in a whole sequence; None: not annotated
    time_s: float = 0.0  # since the beginning of the sequence; 0 for single images
    change: Callable[[np.ndarray], np.ndarray] | None = None  # edits (H, W, 3) uint8 BGR

    def image_rgb(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8."""
        import cv2
        image = cv2.imread(str(self.file)) if self.file.is_file() else None
        if image is None:
            raise InputError(f'{self.file}: no readable image; unpack the images there')
        if self.change is not None:
            image = self.change(image)
        return np.ascontiguousarray(image[..., ::-1])


class Sequence(NamedTuple):
    """A video, or a set of single images (``video`` False)."""

    name: str
    frames: list[AnnotatedImage]
    video: bool = True


def box_around(joints_px) -> np.ndarray:
    """Return the box x0, y0, x1, y1 around joints (n, 2) in the image, with a margin."""
    low, high = np.min(joints_px, axis=0), np.max(joints_px, axis=0)
    margin = _BOX_MARGIN_RATIO * np.maximum(high - low, 1.0)
    return np.concatenate([low - margin, high + margin])


def pinhole(matrix) -> Callable[[tuple], Camera]:
    """Return a function from (width, height) of an image to the camera of a matrix (3, 3)."""
    def camera(size) -> Camera:
        width, height = size
        return Camera(np.asarray(matrix, dtype=np.float64), width, height, source='file')
    return camera


def root_of(folder: Path, *parts: str) -> Path:
    """Return the folder that holds the path ``parts``: ``folder`` or one above."""
    for one in (folder, *folder.resolve().parents):
        if one.joinpath(*parts).exists():
            return one
    raise InputError(f'{folder}: no {"/".join(parts)} in it nor in a folder above it')
