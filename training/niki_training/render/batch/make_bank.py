"""Makes banks: random bodies in random clothes, poses of motion, panoramas."""

from pathlib import Path
import sys
from typing import Iterable, Iterator

import cv2
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
import numpy as np
from tqdm import tqdm

from niki_training.data.motion import Motion, subject_of
from niki_training.data.sampling import WindowSampler
from niki_training.data.store import UNKNOWN
from niki_training.render.anny_body import AnnyModel, draw_phenotype
from niki_training.render.appearance import Appearance
from niki_training.render.background import draw_background
from niki_training.render.batch.bank import PANORAMA_PX, Person, TEXTURE_PX, write_bank
from niki_training.render.batch.person_mesh import PersonMesh
from niki_training.render.clothing import draw_patterns
from niki_training.render.garments.credits import credit_lines
from niki_training.render.garments.dressed import DressedBody, KINDS
from niki_training.render.scene import View

SPLITS = ('train', 'val')
_ROOMS_ALONE, _PANORAMAS_PER_ROOM = 8, 4  # drawn rooms, without panoramas and beside them
_SECOND_COLOUR = 0.6  # of a pattern, over the first
_LEVEL_VIEW = View(np.array([[300.0, 0, 512], [0, 300.0, 256], [0, 0, 1]]),
                   np.diag([1.0, -1.0, -1.0])[None], np.array([[0.0, 1.4, 0.0]]))


def make_bank(motion: Motion, folder: Path, split: str, body_count: int, pose_count: int,
              seed: int = 0, clothes: Iterable[Path] = (),
              panoramas: Path | None = None, licence: str = UNKNOWN) -> dict:
    """
    Write a bank and return its facts.

    :param motion: of the subjects of the split. :param clothes: folders of garments; without them
        clothes are painted on the bodies.
    :param panoramas: folder of equirectangular JPEGs, of which train and val get different ones.
    :param licence: of the motion, for the manifests of networks trained on it.
    """
    if split not in SPLITS:
        raise InputError(f'split {split!r} is unknown; expected one of {SPLITS}')
    stream = SPLITS.index(split)
    rng = np.random.default_rng([seed, stream, 0])
    starts = WindowSampler(motion, 1).draw_starts(pose_count, rng)
    model = AnnyModel(open_skeleton())
    appearance = Appearance(model, clothes, panoramas, split)
    people = tqdm(_people(appearance, body_count, [seed, stream]), total=body_count,
                  unit='body', desc='bank', file=sys.stderr, disable=None)
    pictures = [_sized(one.picture_rgb, *PANORAMA_PX) for one in appearance.panoramas]
    rooms = -(-len(pictures) // _PANORAMAS_PER_ROOM) or _ROOMS_ALONE
    pictures += [draw_background(PANORAMA_PX, _LEVEL_VIEW, rng) for _ in range(rooms)]
    garments = appearance.wardrobe.garments if appearance.wardrobe else []
    facts = {
        'split': split, 'seed': seed, 'bodies': body_count, 'poses': pose_count,
        'motion': motion.digest(), 'licence': licence,
        'subjects': sorted({subject_of(n) for n in motion.names}),
        'panoramas': len(appearance.panoramas), 'garments': len(garments),
        'credits': credit_lines(bound.garment for bound in garments)}
    return write_bank(folder, people, motion.rotvec[starts], pictures, facts)


def _people(appearance: Appearance, count: int, seed: list[int]) -> Iterator[Person]:
    for number in range(count):
        rng = np.random.default_rng([*seed, 1, number])
        body = appearance.model.body(draw_phenotype(rng))
        outfit = appearance.dress(body, rng)
        skeleton = {
            'pivots_m': body.pivots_m, 't_pose_from_rest': body.t_pose_from_rest,
            'offsets_m': body.offsets_m, 'betas': body.betas, 'height_m': body.height_m,
            'joint_depth_m': appearance.surface_samples(body, outfit, rng).depth_m}
        if isinstance(outfit, DressedBody):
            yield dressed_person(outfit, skeleton)
        else:
            yield painted_person(outfit, appearance.model, skeleton, rng)


def dressed_person(one: DressedBody, skeleton: dict) -> Person:
    """Return the person of a DressedBody; ``skeleton`` are the other fields of a PersonMesh."""
    # skin has a back that nobody sees; cloth is a sheet
    is_sheet = one.kind != KINDS.index('skin')
    mesh = PersonMesh(
        one.vertices_m, one.normals, np.ones_like(one.vertices_m), one.uv * (1, -1) + (0, 1),
        one.bones, one.weights, one.faces, one.texture, one.kind, is_sheet, **skeleton)
    return Person(mesh, tuple(_sized(texture, TEXTURE_PX, TEXTURE_PX)
                              for texture in one.textures))


def painted_person(outfit: dict, model: AnnyModel, skeleton: dict, rng) -> Person:
    """Return a person with the clothes of clothing.dress painted on the body."""
    layer = outfit['texture_at'][:, 2].astype(int)[model.faces[:, 0]]
    textures = []
    for pattern in draw_patterns(rng):
        share = cv2.resize(pattern, (TEXTURE_PX, TEXTURE_PX)).astype(float) / 255
        grey = 255 * (1 - (1 - _SECOND_COLOUR) * share)
        textures.append(np.dstack([grey, grey, grey, np.full_like(grey, 255)]).astype(np.uint8))
    mesh = PersonMesh(
        outfit['vertices'], outfit['normals'], np.clip(outfit['colour'], 0, 1),
        outfit['texture_at'][:, :2], model.vertex_bones, model.vertex_weights, model.faces, layer,
        np.full(len(model.faces), KINDS.index('skin')), np.zeros(len(model.faces), bool),
        **skeleton)
    return Person(mesh, tuple(textures))


def _sized(picture, width: int, height: int) -> np.ndarray:
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
