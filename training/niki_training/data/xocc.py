"""
``niki-data xocc``: 3DPW's images with occluders and cut off by their border, as in 3DPW-XOCC.

The NIKI paper measures on such a set, whose images are not published. Sizes and odds here are
those of the paper's released code: every eighth frame has a rectangle of up to 0.3 of the box
around the person, inside of it, half to twice as high as wide; and in two of three cases a border
around shoulders and arms and head, or shoulders and legs, only, 0.95 to 1.35 times their square
and moved by up to 100 pixels. Both move evenly in between. The draws themselves, what the
rectangles show (here a grained colour) and the boxes (here around SMPL's joints) are not the
paper's, so figures of the paper and of this set are near each other at best. The same seed gives
the same images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import NamedTuple
import zlib

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.files.archives import reason
from niki_training.files.outputs import write_text
from niki_training.files.pickles import restricted_load

KEY_EVERY, SIZE_PX = 8, 512


def _both(*parts: str) -> tuple:
    return tuple(JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in parts)


WITHOUT_LEGS = _both('shoulder', 'elbow', 'wrist') + (JOINT['neck'], JOINT['head'])
WITHOUT_ARMS = _both('shoulder', 'hip', 'knee', 'ankle')
"""The joints that a border is put around; the others may be cut off."""
_TRUNCATED = 2 / 3
_WHOLE, _CUT, _RESIZED = 1.25, 1.15, 0.2
"""Side of a border over that of the joints: uncut, cut, and by how much the latter varies."""
_SHIFTED_PX, _SMALLEST_PX = 100.0, 30.0
"""By how much the centre of a cut varies, and below which side nothing is cut."""
_AREAS, _RATIOS = (0.0, 0.3), (0.5, 2.0)
"""Of a rectangle: its share of the box around the person, and height over width."""


class Person(NamedTuple):
    """One person of a sequence: T frames."""

    name: str
    theta: np.ndarray       # (T, 72) root in camera axes
    joints_m: np.ndarray    # (T, 24, 3) camera axes
    joints_px: np.ndarray   # (T, 24, 2)
    valid: np.ndarray       # (T,) whether the camera is known
    camera_matrix: np.ndarray
    betas: np.ndarray       # (10,) of the body of that gender
    gender: str             # m or f, as 3DPW writes it


def read_people(path) -> list:
    """
    Read the people of a sequence file of 3DPW, in the axes of its camera.

    :raises InputError: when it is none.
    """
    data = restricted_load(path)
    try:
        pose, matrix = np.asarray(data['cam_poses'], float), np.asarray(data['cam_intrinsics'])
        people = []
        for i, poses in enumerate(data['poses']):
            theta = np.array(poses, dtype=float).reshape(len(pose), 72)
            world = np.asarray(data['jointPositions'][i], float).reshape(-1, 24, 3)
            joints = np.einsum('tij,tkj->tki', pose[:, :3, :3], world) + pose[:, None, :3, 3]
            theta[:, :3] = rotvec_from_rotmat(pose[:, :3, :3] @ rotmat_from_rotvec(theta[:, :3]))
            valid = np.asarray(data['campose_valid'][i], bool) & (joints[..., 2] > 0.1).all(axis=1)
            flat = joints @ matrix.T
            pixels = flat[..., :2] / np.maximum(flat[..., 2:], 0.1)
            betas = np.zeros(10)
            given = np.ravel(data['betas'][i])[:10] if 'betas' in data else []
            betas[:len(given)] = given
            people.append(Person(f'{Path(path).stem}_{i}', theta, joints, pixels, valid, matrix,
                                 betas, str(data['genders'][i]) if 'genders' in data else ''))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f'{path}: not a 3DPW sequence file with poses, jointPositions, '
                         f'cam_poses, cam_intrinsics, campose_valid ({reason(error)})'
                         ) from error
    return people


def plan(person: Person, seed: int):
    """
    Return for every frame what is cut off and hidden.

    :return: borders (T, 3), centre and side in pixels; rectangles (T, 4), x0, y0, x1, y1.
    """
    frames = len(person.joints_px)
    keys = np.arange(0, frames + KEY_EVERY, KEY_EVERY)
    drawn = [_key(person.joints_px[min(key, frames - 1)], np.random.default_rng(
        [seed, zlib.crc32(person.name.encode()), key])) for key in keys]
    borders, rectangles = (np.stack(column) for column in zip(*drawn))
    at = np.arange(frames)
    return tuple(np.stack([np.interp(at, keys, column) for column in values.T], axis=-1)
                 for values in (borders, rectangles))


def _key(joints_px, rng) -> tuple:
    """Draw the border (3,) and the rectangle (4,) of one frame."""
    low, high = joints_px.min(axis=0), joints_px.max(axis=0)
    area, ratio = rng.uniform(*_AREAS) * np.prod(high - low), rng.uniform(*_RATIOS)
    # of a slender person a rectangle can be as wide as the whole box
    size = np.minimum(np.sqrt([area / ratio, area * ratio]), high - low)
    corner = rng.uniform(low, high - size)
    rectangle = np.concatenate([corner, corner + size])
    cut, shift, resized = rng.random(), rng.uniform(-1, 1, 2), rng.uniform(-1, 1)
    kept = joints_px[list(WITHOUT_LEGS if cut < _TRUNCATED / 2 else WITHOUT_ARMS)]
    within = np.ptp(kept, axis=0)
    if cut < _TRUNCATED and within.min() >= _SMALLEST_PX:
        middle = (kept.min(axis=0) + kept.max(axis=0)) / 2 + _SHIFTED_PX * shift
        side = within.max() * (_CUT + _RESIZED * resized)
    else:
        middle, side = (low + high) / 2, _WHOLE * max(high - low)
    return np.asarray([*middle, side]), rectangle


def painted(image_bgr, border, rectangle, rng) -> np.ndarray:
    """Return the image within the border (512, 512, 3), with a grained rectangle on it."""
    import cv2
    out = np.array(image_bgr)
    height, width = out.shape[:2]
    x0, y0, x1, y1 = np.clip(np.round(rectangle), 0, [width, height, width, height]).astype(int)
    grain = rng.normal(rng.uniform(0, 255, 3), 12, (max(y1 - y0, 0), max(x1 - x0, 0), 3))
    out[y0:y1, x0:x1] = np.clip(grain, 0, 255)
    return cv2.warpAffine(out, crop_from_image(border)[:2], (SIZE_PX, SIZE_PX))


def crop_from_image(border) -> np.ndarray:
    """Return the (3, 3) map of pixels of the image to those of the crop."""
    x, y, side = border
    scale = SIZE_PX / side
    return np.asarray([[scale, 0, SIZE_PX / 2 - scale * x],
                       [0, scale, SIZE_PX / 2 - scale * y], [0, 0, 1.0]])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument('folder', type=Path, help='3DPW, with sequenceFiles and imageFiles')
    parser.add_argument('--split', default='test', choices=('train', 'validation', 'test'))
    parser.add_argument('--every', type=positive_int, default=1, help='take every n-th frame (1)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, required=True,
                        help='a folder of images and a JSON with the truth for each person')


def main(args) -> int:
    """Write the images and the truth of every person."""
    files = sorted((args.folder / 'sequenceFiles' / args.split).glob('*.pkl'))
    if not files:
        raise InputError(f'{args.folder}: no sequenceFiles/{args.split}/*.pkl in it; give the '
                         'folder of 3DPW')
    for file in files:
        for person in read_people(file):
            count = _write(args, file.stem, person)
            print(f'{args.out / person.name}.json: {count} images')
    return 0


def _write(args, sequence: str, person: Person) -> int:
    """Write one person's images and truth; return how many."""
    import cv2
    borders, rectangles = plan(person, args.seed)
    folder, rows = args.out / person.name, []
    folder.mkdir(parents=True, exist_ok=True)
    # one colour and grain for a person: an occluder is a thing, not noise over time
    grain = [args.seed, zlib.crc32(person.name.encode())]
    for t in range(0, len(person.theta), args.every):
        if not person.valid[t]:
            continue
        source = args.folder / 'imageFiles' / sequence / f'image_{t:05d}.jpg'
        image = cv2.imread(str(source))
        if image is None:
            raise InputError(f'{source}: no such picture, or not readable; unpack imageFiles')
        cv2.imwrite(str(folder / source.name), painted(
            image, borders[t], rectangles[t], np.random.default_rng(grain)))
        crop = crop_from_image(borders[t])
        flat = np.c_[person.joints_px[t], np.ones(24)] @ crop.T
        rows.append({
            'file': f'{person.name}/{source.name}', 'frame': t,
            'camera_matrix': (crop @ person.camera_matrix).tolist(),
            'joints_m': person.joints_m[t].tolist(), 'theta': person.theta[t].tolist(),
            'joints_px': flat[:, :2].tolist(),
            'hidden': _hidden(image, person.joints_px[t], flat, rectangles[t]).tolist()})
    write_text(args.out / f'{person.name}.json', json.dumps(
        {'sequence': sequence, 'seed': args.seed, 'images': rows}) + '\n')
    return len(rows)


def _hidden(image, joints_px, cropped_px, rectangle) -> np.ndarray:
    """Return (24,) whether the rectangle, the border or the picture's own edge hides a joint."""
    size = np.asarray(image.shape[1::-1])
    off = ((joints_px < 0) | (joints_px >= size)).any(axis=1)
    behind = ((joints_px > rectangle[:2]) & (joints_px < rectangle[2:])).all(axis=1)
    outside = ((cropped_px[:, :2] < 0) | (cropped_px[:, :2] >= SIZE_PX)).any(axis=1)
    return behind | outside | off
