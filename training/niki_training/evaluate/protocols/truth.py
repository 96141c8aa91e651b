"""What a benchmark says about images and the people in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np

BOX_MARGIN = 0.1
"""A box around joints is larger by this share of its size on every side: joints lie inside."""


@dataclass(frozen=True)
class Truth:
    """
    One person in one image; camera axes, metres, pixels.

    :param joints_m: (24, 3) SMPL's joints. :param joints_px: (24, 2) where they are in the image.
    :param box_px: (4,) x0, y0, x1, y1.
    :param rotmat: (24, 3, 3) SMPL's pose, root in camera axes; with ``betas`` (10,) and
        ``gender`` it makes the mesh.
    :param joints17_m: (17, 3) measured joints in the order of Human3.6M, where there are any.
    :param vertices_m: (6890, 3) the mesh itself, where the data set has it.
    :param valid: whether the benchmark counts this person.
    """

    joints_m: np.ndarray
    joints_px: np.ndarray
    box_px: np.ndarray
    rotmat: Optional[np.ndarray] = None
    betas: Optional[np.ndarray] = None
    gender: str = 'neutral'
    joints17_m: Optional[np.ndarray] = None
    vertices_m: Optional[np.ndarray] = None
    valid: bool = True


class Frame(NamedTuple):
    """
    One image: how to load it, its camera, and the people in it (None: not known there).

    :param time_s: since the sequence began; single images have none in common.
    """

    file: Path
    camera: Callable[[tuple], Camera]
    people: List[Optional[Truth]]
    time_s: float = 0.0
    change: Optional[Callable[[np.ndarray], np.ndarray]] = None

    def image_rgb(self) -> np.ndarray:
        """
        Return the image (H, W, 3) uint8.

        :raises InputError: when there is none.
        """
        import cv2
        image = cv2.imread(str(self.file)) if self.file.is_file() else None
        if image is None:
            raise InputError(f'{self.file}: no such picture, or not readable; unpack the images '
                             'of the data set there')
        if self.change is not None:
            image = self.change(image)
        return np.ascontiguousarray(image[..., ::-1])


class Sequence(NamedTuple):
    """A video, or a set of single images (``video`` False), under one name."""

    name: str
    frames: List[Frame]
    video: bool = True


def box_around(joints_px) -> np.ndarray:
    """Return a box (4,) around joints in the image (n, 2), with a margin."""
    low, high = np.min(joints_px, axis=0), np.max(joints_px, axis=0)
    margin = BOX_MARGIN * np.maximum(high - low, 1.0)
    return np.concatenate([low - margin, high + margin])


def pinhole(matrix) -> Callable[[tuple], Camera]:
    """Return what makes the camera of a matrix (3, 3) for an image of (width, height)."""
    return lambda size: Camera(np.asarray(matrix, dtype=np.float64), *size, source='file')


def root_of(folder: Path, *parts: str) -> Path:
    """
    Return the folder that has ``parts`` in it: ``folder`` or one above.

    :raises InputError: when none has.
    """
    for one in (folder, *folder.resolve().parents):
        if one.joinpath(*parts).exists():
            return one
    raise InputError(f'{folder}: no {"/".join(parts)} in it nor in a folder above it')
