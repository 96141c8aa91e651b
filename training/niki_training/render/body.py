"""Anny's bodies on the 24 joints: a skinned mesh whose skeleton lies in the open shape space."""

from __future__ import annotations

from dataclasses import dataclass
import warnings

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import BODY_24, PARENTS_29, Skeleton
from niki_ros.common.errors import BackendError
import numpy as np

OURS_FROM_ANNY = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Anny's axes (x left, z up, facing -y) to ours (x left, y up, z forward)."""

_BONES = {
    'pelvis': 'root', 'hip': 'upperleg01', 'spine1': 'spine04', 'knee': 'lowerleg01',
    'spine2': 'spine02', 'ankle': 'foot', 'spine3': 'spine01', 'foot': 'toe2-1',
    'neck': 'neck01', 'collar': 'clavicle', 'head': 'head', 'shoulder': 'upperarm01',
    'elbow': 'lowerarm01', 'wrist': 'wrist', 'hand': 'finger3-1',
}
"""Which of Anny's bones begins in each of our joints; ``.L`` and ``.R`` follow."""

_FOOT_BONES, _HAND_BONES = ('toe',), ('finger2', 'finger3', 'finger4', 'finger5')
_STRAIGHT = {1: (0, -1, 0), 2: (0, -1, 0), 4: (0, -1, 0), 5: (0, -1, 0),
             16: (1, 0, 0), 18: (1, 0, 0), 20: (1, 0, 0),
             17: (-1, 0, 0), 19: (-1, 0, 0), 21: (-1, 0, 0)}
"""Joints whose bone to the next joint is turned from Anny's A-pose into the T-pose."""
_NEXT = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 18: 20, 20: 22, 17: 19, 19: 21, 21: 23}
_STAY = (7, 8)
"""Ankles: the foot keeps Anny's direction, however the shank is turned."""
BONES_A_VERTEX = 4
_FIT_M = 0.003
"""So far the joints may miss Anny's before betas beyond one standard deviation are taken."""


def bone_of(joint: str) -> str:
    """Return the name of Anny's bone that begins in ``joint``."""
    side, _, kind = joint.partition('_')
    if side in ('left', 'right'):
        return f'{_BONES[kind]}.{side[0].upper()}'
    return _BONES[joint]


def _turn_onto(direction, target) -> np.ndarray:
    """Return the smallest rotation (3, 3) that takes ``direction`` onto ``target``."""
    a, b = direction / np.linalg.norm(direction), np.asarray(target, dtype=float)
    v, c = np.cross(a, b), float(a @ b)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + c)


def straightening(joints_m) -> np.ndarray:
    """Return for each joint the rotation (24, 3, 3) that makes the A-pose (24, 3) a T-pose."""
    turns = np.tile(np.eye(3), (24, 1, 1))
    for joint in range(1, 24):
        turn = np.eye(3) if joint in _STAY else turns[PARENTS_29[joint]]
        if joint in _STRAIGHT:
            bone = turn @ (joints_m[_NEXT[joint]] - joints_m[joint])
            turn = _turn_onto(bone, _STRAIGHT[joint]) @ turn
        turns[joint] = turn
    return turns


