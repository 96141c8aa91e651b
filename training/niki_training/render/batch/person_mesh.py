"""The mesh of one dressed person at rest, and its compact form on disk."""

from dataclasses import dataclass, fields
from typing import Mapping

import numpy as np

_M_PER_STEP = 1 / 16384  # 0.06 mm; 16 bits reach ± 2 m
_UV_PER_STEP = 1 / 4096  # 16 bits reach ± 8 repetitions of a texture
_UNIT_STEPS, _WEIGHT_STEPS = 127, 255


@dataclass(frozen=True)
class PersonMesh:
    """
    A dressed body at rest, Anny's A-pose, axes x left, y up, z forward, and its skeleton.

    Normals are those of the body under loose folds. A triangle is counter-clockwise from outside.
    """

    vertices_m: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3) unit vectors
    colour: np.ndarray  # (V, 3) RGB 0 … 1, by which the texture is multiplied
    uv: np.ndarray  # (V, 2) place on the texture, v downward, repeated beyond 0 … 1
    bones: np.ndarray  # (V, 4) joints that carry the vertex
    weights: np.ndarray  # (V, 4) their sum is 1
    triangles: np.ndarray  # (F, 3)
    texture: np.ndarray  # (F,) row of the person's textures
    kind: np.ndarray  # (F,) row of niki_training.render.garments.dressed.KINDS
    two_sided: np.ndarray  # (F,) bool
    pivots_m: np.ndarray  # (24, 3) joints at rest
    t_pose_from_rest: np.ndarray  # (24, 3, 3)
    offsets_m: np.ndarray  # (29, 3) of the open skeleton
    betas: np.ndarray  # (10,)
    joint_depth_m: np.ndarray  # (29,) of each joint under the surface
    height_m: float

    def packed(self) -> dict[str, np.ndarray]:
        """Return the arrays as whole numbers of few bits, for :meth:`from_packed`."""
        small = {
            'vertices_m': _steps(self.vertices_m, _M_PER_STEP, np.int16),
            'normals': _steps(self.normals, 1 / _UNIT_STEPS, np.int8),
            'colour': _steps(self.colour, 1 / _WEIGHT_STEPS, np.uint8),
            'uv': _steps(self.uv, _UV_PER_STEP, np.int16), 'bones': self.bones.astype(np.uint8),
            'weights': _steps(self.weights, 1 / _WEIGHT_STEPS, np.uint8),
            'triangles': self.triangles.astype(np.uint16),
            'texture': self.texture.astype(np.uint8), 'kind': self.kind.astype(np.uint8),
            'two_sided': self.two_sided.astype(bool)}
        rest = {field.name: np.asarray(getattr(self, field.name), np.float32)
                for field in fields(self) if field.name not in small}
        return {**small, **rest}

    @classmethod
    def from_packed(cls, arrays: Mapping[str, np.ndarray]) -> 'PersonMesh':
        """Return the mesh of the arrays of :meth:`packed`, within their steps."""
        values = dict(arrays)
        for name, step in (('vertices_m', _M_PER_STEP), ('normals', 1 / _UNIT_STEPS),
                           ('colour', 1 / _WEIGHT_STEPS), ('uv', _UV_PER_STEP),
                           ('weights', 1 / _WEIGHT_STEPS)):
            values[name] = values[name].astype(np.float32) * np.float32(step)
        values['weights'] = values['weights'] / values['weights'].sum(1, keepdims=True)
        values['height_m'] = float(values['height_m'])
        return cls(**values)


def _steps(values, step: float, dtype) -> np.ndarray:
    """Return values as whole numbers of ``step``, at the limits of ``dtype`` where beyond."""
    limits = np.iinfo(dtype)
    return np.clip(np.round(np.asarray(values) / step), limits.min, limits.max).astype(dtype)
