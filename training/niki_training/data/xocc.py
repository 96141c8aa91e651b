"""
Add occluders to 3DPW's images and crop them, as in 3DPW-XOCC.

The NIKI paper measures on such a set, whose images are not published. Sizes and odds are those of
the paper's released code. Every eighth frame has a rectangle inside the box of the person, of up
to 0.3 of its area, half to twice as high as wide. In two of three cases the crop is around
shoulders, arms and head, or shoulders and legs, only: 0.95 to 1.35 times their square, moved by up
to 100 pixels. Both are interpolated in between. The random draws, the content of the rectangles
(here a grained colour) and the boxes (here around SMPL's joints) are not the paper's, so the
figures of the two sets are only roughly comparable. The same seed gives the same images.
"""

import argparse
from dataclasses import dataclass
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

KEY_EVERY, SIZE_PX = 8, 512  # frames between two draws; side of the crops


@dataclass(frozen=True)
class OcclusionNumbers:
    """Sizes and odds of the occluders and crops."""

    truncated_ratio: float = 2 / 3  # share of the draws whose crop leaves out legs or arms
    whole_scale: float = 1.25  # side of a crop over that of the whole person
    truncated_scale: float = 1.15  # side of a crop over that of the kept joints
    truncated_scale_range: float = 0.2  # largest change of ``truncated_scale``
    shift_px: float = 100.0  # largest shift of a truncated crop
    min_side_px: float = 30.0  # of the kept joints
    area_ratios: tuple = (0.0, 0.3)  # area of a rectangle over that of the person's box
    aspect_ratios: tuple = (0.5, 2.0)  # height of a rectangle over its width


def _both(*parts: str) -> tuple:
    return tuple(JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in parts)


WITHOUT_LEGS = _both('shoulder', 'elbow', 'wrist') + (JOINT['neck'], JOINT['head'])
WITHOUT_ARMS = _both('shoulder', 'hip', 'knee', 'ankle')  # joints that a truncated crop keeps


class Person(NamedTuple):
    """One person in the T frames of a sequence of 3DPW."""

    name: str
    theta: np.ndarray  # (T, 72) rotation vectors, radians; root in camera axes
    joints_m: np.ndarray  # (T, 24, 3) camera axes, metres
    joints_px: np.ndarray  # (T, 24, 2) image
    valid: np.ndarray  # (T,) whether the camera is known
    camera_matrix: np.ndarray  # (3, 3) pixels
    betas: np.ndarray  # (10,) of the body of that gender
    gender: str  # ``m`` or ``f``


def read_people(path) -> list:
    """Return the people in a sequence file of 3DPW, a list of :class:`Person`."""
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
        raise InputError(f'{path}: not a 3DPW sequence file ({reason(error)})') from error
    return people


def plan(person: Person, seed: int):
    """Return crops (T, 3), centre and side, and rectangles (T, 4) x0, y0, x1, y1, pixels."""
    frames = len(person.joints_px)
    keys = np.arange(0, frames + KEY_EVERY, KEY_EVERY)
    drawn = [_draw_key(person.joints_px[min(key, frames - 1)], np.random.default_rng(
        [seed, zlib.crc32(person.name.encode()), key])) for key in keys]
    crops, rectangles = (np.stack(column) for column in zip(*drawn))
    at = np.arange(frames)
    return tuple(np.stack([np.interp(at, keys, column) for column in values.T], axis=-1)
                 for values in (crops, rectangles))


def _draw_key(joints_px, rng, numbers: OcclusionNumbers = OcclusionNumbers()) -> tuple:
    """Draw the crop (3,) and the rectangle (4,) of one frame."""
    low, high = joints_px.min(axis=0), joints_px.max(axis=0)
    area = rng.uniform(*numbers.area_ratios) * np.prod(high - low)
    ratio = rng.uniform(*numbers.aspect_ratios)
    # for a slender person the rectangle can be wider than the box
    size = np.minimum(np.sqrt([area / ratio, area * ratio]), high - low)
    corner = rng.uniform(low, high - size)
    rectangle = np.concatenate([corner, corner + size])
    draw, shift, resize = rng.random(), rng.uniform(-1, 1, 2), rng.uniform(-1, 1)
    kept = joints_px[list(WITHOUT_LEGS if draw < numbers.truncated_ratio / 2 else WITHOUT_ARMS)]
    size_px = np.ptp(kept, axis=0)
    if draw < numbers.truncated_ratio and size_px.min() >= numbers.min_side_px:
        middle = (kept.min(axis=0) + kept.max(axis=0)) / 2 + numbers.shift_px * shift
        side = size_px.max() * (numbers.truncated_scale + numbers.truncated_scale_range * resize)
    else:
        middle, side = (low + high) / 2, numbers.whole_scale * max(high - low)
    return np.asarray([*middle, side]), rectangle