@dataclass
class Body:
    """
    One person: a mesh in Anny's rest pose, and what moves it.

    :param vertices_m: (V, 3) at rest, metres, x left, y up, z forward.
    :param normals: (V, 3) unit vectors. :param area_m2: (V,) of the surface.
    :param pivots_m: (24, 3) joints at rest, where the mesh turns.
    :param straighten: (24, 3, 3) from Anny's A-pose to the T-pose.
    :param betas: (10,) and offsets_m (29, 3): the open skeleton of this person; exact.
    :param misfit_m: (24,) how far Anny's own joints, in the T-pose, are from these.
    :param eyes_m: (2, 3) at rest, left first. :param eyeballs: (V,) bool.
    :param phenotype: Anny's parameters, 0 … 1.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    area_m2: np.ndarray
    pivots_m: np.ndarray
    straighten: np.ndarray
    betas: np.ndarray
    offsets_m: np.ndarray
    misfit_m: np.ndarray
    eyes_m: np.ndarray
    eyeballs: np.ndarray
    phenotype: dict

    @property
    def height_m(self) -> float:
        """Return the height of the mesh at rest."""
        return float(np.ptp(self.vertices_m[:, 1]))

    def posed(self, rotmat, root_m):
        """
        Move the body.

        :param rotmat: (T, 24, 3, 3) local rotations. :param root_m: (T, 3) the pelvis.
        :return: joints (T, 29, 3), and matrices (T, 24, 3, 4) from the mesh at rest.
        """
        joints, turned = forward_kinematics(rotmat, self.offsets_m)
        joints = joints + np.asarray(root_m)[:, None]
        linear = turned @ self.straighten
        moved = joints[:, :24] - np.einsum('tjab,jb->tja', linear, self.pivots_m)
        return joints, np.concatenate([linear, moved[..., None]], axis=-1)


class BodyModel:
    """Anny, loaded once: bodies by phenotype."""

    def __init__(self, skeleton: Skeleton):
        """
        Load the model; the very first time it prepares its data, about two minutes.

        ``heads`` (24,) is the bone of Anny's that begins in each joint, ``owner`` the joint that
        carries each bone, ``eyeballs`` (V,) what is eye.
        """
        self._torch, self._model = _load_anny()
        self.skeleton = skeleton
        labels = list(self._model.bone_labels)
        self.heads = [labels.index(bone_of(joint)) for joint in BODY_24]
        self._eyes = [labels.index(f'eye.{side}') for side in 'LR']
        self.weights = self._weights(labels)
        self.faces = np.asarray(self._model.faces, dtype=np.int32)
        order = np.argsort(-self.weights, axis=1)[:, :BONES_A_VERTEX]
        self.vertex_bones = order.astype(np.int32)
        share = np.take_along_axis(self.weights, order, axis=1)
        self.vertex_weights = (share / share.sum(1, keepdims=True)).astype(np.float32)

    def _weights(self, labels) -> np.ndarray:
        """Return Anny's weights (V, 24), each bone's share given to the joint that carries it."""
        parents = self._model.bone_parents
        owner = []
        for bone, label in enumerate(labels):
            side = {'L': 'left_', 'R': 'right_'}.get(label[-1], '')
            if bone in self.heads:
                joint = self.heads.index(bone)
            elif label.startswith(_FOOT_BONES):
                joint = BODY_24.index(side + 'foot')
            elif label.startswith(_HAND_BONES):
                joint = BODY_24.index(side + 'hand')
            else:
                joint = owner[parents[bone]] if bone else 0
            owner.append(joint)
        self.owner = np.asarray(owner)
        sparse = self._model.vertex_bone_weights.numpy()
        index = self._model.vertex_bone_indices.numpy()
        self.eyeballs = (sparse * np.isin(index, self._eyes)).sum(1) > 0.5
        weights = np.zeros((len(sparse), 24))
        rows = np.repeat(np.arange(len(sparse))[:, None], sparse.shape[1], axis=1)
        np.add.at(weights, (rows, self.owner[index]), sparse)
        return weights

    def body(self, phenotype: dict) -> Body:
        """Return the body of Anny's parameters ``gender``, ``age``, ``weight`` and so on."""
        with self._torch.no_grad():
            shape = self._model.get_phenotype_blendshape_coefficients(**phenotype)
            rest = self._model.get_rest_model(shape)
        vertices = rest['rest_vertices'][0].numpy().astype(np.float64) @ OURS_FROM_ANNY.T
        heads = rest['rest_bone_heads'][0].numpy().astype(np.float64) @ OURS_FROM_ANNY.T
        pivots = heads[self.heads]
        turns = straightening(pivots)
        betas, misfit = self._shape(tpose(pivots, turns))
        normals, area = surface(vertices, self.faces)
        return Body(vertices, normals, area, pivots, turns, betas,
                    self.skeleton.offsets(betas), misfit, heads[self._eyes],
                    self.eyeballs, dict(phenotype))

    def _shape(self, joints_m):
        """Fit betas (10,) to joints (24, 3) in the T-pose; return them and the misfit (24,)."""
        basis = self.skeleton.shape_basis_m[:, :24].reshape(10, -1)
        target = (joints_m - self.skeleton.rest_joints_m[:24]).ravel()
        betas = np.linalg.solve(basis @ basis.T + _FIT_M**2 * np.eye(10), basis @ target)
        misfit = np.linalg.norm((target - betas @ basis).reshape(24, 3), axis=1)
        return betas, misfit


def tpose(pivots_m, turns) -> np.ndarray:
    """Return the joints (24, 3) of the A-pose ``pivots_m`` turned into the T-pose, pelvis 0."""
    joints = np.zeros((24, 3))
    for joint in range(1, 24):
        parent = PARENTS_29[joint]
        joints[joint] = joints[parent] + turns[parent] @ (pivots_m[joint] - pivots_m[parent])
    return joints


def surface(vertices_m, faces):
    """Return normals (V, 3) and the area (V,) that belongs to each vertex."""
    a, b, c = (vertices_m[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    index = faces.ravel()
    normals = np.stack([np.bincount(index, np.repeat(cross[:, k], 3), len(vertices_m))
                        for k in range(3)], axis=1)
    area = np.bincount(index, np.repeat(np.linalg.norm(cross, axis=1) / 6, 3), len(vertices_m))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.maximum(length, 1e-12), area


def _load_anny():
    """Import Anny; say what to install where it is missing."""
    try:
        import anny
        import torch
    except ImportError as error:
        raise BackendError(f'rendering needs the package anny ({error}); install it with: '
                           "python -m pip install 'niki_training[render]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it recommends another library for skinning
        return torch, anny.Anny(topology='anny', skinning_method='lbs')


def draw_phenotype(rng) -> dict:
    """Draw a person: mostly adults, one in eight a child, heights and weights as they come."""
    child = rng.random() < 0.12
    return {
        'gender': float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])),
        'age': float(rng.uniform(0.36, 0.6) if child else rng.uniform(0.62, 1.0)),
        'muscle': float(np.clip(rng.normal(0.5, 0.2), 0, 1)),
        'weight': float(np.clip(rng.normal(0.5, 0.22), 0, 1)),
        'height': float(np.clip(rng.normal(0.42, 0.09), 0.2, 0.65)),
        'proportions': float(rng.uniform(0, 1)),
    }
