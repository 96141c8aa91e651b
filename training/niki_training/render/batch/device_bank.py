"""The meshes and textures of a bank as tensors on one device, and their posing in batches."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from niki_training.render.anny_body import surface
from niki_training.render.appearance import SILHOUETTE_KINDS
from niki_training.render.batch.bank import Bank, TEXTURE_PX
from niki_training.render.batch.person_mesh import PersonMesh
from niki_training.render.batch.raster import Triangles
from niki_training.render.clothing import draw_patterns
from niki_training.render.garments.dressed import KINDS
from niki_training.render.visibility import VisibilityNumbers

SLOTS = 16  # textures of one person, at most
PATTERN_LAYERS, PATTERN_SETS = 6, 8
_PATTERN_SEED = 5
_PATTERN_CONTRAST = 0.55
_SAMPLE_COUNT = VisibilityNumbers().sample_count
NORMAL, UV, COLOUR = slice(0, 3), slice(3, 5), slice(5, 8)
"""Columns of the attributes of vertices."""


class Meshes(NamedTuple):
    """Meshes of a batch, packed one after another: V vertices, F triangles."""

    points_m: torch.Tensor  # (V, 3) axes of the views
    attributes: torch.Tensor  # (V, 8) normal in the axes of the views, uv, colour
    triangles: Triangles
    texture: torch.Tensor  # (F,) row of the textures
    tint: torch.Tensor  # (F,) row of the tints of a batch: person * SLOTS + slot; 0 … M * SLOTS
    person: torch.Tensor  # (F,) number of the person in the batch
    first_vertex: torch.Tensor  # (M,) of each person


class DeviceBank:
    """
    A bank on one device.

    :ivar panoramas: (K, 512, 1024, 3) uint8.
    :ivar textures: (L * 256 * 256, 4) uint8 RGBA, texture after texture, row after row.
    :ivar first_pattern: texture of the first of PATTERN_LAYERS patterns of furniture.
    :ivar slot_kind: (B, SLOTS) numpy, kind of the surface with each texture of each person.
    :ivar samples: (B, S) vertices of each person, drawn by their area.
    """

    def __init__(self, bank: Bank, device):
        meshes = [person.mesh for person in bank.people]
        self.device = torch.device(device)
        self._vertex_start = self._starts([len(mesh.vertices_m) for mesh in meshes])
        self._triangle_start = self._starts([len(mesh.triangles) for mesh in meshes])
        self.panoramas = torch.as_tensor(np.stack(bank.panoramas)).to(self.device)
        self._points_m = self._joined([mesh.vertices_m for mesh in meshes], torch.float32)
        self._attributes = self._joined([np.concatenate(
            [mesh.normals, mesh.uv, mesh.colour], 1) for mesh in meshes], torch.float32)
        self._bones = self._joined([mesh.bones for mesh in meshes], torch.int32)
        self._weights = self._joined([mesh.weights for mesh in meshes], torch.float32)
        self._corners = self._joined([mesh.triangles for mesh in meshes], torch.int64)
        self._slot = self._joined([mesh.texture for mesh in meshes], torch.int64)
        self._two_sided = self._joined([mesh.two_sided for mesh in meshes], torch.bool)
        textures, holed, starts = _textures(bank)
        self.first_pattern = len(textures)
        textures += _pattern_textures()
        self.textures = torch.as_tensor(np.stack(textures)).to(self.device).view(-1, 4)
        self._texture_start = torch.as_tensor(starts, device=self.device)
        self._has_holes = torch.as_tensor(holed, device=self.device)
        self.slot_kind = _slot_kinds(meshes)
        rng = np.random.default_rng(0)
        self.samples = torch.as_tensor(np.stack([
            _area_samples(mesh, _SAMPLE_COUNT, rng) for mesh in meshes])).to(self.device)

    def posed(self, person, crop, bones) -> Meshes:
        """
        Return the meshes of M people.

        :param person: (M,) of the bank. :param crop: (M,) image in which each is drawn.
        :param bones: (M, 24, 3, 4) that move the meshes at rest.
        """
        vertex, vertex_owner, first_vertex = _ranges(self._vertex_start, person)
        triangle, owner, _ = _ranges(self._triangle_start, person)
        rows = self._bones.index_select(0, vertex) + (24 * vertex_owner).int()[:, None]
        moves = embedding_bag(rows, bones.reshape(-1, 12), mode='sum',
                              per_sample_weights=self._weights.index_select(0, vertex))
        moves = moves.view(-1, 3, 4)
        at_m, attributes = (values.index_select(0, vertex)
                            for values in (self._points_m, self._attributes))
        points_m = (moves[..., :3] * at_m[:, None]).sum(-1) + moves[..., 3]
        normals = (moves[..., :3] * attributes[:, None, NORMAL]).sum(-1)
        attributes = torch.cat([normals, attributes[:, 3:]], 1)
        slot = self._slot.index_select(0, triangle)
        texture = self._texture_start[person][owner] + slot
        corners = self._corners.index_select(0, triangle) + first_vertex[owner][:, None]
        triangles = Triangles(corners, crop[owner], self._two_sided[triangle],
                              self._has_holes[texture])
        return Meshes(points_m, attributes, triangles, texture, owner * SLOTS + slot, owner,
                      first_vertex)

    def texels(self, texture, uv) -> torch.Tensor:
        """Return RGBA (P, 4) 0 … 1 of textures (P,) at uv (P, 2), bilinear, repeated."""
        at = uv * TEXTURE_PX - 0.5
        low = at.floor()
        share = at - low
        low = low.long()
        total = torch.zeros(len(uv), 4, device=uv.device)
        for down in (0, 1):
            row = (low[:, 1] + down) % TEXTURE_PX
            down_weight = share[:, 1] if down else 1 - share[:, 1]
            for across in (0, 1):
                column = (low[:, 0] + across) % TEXTURE_PX
                across_weight = share[:, 0] if across else 1 - share[:, 0]
                texel = self.textures.index_select(
                    0, texture * TEXTURE_PX**2 + row * TEXTURE_PX + column)
                total += texel * (down_weight * across_weight)[:, None]
        return total / 255

    def is_opaque(self, texture, uv) -> torch.Tensor:
        """Return (P,) bool: textures (P,) have no hole at uv (P, 2)."""
        column, row = ((uv * TEXTURE_PX).floor().long() % TEXTURE_PX).unbind(1)
        texel = texture * TEXTURE_PX**2 + row * TEXTURE_PX + column
        return self.textures[:, 3].index_select(0, texel) > 127

    def _joined(self, arrays, dtype) -> torch.Tensor:
        return torch.as_tensor(np.concatenate(arrays)).to(self.device, dtype)

    def _starts(self, counts) -> torch.Tensor:
        return torch.as_tensor(np.cumsum([0, *counts]), device=self.device)


def _ranges(starts, person):
    """Return rows (T,) of people (M,), the number of the person of each, and first rows (M,)."""
    counts = starts[person + 1] - starts[person]
    owner = torch.repeat_interleave(torch.arange(len(person), device=person.device), counts)
    first = counts.cumsum(0) - counts
    rows = torch.arange(len(owner), device=person.device) + (starts[person] - first)[owner]
    return rows, owner, first


def _textures(bank: Bank):
    """Return all textures, which of them have holes, and the first of each person."""
    textures = [texture for person in bank.people for texture in person.textures]
    counts = [len(person.textures) for person in bank.people]
    holed = [texture[..., 3].min() < 128 for texture in textures]
    return textures, holed, np.cumsum([0, *counts])[:-1]


def _pattern_textures() -> list[np.ndarray]:
    rng = np.random.default_rng(_PATTERN_SEED)
    patterns = np.concatenate([draw_patterns(rng) for _ in range(PATTERN_SETS)])
    grey = 255 - _PATTERN_CONTRAST * patterns.repeat(2, axis=1).repeat(2, axis=2)
    grey = grey[..., None].repeat(4, axis=3)
    grey[..., 3] = 255
    return list(grey.astype(np.uint8))


def _slot_kinds(meshes: list[PersonMesh]) -> np.ndarray:
    kinds = np.full((len(meshes), SLOTS), KINDS.index('cloth'))
    for row, mesh in enumerate(meshes):
        kinds[row, mesh.texture] = mesh.kind
    return kinds


def _area_samples(mesh: PersonMesh, count: int, rng) -> np.ndarray:
    """Return vertices (count,) of skin, cloth and shoes, drawn by the area around them."""
    _, area = surface(mesh.vertices_m, mesh.triangles[np.isin(mesh.kind, SILHOUETTE_KINDS)])
    return rng.choice(len(area), count, p=area / area.sum())
