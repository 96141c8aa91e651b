"""Forward kinematics of the 29-joint tree, batched."""

from __future__ import annotations

from niki_ros.core.skeleton import PARENTS_29
import numpy as np


def _levels():
    """Group joints 1 … 28 by depth, so that a whole level of the tree is one matrix product."""
    depth = [0] * 29
    for joint in range(1, 29):
        depth[joint] = depth[PARENTS_29[joint]] + 1
    for level in range(1, max(depth) + 1):
        joints = [j for j in range(29) if depth[j] == level]
        yield np.asarray(joints), np.asarray([PARENTS_29[j] for j in joints])


LEVELS = tuple(_levels())


def global_rotmats(rotmat) -> np.ndarray:
    """Rotations of the 24 joints relative to the body's frame of reference, (..., 24, 3, 3)."""
    rotmat = np.asarray(rotmat, dtype=np.float64)
    out = np.empty_like(rotmat)
    out[..., 0, :, :] = rotmat[..., 0, :, :]
    for joints, parents in LEVELS:
        body = joints < 24
        if body.any():
            joints, parents = joints[body], parents[body]
            out[..., joints, :, :] = out[..., parents, :, :] @ rotmat[..., joints, :, :]
    return out


def forward_kinematics(rotmat, offsets_m):
    """
    Joints of a posed body: p_u = p_parent + R_parent(global) · offset_u.

    :param rotmat: (..., 24, 3, 3) local rotations.
    :param offsets_m: (..., 29, 3) bones at rest, ``Skeleton.offsets(betas)``.
    :return: joints (..., 29, 3) relative to the pelvis, and global rotations (..., 24, 3, 3).
    """
    turned = global_rotmats(rotmat)
    offsets = np.broadcast_to(offsets_m, turned.shape[:-3] + (29, 3))
    parents = np.asarray(PARENTS_29[1:])
    bones = np.einsum('...jab,...jb->...ja', turned[..., parents, :, :], offsets[..., 1:, :])
    joints = np.zeros(turned.shape[:-3] + (29, 3))
    for level, parent in LEVELS:
        joints[..., level, :] = joints[..., parent, :] + bones[..., level - 1, :]
    return joints, turned