def occluded_crop(image_bgr, crop, rectangle, rng) -> np.ndarray:
    """
    Return the crop (512, 512, 3) uint8 BGR of an image with a grained rectangle.

    :param crop: (3,) centre and side. :param rectangle: (4,) both in pixels of the image.
    """
    import cv2
    out = np.array(image_bgr)
    height, width = out.shape[:2]
    x0, y0, x1, y1 = np.clip(np.round(rectangle), 0, [width, height, width, height]).astype(int)
    grain = rng.normal(rng.uniform(0, 255, 3), 12, (max(y1 - y0, 0), max(x1 - x0, 0), 3))
    out[y0:y1, x0:x1] = np.clip(grain, 0, 255)
    return cv2.warpAffine(out, crop_from_image(crop)[:2], (SIZE_PX, SIZE_PX))


def crop_from_image(crop) -> np.ndarray:
    """Return the homography (3, 3) from pixels of the image to pixels of the crop."""
    x, y, side = crop
    scale = SIZE_PX / side
    return np.asarray([[scale, 0, SIZE_PX / 2 - scale * x],
                       [0, scale, SIZE_PX / 2 - scale * y], [0, 0, 1.0]])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('folder', type=Path, help='3DPW, with sequenceFiles and imageFiles')
    parser.add_argument('--split', default='test', choices=('train', 'validation', 'test'))
    parser.add_argument('--every', type=positive_int, default=1, help='take every n-th frame (1)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out', type=Path, required=True,
                        help='a folder of images and a JSON with the ground truth for each person')


def main(args) -> int:
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
    import cv2
    crops, rectangles = plan(person, args.seed)
    folder, rows = args.out / person.name, []
    folder.mkdir(parents=True, exist_ok=True)
    # one colour and grain per person: an occluder looks the same over time
    grain = [args.seed, zlib.crc32(person.name.encode())]
    for t in range(0, len(person.theta), args.every):
        if not person.valid[t]:
            continue
        source = args.folder / 'imageFiles' / sequence / f'image_{t:05d}.jpg'
        image = cv2.imread(str(source))
        if image is None:
            raise InputError(f'{source}: missing or damaged image; unpack imageFiles')
        cv2.imwrite(str(folder / source.name), occluded_crop(
            image, crops[t], rectangles[t], np.random.default_rng(grain)))
        to_crop = crop_from_image(crops[t])
        cropped_px = (np.c_[person.joints_px[t], np.ones(24)] @ to_crop.T)[:, :2]
        rows.append({
            'file': f'{person.name}/{source.name}', 'frame': t,
            'camera_matrix': (to_crop @ person.camera_matrix).tolist(),
            'joints_m': person.joints_m[t].tolist(), 'theta': person.theta[t].tolist(),
            'joints_px': cropped_px.tolist(),
            'hidden': _hidden(image, person.joints_px[t], cropped_px, rectangles[t]).tolist()})
    write_text(args.out / f'{person.name}.json', json.dumps(
        {'sequence': sequence, 'seed': args.seed, 'images': rows}) + '\n')
    return len(rows)


def _hidden(image, joints_px, cropped_px, rectangle) -> np.ndarray:
    """Return (24,) whether the rectangle, the crop or the image's edge hides each joint."""
    size = np.asarray(image.shape[1::-1])
    off = ((joints_px < 0) | (joints_px >= size)).any(axis=1)
    behind = ((joints_px > rectangle[:2]) & (joints_px < rectangle[2:])).all(axis=1)
    outside = ((cropped_px < 0) | (cropped_px >= SIZE_PX)).any(axis=1)
    return behind | outside | off
