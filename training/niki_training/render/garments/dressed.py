"""
Dressed bodies: one mesh of skin, cloth, shoes and hair at rest, which any renderer can draw.

``dressed(body, wardrobe, rng)`` puts random clothes on a RenderedBody. The DressedBody moves as
the body does: with the matrices of ``body.posed``, four joints for each vertex. Faces are seen
from both sides; a pixel of a texture with alpha below a half is a hole.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from niki_training.render.anny_body import RenderedBody, surface
from niki_training.render.garments.base_mesh import BaseMesh
from niki_training.render.garments.binding import BoundGarment
from niki_training.render.garments.cloth_colours import (
    draw_cloth,
    draw_hair,
    draw_plain,
    draw_shoe,
    draw_skin,
    read_texture,
)
from niki_training.render.garments.garment import NO_TEXTURE
from niki_training.render.garments.wardrobe import Wardrobe

KINDS = ('skin', 'eye', 'cloth', 'shoe', 'hair', 'hat', 'glasses')
_KIND_OF_SLOT = {'shoes': 'shoe', 'hair': 'hair', 'hat': 'hat', 'glasses': 'glasses'}


@dataclass(frozen=True)
class LooseClothNumbers:
    """How far cloth stands off its fitted place."""

    max_loose_m: float = 0.014  # of garments that have their shape from their author
    max_tailored_loose_m: float = 0.03  # of those cut from the tight helper meshes
    layer_gap_m: float = 0.005  # between garments one over the other
    max_fold_m: float = 0.004  # amplitude of the folds
    fold_wavelengths_m: tuple[float, float] = (0.05, 0.18)
    fold_count: int = 4
    skin_inward_m: float = 0.006  # covered skin gives way
    tucked_in: float = 0.35  # share of people with the shirt in the trousers
    hat_rim_m: float = 0.01  # hair this far above the rim of a hat is left out


@dataclass(frozen=True)
class DressedBody:
    """
    The mesh of a dressed person at rest: A-pose, x left, y up, z forward, metres.

    Vertices are doubled at the seams of the textures.
    """

    body: RenderedBody  # with the skeleton that moves the mesh
    vertices_m: np.ndarray  # (V, 3) float32
    normals: np.ndarray  # (V, 3) float32 unit vectors, outward
    uv: np.ndarray  # (V, 2) float32; u to the right, v upward, 0 … 1 over the texture
    bones: np.ndarray  # (V, 4) int32, joints 0 … 23
    weights: np.ndarray  # (V, 4) float32; their sum is 1
    faces: np.ndarray  # (F, 3) int32, counter-clockwise from outside
    texture: np.ndarray  # (F,) int32 rows of ``textures``
    kind: np.ndarray  # (F,) uint8 rows of KINDS
    textures: tuple[np.ndarray, ...]  # (size, size, 4) uint8 RGBA each, row 0 at v = 1
    worn: tuple[BoundGarment, ...]

    def posed(self, bones) -> np.ndarray:
        """Return the vertices (V, 3), metres, after ``bones`` (24, 3, 4) of ``body.posed``."""
        return skinned(self.vertices_m, self.bones, self.weights, bones)


def skinned(vertices_m, bones, weights, matrices) -> np.ndarray:
    """
    Return vertices (V, 3) moved by linear blend skinning.

    :param bones: (V, 4) joints. :param weights: (V, 4). :param matrices: (24, 3, 4).
    """
    move = np.einsum('vk,vkab->vab', weights, np.asarray(matrices)[bones])
    return np.einsum('vab,vb->va', move[..., :3], vertices_m) + move[..., 3]


class _Part(NamedTuple):
    """A part of the mesh; the texture of each face is an index into its own ``textures``."""

    vertices_m: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    faces: np.ndarray
    texture: np.ndarray
    kind: np.ndarray
    textures: tuple[np.ndarray, ...]


def dressed(body: RenderedBody, wardrobe: Wardrobe, rng, texture_px: int = 512,
            numbers: LooseClothNumbers = LooseClothNumbers()) -> DressedBody:
    """
    Return the body in random clothes.

    :param texture_px: size of the textures.
    """
    base = wardrobe.base
    base_m = base.vertices_m(body.phenotype)
    worn = wardrobe.draw_outfit(body.phenotype, rng)
    skin = draw_skin(read_texture(wardrobe.draw_skin(body.phenotype, rng), texture_px), rng)
    parts = [_skin_part(base, base_m, worn, (skin, _eye_texture(rng)), numbers)]
    off_m = _layers_m(worn, rng, numbers)
    parts += [_garment_part(garment, base_m, off, rng, texture_px, numbers)
              for garment, off in zip(worn, off_m)]
    _cut_hair_under_hat(parts, worn, numbers)
    return _joined(body, parts, tuple(worn))


def _layers_m(worn, rng, numbers: LooseClothNumbers) -> list[np.ndarray]:
    """Return the least and largest distance (2,) of each garment from its fitted place, metres."""
    order = list(range(len(worn)))
    slots = [garment.slot for garment in worn]
    if slots[:2] == ['lower', 'upper'] and rng.random() < numbers.tucked_in:
        order[:2] = 1, 0
    layers, under_m = [np.zeros(2)] * len(worn), 0.0
    for index in order:
        if slots[index] in ('full', 'upper', 'lower', 'outer'):
            is_tailored = worn[index].garment.texture == NO_TEXTURE
            loose_m = rng.beta(1.0, 2.0) * (
                numbers.max_tailored_loose_m if is_tailored else numbers.max_loose_m)
            layers[index] = np.array([under_m, under_m + loose_m])
            under_m += loose_m + numbers.layer_gap_m
    return layers


def _skin_part(base: BaseMesh, base_m, worn, textures, numbers: LooseClothNumbers) -> _Part:
    normals, _ = surface(base_m, base.faces)
    covered = np.zeros(len(base_m), dtype=bool)
    deleted = covered.copy()
    for garment in worn:
        covered[garment.covered], deleted[garment.deleted] = True, True
    at_m = base_m - normals * (covered & base.is_skin)[:, None] * numbers.skin_inward_m
    packed = base.packed
    is_eye = base.is_eyeball[base.faces].all(1)
    kept = ~deleted[base.faces].all(1) | is_eye
    uv = packed.uv.copy()
    eyes = base.is_eyeball[packed.vertex]
    uv[eyes] = _eye_uv(base, base_m)[packed.vertex[eyes]]
    bones, weights = base.bones
    return _Part(at_m[packed.vertex], normals[packed.vertex], uv, bones[packed.vertex],
                 weights[packed.vertex], packed.faces[kept], is_eye[kept].astype(np.int32),
                 np.where(is_eye[kept], KINDS.index('eye'), KINDS.index('skin')), textures)


def _eye_uv(base: BaseMesh, base_m) -> np.ndarray:
    """Return the place (19158, 2) on the eye's texture, by the view from the front."""
    uv = np.zeros((len(base_m), 2), dtype=np.float32)
    for side in (1, -1):
        ball = base.is_eyeball & (np.sign(base_m[:, 0]) == side)
        centre = (base_m[ball].max(0) + base_m[ball].min(0)) / 2
        radius_m = np.ptp(base_m[ball][:, 1]) / 2
        uv[ball] = 0.5 + 0.5 * (base_m[ball] - centre)[:, :2] / max(radius_m, 1e-4)
    return uv


