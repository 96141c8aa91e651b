"""One garment, pair of shoes, hat or head of hair, and how it hangs on the base mesh."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.files.archives import opened_npz
from niki_training.render.garments.base_mesh import FULL_VERTEX_COUNT, packed_mesh, PackedMesh

# axes x, y, z: vertices a, b of the base mesh, and |a - b| along the axis on the author's body,
# for files without their own; those of the outfits of MakeHuman, decimetres
_SCALE_REFS = np.array([[5399, 11998, 1.398], [791, 881, 2.2048], [962, 5320, 1.8461]])
NO_TEXTURE = Path()  # plain cloth, coloured when it is drawn
_REMEDY = 'give a folder of garments, one npz each, and their textures in textures/'


@dataclass(frozen=True)
class Garment:
    """
    A mesh that follows the base mesh.

    Position of a vertex = sum of ``ref_weights`` · vertices ``ref_vidx`` + ``offsets`` · scale;
    the scale per axis comes from ``scale_refs``: the rule of MakeHuman's clothes (mhclo).
    """

    name: str
    tags: tuple[str, ...]  # in small letters
    licence: str
    author: str  # empty where the file has none
    texture: Path  # picture of the cloth, RGB or RGBA; NO_TEXTURE = plain
    ref_vidx: np.ndarray  # (V, 3) vertices of the full base mesh
    ref_weights: np.ndarray  # (V, 3); their sum is 1
    offsets: np.ndarray  # (V, 3) in the author's unit
    scale_refs: np.ndarray  # (3, 3): for each axis, two vertices and their author's distance
    faces: np.ndarray  # (F, 3) vertices
    uv: np.ndarray  # (C, 2) on the texture, v upward
    faces_uv: np.ndarray  # (F, 3) rows of uv
    delete_verts: np.ndarray  # (n,) vertices of the base mesh underneath

    @cached_property
    def packed(self) -> PackedMesh:
        return packed_mesh(self.faces, self.faces_uv, self.uv)

    @property
    def needs_credit(self) -> bool:
        """True where the licence asks for the author's name."""
        return self.licence.upper().replace(' ', '').startswith('CCBY')

    def fitted(self, base_vertices_m) -> np.ndarray:
        """Return the vertices (V, 3), metres, on the full base mesh (19158, 3) at rest."""
        base = np.asarray(base_vertices_m)
        pair, axis = self.scale_refs[:, :2].astype(int), np.arange(3)
        scale = np.abs(base[pair[:, 0], axis] - base[pair[:, 1], axis]) / self.scale_refs[:, 2]
        return np.einsum('vk,vka->va', self.ref_weights, base[self.ref_vidx]) + (
            self.offsets * scale)


def read_garments(folder: Path) -> list[Garment]:
    """Read all garments of a folder, sorted by name; an InputError where there are none."""
    paths = sorted(Path(folder).glob('*.npz'))
    if not paths:
        raise InputError(f'{folder} has no garments (*.npz); {_REMEDY}')
    return [read_garment(path) for path in paths]


def read_garment(path: Path) -> Garment:
    """Read one npz; an InputError where it is none of a garment."""
    with opened_npz(path, 'a garment', _REMEDY) as z:
        try:
            garment = Garment(
                path.stem, tuple(str(tag).lower() for tag in z['tags']), str(z['licence']),
                str(z['author']) if 'author' in z.files else '',
                path.parent / 'textures' / str(z['texture']), z['ref_vidx'], z['weights'],
                z['offsets'], z['scale_refs'] if 'scale_refs' in z.files else _SCALE_REFS,
                z['faces'], z['uv'], z['faces_uv'], z['delete_verts'])
        except KeyError as error:
            raise InputError(f'{path}: no array {error}; {_REMEDY}') from error
    _check(garment, path)
    return garment


def _check(garment: Garment, path: Path) -> None:
    count = len(garment.ref_vidx)
    ranges = (('ref_vidx', garment.ref_vidx, FULL_VERTEX_COUNT), ('faces', garment.faces, count),
              ('faces_uv', garment.faces_uv, len(garment.uv)),
              ('delete_verts', garment.delete_verts, FULL_VERTEX_COUNT))
    for name, index, end in ranges:
        if index.size and (index.min() < 0 or index.max() >= end):
            raise InputError(f'{path}: {name} has {index.min()} … {index.max()}; expected '
                             f'0 … {end - 1}; {_REMEDY}')
    for name, values in (('weights', garment.ref_weights), ('offsets', garment.offsets)):
        if values.shape != (count, 3) or not np.isfinite(values).all():
            raise InputError(f'{path}: {name} has the shape {values.shape} or values that are not '
                             f'finite; expected ({count}, 3); {_REMEDY}')
    if not garment.texture.is_file():
        raise InputError(f'{path}: its texture {garment.texture} is missing; {_REMEDY}')
