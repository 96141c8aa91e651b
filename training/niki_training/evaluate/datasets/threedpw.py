"""
Readers of 3DPW, 3DPW-OCC and 3DPW-XOCC: videos with SMPL's pose and a moving camera.

Every person counts in every frame with a known camera, as in SPIN's
``datasets/preprocess/pw3d.py`` (Kolotouros et al. 2019). The mesh of the ground truth has the
person's gender.
"""

from pathlib import Path
from typing import Iterator
import zlib

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data import xocc
from niki_training.data.readers.threedpw import is_occluded
from niki_training.evaluate.datasets.annotations import (
    AnnotatedImage,
    box_around,
    PersonTruth,
    pinhole,
    root_of,
    Sequence,
)
from niki_training.evaluate.datasets.smpl_mesh import gender_of

_FPS = 30.0


def sequences(folder: Path, split: str = 'test') -> Iterator[Sequence]:
    """Yield the videos of one split, with all people."""
    root = _root(folder)
    for file in _files(root, (split,)):
        yield _video(root, file)


def occluded(folder: Path) -> Iterator[Sequence]:
    """Yield the videos of 3DPW-OCC, out of all splits."""
    root = _root(folder)
    files = [file for file in _files(root, ('train', 'validation', 'test')) if is_occluded(file)]
    if not files:
        raise InputError(f'{root}/sequenceFiles: no sequence of 3DPW-OCC (courtyard_box_00.pkl …)')
    for file in files:
        yield _video(root, file)


def cut_and_covered(folder: Path, seed: int = 0) -> Iterator[Sequence]:
    """Yield crops of one person each, occluded and truncated as by ``niki-data xocc``."""
    root = _root(folder)
    for file in _files(root, ('test',)):
        for person in xocc.read_people(file):
            borders, rectangles = xocc.plan(person, seed)
            seeds = [seed, zlib.crc32(person.name.encode())]
            frames = []
            for t in np.flatnonzero(person.valid):
                crop = xocc.crop_from_image(borders[t])
                flat = np.c_[person.joints_px[t], np.ones(24)] @ crop.T
                truth = _truth(person, t, flat[:, :2])

                def change(image, t=t, borders=borders, rectangles=rectangles, seeds=seeds):
                    rng = np.random.default_rng(seeds)
                    return xocc.occluded_crop(image, borders[t], rectangles[t], rng)
                frames.append(AnnotatedImage(
                    _image(root, file, t), pinhole(crop @ person.camera_matrix), [truth],
                    t / _FPS, change))
            if frames:
                yield Sequence(person.name, frames)


def _root(folder: Path) -> Path:
    return root_of(Path(folder), 'sequenceFiles')


def _files(root: Path, splits) -> list[Path]:
    found = [file for split in splits
             for file in sorted((root / 'sequenceFiles' / split).glob('*.pkl'))]
    if not found:
        raise InputError(f'{root}/sequenceFiles: no {" nor ".join(splits)}/*.pkl; unpack 3DPW')
    return found


def _video(root: Path, file: Path) -> Sequence:
    people = xocc.read_people(file)
    frames = []
    for t in range(len(people[0].theta) if people else 0):
        truths = [_truth(one, t, one.joints_px[t]) if one.valid[t] else None for one in people]
        if any(one is not None for one in truths):
            frames.append(AnnotatedImage(
                _image(root, file, t), pinhole(people[0].camera_matrix), truths, t / _FPS))
    if not frames:
        raise InputError(f'{file}: it holds no frame with a known camera')
    return Sequence(file.stem, frames)


def _image(root: Path, file: Path, t: int) -> Path:
    return root / 'imageFiles' / file.stem / f'image_{t:05d}.jpg'


def _truth(person: xocc.Person, t: int, joints_px) -> PersonTruth:
    """Return the ground truth of a person in frame ``t``, with joints at ``joints_px`` (24, 2)."""
    return PersonTruth(person.joints_m[t], joints_px, box_around(joints_px),
                       rotmat_from_rotvec(person.theta[t].reshape(24, 3)), person.betas,
                       gender_of(person.gender))
