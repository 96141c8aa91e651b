"""
3DPW, 3DPW-OCC and 3DPW-XOCC: videos at 30 fps with SMPL's pose in the world and a moving camera.

Every frame with a known camera counts, of every person, as in SPIN's
``datasets/preprocess/pw3d.py`` (Kolotouros et al. 2019), which others follow. The mesh of the
truth is that of the person's gender.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List
import zlib

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data import xocc
from niki_training.data.readers.threedpw import is_occluded
from niki_training.evaluate.protocols.mesh import gender_of
from niki_training.evaluate.protocols.truth import (
    box_around,
    Frame,
    pinhole,
    root_of,
    Sequence,
    Truth,
)

FPS = 30.0


def sequences(folder: Path, split: str = 'test') -> Iterator[Sequence]:
    """Yield the videos of one split, with all people in them."""
    root = _root(folder)
    for file in _files(root, (split,)):
        yield _video(root, file)


def occluded(folder: Path) -> Iterator[Sequence]:
    """Yield the videos of 3DPW-OCC, which come from all splits."""
    root = _root(folder)
    files = [file for file in _files(root, ('train', 'validation', 'test')) if is_occluded(file)]
    if not files:
        raise InputError(f'{root}/sequenceFiles: none of the sequences of 3DPW-OCC, such as '
                         'courtyard_box_00.pkl, is in it')
    for file in files:
        yield _video(root, file)


def cut_and_covered(folder: Path, seed: int = 0) -> Iterator[Sequence]:
    """Yield crops of one person each, covered and cut off as ``niki-data xocc`` does it."""
    root = _root(folder)
    for file in _files(root, ('test',)):
        for person in xocc.read_people(file):
            borders, rectangles = xocc.plan(person, seed)
            grain = [seed, zlib.crc32(person.name.encode())]
            frames = []
            for t in np.flatnonzero(person.valid):
                crop = xocc.crop_from_image(borders[t])
                flat = np.c_[person.joints_px[t], np.ones(24)] @ crop.T
                truth = _truth(person, t, flat[:, :2])

                def change(image, t=t, borders=borders, rectangles=rectangles, grain=grain):
                    rng = np.random.default_rng(grain)
                    return xocc.painted(image, borders[t], rectangles[t], rng)
                frames.append(Frame(_image(root, file, t), pinhole(crop @ person.camera_matrix),
                                    [truth], t / FPS, change))
            if frames:
                yield Sequence(person.name, frames)


def _root(folder: Path) -> Path:
    return root_of(Path(folder), 'sequenceFiles')


def _files(root: Path, splits) -> List[Path]:
    """Return the sequence files of some splits, sorted."""
    found = [file for split in splits
             for file in sorted((root / 'sequenceFiles' / split).glob('*.pkl'))]
    if not found:
        raise InputError(f'{root}/sequenceFiles: no {" nor ".join(splits)}/*.pkl in it; unpack '
                         'sequenceFiles.zip of 3DPW')
    return found


def _video(root: Path, file: Path) -> Sequence:
    """Return one video with everybody in it."""
    people = xocc.read_people(file)
    frames = []
    for t in range(len(people[0].theta) if people else 0):
        there = [_truth(one, t, one.joints_px[t]) if one.valid[t] else None for one in people]
        if any(one is not None for one in there):
            frames.append(Frame(_image(root, file, t), pinhole(people[0].camera_matrix), there,
                                t / FPS))
    if not frames:
        raise InputError(f'{file}: there is no frame with a known camera in it')
    return Sequence(file.stem, frames)


def _image(root: Path, file: Path, t: int) -> Path:
    return root / 'imageFiles' / file.stem / f'image_{t:05d}.jpg'


def _truth(person: xocc.Person, t: int, joints_px) -> Truth:
    """Return what is known of a person in frame ``t``, whose joints lie at ``joints_px``."""
    return Truth(person.joints_m[t], joints_px, box_around(joints_px),
                 rotmat_from_rotvec(person.theta[t].reshape(24, 3)), person.betas,
                 gender_of(person.gender))
