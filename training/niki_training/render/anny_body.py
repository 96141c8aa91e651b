"""Skinned meshes of Anny's body model on the 24 joints, with skeletons in the open shape space."""

from dataclasses import dataclass
import warnings

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import BODY_24, PARENTS_29, Skeleton
from niki_ros.common.errors import BackendError
import numpy as np

from niki_training.data.anatomy import joint_centres

# from Anny's axes (x left, y backward, z up) to x left, y up, z forward
NIKI_FROM_ANNY = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
# joint → Anny's bone that begins in it, without its suffix .L or .R
_BONES = {
    'pelvis': 'root', 'hip': 'upperleg01', 'spine1': 'spine04', 'knee': 'lowerleg01',
    'spine2': 'spine02', 'ankle': 'foot', 'spine3': 'spine01', 'foot': 'toe2-1',
    'neck': 'neck01', 'collar': 'clavicle', 'head': 'head', 'shoulder': 'upperarm01',
    'elbow': 'lowerarm01', 'wrist': 'wrist', 'hand': 'finger3-1'}
_FOOT_BONES, _HAND_BONES = ('toe',), ('finger2', 'finger3', 'finger4', 'finger5')
# joint → direction of its bone in the T-pose; all other bones turn with their parents
_T_POSE_DIRECTIONS = {
    **dict.fromkeys((1, 2, 4, 5), (0, -1, 0)), **dict.fromkeys((16, 18, 20), (1, 0, 0)),
    **dict.fromkeys((17, 19, 21), (-1, 0, 0))}
_NEXT = {1: 4, 2: 5, 4: 7, 5: 8, 16: 18, 18: 20, 20: 22, 17: 19, 19: 21, 21: 23}
_NOT_TURNED = (7, 8)  # ankles: the foot keeps its direction of the A-pose
_MAX_BONES_PER_VERTEX = 4
_FIT_SIGMA_M = 0.003  # of a joint in the fit of betas, whose own prior is N(0, 1)


def bone_of(joint: str) -> str:
    side, _, kind = joint.partition('_')
    return f'{_BONES[kind]}.{side[0].upper()}' if kind else _BONES[joint]


def rotmat_between(direction, target) -> np.ndarray:
    """
    Return the smallest rotation (3, 3) from ``direction`` (3,) to the unit vector ``target`` (3,).

    Rodrigues' formula; opposite directions have no smallest rotation.
    """
    a, b = direction / np.linalg.norm(direction), np.asarray(target, dtype=float)
    v, c = np.cross(a, b), float(a @ b)
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + c)


def t_pose_rotmats(joints_m) -> np.ndarray:
    """Return rotations (24, 3, 3) from an A-pose (24, 3), metres, to the T-pose."""
    turns = np.tile(np.eye(3), (24, 1, 1))
    for joint in range(1, 24):
        turn = np.eye(3) if joint in _NOT_TURNED else turns[PARENTS_29[joint]]
        if joint in _T_POSE_DIRECTIONS:
            bone = turn @ (joints_m[_NEXT[joint]] - joints_m[joint])
            turn = rotmat_between(bone, _T_POSE_DIRECTIONS[joint]) @ turn
        turns[joint] = turn
    return turns