def _eye_texture(rng, size_px: int = 64) -> np.ndarray:
    """Return an eyeball from the front (64, 64, 4): white, iris, pupil."""
    y, x = (np.mgrid[:size_px, :size_px] + 0.5) / size_px * 2 - 1
    radius = np.hypot(x, y)[..., None]
    iris = np.array(((0.25, 0.14, 0.07), (0.35, 0.45, 0.6), (0.3, 0.38, 0.22))[rng.integers(3)])
    rgb = np.where(radius < 0.2, 0.03, np.where(radius < 0.48, iris * rng.uniform(0.6, 1.1), 0.88))
    return np.concatenate([rgb * 255, np.full_like(radius, 255)], axis=2).astype(np.uint8)


def _garment_part(bound: BoundGarment, base_m, off_m, rng, texture_px: int,
                  numbers: LooseClothNumbers) -> _Part:
    garment = bound.garment
    at_m = garment.fitted(base_m)
    kind = _KIND_OF_SLOT.get(bound.slot, 'cloth')
    if kind == 'cloth':
        at_m = at_m + _folds_m(at_m, garment.faces, off_m, rng, numbers)
    normals, _ = surface(at_m, garment.faces)
    texture, packed = read_texture(garment.texture, texture_px), garment.packed
    draw = {'hair': draw_hair, 'shoe': draw_shoe}.get(
        kind, draw_plain if garment.texture == NO_TEXTURE else draw_cloth)
    has_two = kind == 'cloth' and 0 < bound.lower_face.mean() < 1
    textures = tuple(draw(texture, rng) for _ in range(1 + has_two))
    of_face = bound.lower_face.astype(np.int32) * has_two
    return _Part(at_m[packed.vertex], normals[packed.vertex], packed.uv,
                 bound.bones[packed.vertex], bound.weights[packed.vertex], packed.faces, of_face,
                 np.full(len(packed.faces), KINDS.index(kind)), textures)


