"""Random poses of a bank's people: limbs of several recordings, noise, mirror, any heading."""

from typing import NamedTuple

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
import numpy as np

from niki_training.data.augmentation import mirror_poses
from niki_training.render.batch.bank import Bank
from niki_training.render.batch.random_draws import CropRandom

# limbs that are exchanged with those of another pose, and the odds of it
_LIMBS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((1, 2, 4, 5, 7, 8, 10, 11), 0.25),
    ((13, 16, 18, 20, 22), 0.25), ((14, 17, 19, 21, 23), 0.25))
_JOINT_NOISE_RAD = 0.09
# joints that motion capture records badly or not at all, and their noise about x, y, z
_FREE_JOINTS_RAD: tuple[tuple[tuple[int, ...], tuple[float, float, float]], ...] = (
    ((20, 21), (0.15, 0.3, 0.3)), ((7, 8), (0.2, 0.1, 0.1)),
    ((10, 11), (0.15, 0.05, 0.05)), ((15,), (0.15, 0.2, 0.12)))
_NEW_HEADING_AXIS = np.array([0.0, 1.0, 0.0])


class PosedPeople(NamedTuple):
    """N people with the pelvis at 0, axes of the world: y up."""

    person: np.ndarray  # (N,) index in the bank
    rotmat: np.ndarray  # (N, 24, 3, 3) local rotations, joint 0 in the world
    joints_m: np.ndarray  # (N, 29, 3) about the pelvis


class SkeletonTable:
    """The skeletons of a bank's people, one row each."""

    def __init__(self, bank: Bank):
        meshes = [person.mesh for person in bank.people]
        self.offsets_m = np.stack([mesh.offsets_m for mesh in meshes]).astype(float)
        self.pivots_m = np.stack([mesh.pivots_m for mesh in meshes]).astype(float)
        self.t_pose_from_rest = np.stack([mesh.t_pose_from_rest for mesh in meshes]).astype(float)
        self.betas = np.stack([mesh.betas for mesh in meshes]).astype(float)
        self.joint_depth_m = np.stack([mesh.joint_depth_m for mesh in meshes]).astype(float)

    def matrices(self, person, rotmat, root_m) -> np.ndarray:
        """
        Return the matrices (N, 24, 3, 4) that move the meshes at rest, as RenderedBody.posed does.

        :param person: (N,) rows. :param rotmat: (N, 24, 3, 3) local. :param root_m: (N, 3) metres.
        """
        joints_m, global_rotmat = forward_kinematics(rotmat, self.offsets_m[person])
        linear = global_rotmat @ self.t_pose_from_rest[person]
        moved_m = joints_m[:, :24] + root_m[:, None] - (
            linear @ self.pivots_m[person][..., None])[..., 0]
        return np.concatenate([linear, moved_m[..., None]], axis=-1)


def draw_people(bank: Bank, table: SkeletonTable, draw: CropRandom) -> PosedPeople:
    """Return one random person in a random pose for each crop of ``draw``."""
    rotvec = bank.rotvec[draw.index(len(bank.rotvec))].astype(float)
    for joints, odds in _LIMBS:
        other = bank.rotvec[draw.index(len(bank.rotvec))][:, joints]
        swap = draw.chance(odds)[:, None, None]
        rotvec[:, joints] = np.where(swap, other, rotvec[:, joints])
    rotvec[:, 1:22] += draw.normal(_JOINT_NOISE_RAD, (21, 3))
    for joints, sigma in _FREE_JOINTS_RAD:
        rotvec[:, joints] += draw.normal(np.array(sigma), (len(joints), 3))
    rotvec = np.where(draw.chance(0.5)[:, None, None], mirror_poses(rotvec), rotvec)
    rotmat = rotmat_from_rotvec(rotvec)
    heading = draw.uniform(-np.pi, np.pi)
    rotmat[:, 0] = rotmat_from_rotvec(heading[:, None] * _NEW_HEADING_AXIS) @ rotmat[:, 0]
    person = draw.index(len(bank.people))
    joints_m, _ = forward_kinematics(rotmat, table.offsets_m[person])
    return PosedPeople(person, rotmat, joints_m)