@dataclass
class RenderedBody:
    """
    The mesh of one person at rest, and the skeleton that moves it.

    Rest is Anny's A-pose; axes: x left, y up, z forward.
    """

    vertices_m: np.ndarray  # (V, 3) at rest, metres
    normals: np.ndarray  # (V, 3) unit vectors
    area_m2: np.ndarray  # (V,) of the surface
    pivots_m: np.ndarray  # (24, 3) joints at rest, about which the mesh turns
    t_pose_from_rest: np.ndarray  # (24, 3, 3) rotation of each bone from the A-pose to the T-pose
    betas: np.ndarray  # (10,) of the open skeleton
    offsets_m: np.ndarray  # (29, 3) of that skeleton
    misfit_m: np.ndarray  # (24,) distance of Anny's own joints, in the T-pose, from the skeleton's
    eyes_m: np.ndarray  # (2, 3) at rest, left first
    is_eyeball: np.ndarray  # (V,) bool
    phenotype: dict  # Anny's parameters, 0 … 1

    @property
    def height_m(self) -> float:
        return float(np.ptp(self.vertices_m[:, 1]))

    def posed(self, rotmat, root_m):
        """
        Return joints (T, 29, 3), metres, and matrices (T, 24, 3, 4) that move the mesh at rest.

        :param rotmat: (T, 24, 3, 3) local rotations. :param root_m: (T, 3) the pelvis, metres.
        """
        joints_m, global_rotmat = forward_kinematics(rotmat, self.offsets_m)
        joints_m = joints_m + np.asarray(root_m)[:, None]
        linear = global_rotmat @ self.t_pose_from_rest
        moved_m = joints_m[:, :24] - np.einsum('tjab,jb->tja', linear, self.pivots_m)
        return joints_m, np.concatenate([linear, moved_m[..., None]], axis=-1)


class AnnyModel:
    """
    Anny's body model.

    :ivar faces: (F, 3) indices of vertices. :ivar weights: (V, 24) skinning weights.
    :ivar vertex_bones: (V, 4) the joints with the largest weights of each vertex,
    :ivar vertex_weights: (V, 4) and these weights; their sum is 1.
    :ivar heads: (24,) index of Anny's bone that begins in each joint.
    :ivar joint_of_bone: (B,) joint that carries each of Anny's bones. :ivar is_eyeball: (V,) bool.
    """

    def __init__(self, skeleton: Skeleton):
        """Load the model; Anny prepares its data at the very first time, for about two minutes."""
        self._torch, self.anny = load_anny()
        self.skeleton = skeleton
        labels = list(self.anny.bone_labels)
        self.heads = [labels.index(bone_of(joint)) for joint in BODY_24]
        self._eyes = [labels.index(f'eye.{side}') for side in 'LR']
        self.weights = self._weights(labels)
        self.faces = np.asarray(self.anny.faces, dtype=np.int32)
        self.vertex_bones, self.vertex_weights = largest_weights(self.weights)

    def _weights(self, labels) -> np.ndarray:
        """Return skinning weights (V, 24); a bone's weight goes to the joint that carries it."""
        parents = self.anny.bone_parents
        joint_of_bone: list[int] = []
        for bone, label in enumerate(labels):
            side = {'L': 'left_', 'R': 'right_'}.get(label[-1], '')
            if bone in self.heads:
                joint = self.heads.index(bone)
            elif label.startswith(_FOOT_BONES + _HAND_BONES):
                joint = BODY_24.index(side + ('foot' if label.startswith(_FOOT_BONES) else 'hand'))
            else:
                joint = joint_of_bone[parents[bone]] if bone else 0
            joint_of_bone.append(joint)
        self.joint_of_bone = np.asarray(joint_of_bone)
        eyes = np.isin(self.anny.vertex_bone_indices.numpy(), self._eyes)
        self.is_eyeball = (self.anny.vertex_bone_weights.numpy() * eyes).sum(1) > 0.5
        return joint_weights(self.anny, self.joint_of_bone)

    def body(self, phenotype: dict) -> RenderedBody:
        """Return the body of Anny's parameters, keys as of :func:`draw_phenotype`."""
        with self._torch.no_grad():
            shape = self.anny.get_phenotype_blendshape_coefficients(**phenotype)
            rest = self.anny.get_rest_model(shape)
        vertices = rest['rest_vertices'][0].numpy().astype(np.float64) @ NIKI_FROM_ANNY.T
        heads = rest['rest_bone_heads'][0].numpy().astype(np.float64) @ NIKI_FROM_ANNY.T
        pivots = joint_centres(heads[self.heads])
        turns = t_pose_rotmats(pivots)
        betas, misfit = self._fitted_betas(t_pose(pivots, turns))
        normals, area = surface(vertices, self.faces)
        return RenderedBody(
            vertices, normals, area, pivots, turns, betas, self.skeleton.offsets(betas), misfit,
            heads[self._eyes], self.is_eyeball, dict(phenotype))

    def _fitted_betas(self, joints_m):
        """Return betas (10,) of joints (24, 3) in the T-pose, and the misfit (24,), metres."""
        basis = self.skeleton.shape_basis_m[:, :24].reshape(10, -1)
        target = (joints_m - self.skeleton.rest_joints_m[:24]).ravel()
        betas = np.linalg.solve(basis @ basis.T + _FIT_SIGMA_M**2 * np.eye(10), basis @ target)
        misfit = np.linalg.norm((target - betas @ basis).reshape(24, 3), axis=1)
        return betas, misfit