def _folds_m(at_m, faces, off_m, rng, numbers: LooseClothNumbers) -> np.ndarray:
    """Return the shift (V, 3) along the normals by looseness and folds, outward at all places."""
    normals, _ = surface(at_m, faces)
    direction = rng.normal(size=(numbers.fold_count, 3)) * (1, 0.5, 1)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    wavelength_m = rng.uniform(*numbers.fold_wavelengths_m, numbers.fold_count)
    phase = rng.uniform(0, 2 * np.pi, numbers.fold_count)
    wave = np.sin(at_m @ (direction * (2 * np.pi / wavelength_m)[:, None]).T + phase)
    share = 0.5 + 0.5 * wave.mean(1) * np.sqrt(numbers.fold_count / 2)
    fold_m = min(numbers.max_fold_m, 0.5 * (off_m[1] - off_m[0]))
    far_m = off_m[0] + (off_m[1] - off_m[0]) * rng.uniform(0.5, 1.0) + fold_m * share.clip(0, 1)
    return normals * far_m[:, None]


def _cut_hair_under_hat(parts: list[_Part], worn, numbers: LooseClothNumbers) -> None:
    """Leave out faces of hair that would stand out of a hat."""
    slots = [garment.slot for garment in worn]
    if 'hat' not in slots or 'hair' not in slots:
        return
    hat_m = parts[1 + slots.index('hat')].vertices_m
    index = 1 + slots.index('hair')
    hair = parts[index]
    rim_m = np.percentile(hat_m[:, 1], 15) + numbers.hat_rim_m
    centre_m, reach_m = hat_m[:, [0, 2]].mean(0), np.ptp(hat_m[:, [0, 2]], axis=0) / 2
    beside = np.linalg.norm((hair.vertices_m[:, [0, 2]] - centre_m) / reach_m, axis=1)
    under = (hair.vertices_m[:, 1] > rim_m) & (beside < 1)
    kept = ~under[hair.faces].any(1)
    parts[index] = hair._replace(faces=hair.faces[kept], texture=hair.texture[kept],
                                 kind=hair.kind[kept])


def _joined(body: RenderedBody, parts: list[_Part], worn) -> DressedBody:
    vertex, texture, faces, textures = 0, 0, [], []
    for part in parts:
        faces.append(part.faces + vertex)
        textures.append(part.texture + texture)
        vertex, texture = vertex + len(part.vertices_m), texture + len(part.textures)

    def stacked(name: str, dtype):
        return np.concatenate([getattr(part, name) for part in parts]).astype(dtype)

    return _without_unused(DressedBody(
        body, stacked('vertices_m', np.float32), stacked('normals', np.float32),
        stacked('uv', np.float32), stacked('bones', np.int32), stacked('weights', np.float32),
        np.concatenate(faces).astype(np.int32), np.concatenate(textures).astype(np.int32),
        stacked('kind', np.uint8), tuple(t for part in parts for t in part.textures), worn))


def _without_unused(mesh: DressedBody) -> DressedBody:
    """Return the mesh without vertices that no face has."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return DressedBody(
        mesh.body, mesh.vertices_m[used], mesh.normals[used], mesh.uv[used], mesh.bones[used],
        mesh.weights[used], faces.reshape(-1, 3).astype(np.int32), mesh.texture, mesh.kind,
        mesh.textures, mesh.worn)