def t_pose(pivots_m, turns) -> np.ndarray:
    """Return the T-pose (24, 3) about the pelvis of an A-pose (24, 3) and t_pose_rotmats."""
    joints = np.zeros((24, 3))
    for joint in range(1, 24):
        parent = PARENTS_29[joint]
        joints[joint] = joints[parent] + turns[parent] @ (pivots_m[joint] - pivots_m[parent])
    return joints


def surface(vertices_m, faces):
    """Return unit normals (V, 3) and the area (V,), m², of each vertex."""
    a, b, c = (vertices_m[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    index = faces.ravel()
    normals = np.stack([np.bincount(index, np.repeat(cross[:, k], 3), len(vertices_m))
                        for k in range(3)], axis=1)
    area = np.bincount(index, np.repeat(np.linalg.norm(cross, axis=1) / 6, 3), len(vertices_m))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return normals / np.maximum(length, 1e-12), area


def joint_weights(anny, joint_of_bone) -> np.ndarray:
    """Return skinning weights (V, 24) of a model of Anny whose bones (B,) belong to joints."""
    sparse, index = anny.vertex_bone_weights.numpy(), anny.vertex_bone_indices.numpy()
    weights = np.zeros((len(sparse), 24))
    rows = np.repeat(np.arange(len(sparse))[:, None], sparse.shape[1], axis=1)
    np.add.at(weights, (rows, joint_of_bone[index]), sparse)
    return weights


def largest_weights(weights):
    """Return joints (V, 4) int32 with the largest of weights (V, 24), and these with sum 1."""
    order = np.argsort(-weights, axis=1)[:, :_MAX_BONES_PER_VERTEX]
    largest = np.take_along_axis(weights, order, axis=1)
    return order.astype(np.int32), (largest / largest.sum(1, keepdims=True)).astype(np.float32)


def load_anny(topology: str = 'anny'):
    """Return torch and Anny with the mesh ``topology``; 'anny-full' also has helper vertices."""
    try:
        import anny
        import torch
    except ImportError as error:
        raise BackendError(f'rendering needs the package anny ({error}); install it with: '
                           "python -m pip install 'niki_training[render]'") from error
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # a recommendation of another library for skinning
        return torch, anny.Anny(topology=topology, skinning_method='lbs')


def draw_phenotype(rng) -> dict:
    """Return Anny's parameters, 0 … 1, of a random person; one in eight is a child."""
    child = rng.random() < 0.12
    return {
        'gender': float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.85, 1)])),
        'age': float(rng.uniform(0.36, 0.6) if child else rng.uniform(0.62, 1.0)),
        'muscle': float(np.clip(rng.normal(0.5, 0.2), 0, 1)),
        'weight': float(np.clip(rng.normal(0.5, 0.22), 0, 1)),
        'height': float(np.clip(rng.normal(0.42, 0.09), 0.2, 0.65)),
        'proportions': float(rng.uniform(0, 1))}
