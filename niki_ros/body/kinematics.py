"""Forward kinematics of the 29-joint tree, batched."""

from __future__ import annotations

from niki_ros.body.skeleton import PARENTS_29
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


# the same levels, rotating joints only, as slices: (joints, their parents); SMPL's order makes
# that possible, and a slice is a view where a list of indices is a copy
_SLICES = ((slice(1, 4), slice(0, 1)), (slice(4, 7), slice(1, 4)), (slice(7, 10), slice(4, 7)),
           (slice(10, 12), slice(7, 9)), (slice(12, 15), slice(9, 10)),
           (slice(15, 18), slice(12, 15)), (slice(18, 20), slice(16, 18)),
           (slice(20, 22), slice(18, 20)), (slice(22, 24), slice(20, 22)))
_PARENTS = np.asarray(PARENTS_29[1:])


def _ancestors() -> np.ndarray:
    """(29, 24) 1 where turning the second joint moves the first."""
    moves = np.zeros((29, 24))
    for joint in range(1, 29):
        moves[joint] = moves[PARENTS_29[joint]]
        moves[joint, PARENTS_29[joint]] = 1
    return moves


MOVES = _ancestors()
# (29, 28) joints from the bones that end in joints 1 … 28: every bone above a joint, and its own
_CHAIN = np.concatenate([MOVES[:, 1:], np.zeros((29, 5))], axis=1) + np.eye(29)[:, 1:]


def global_rotmats(rotmat) -> np.ndarray:
    """Rotations of the 24 joints relative to the body's frame of reference, (..., 24, 3, 3)."""
    rotmat = np.asarray(rotmat, dtype=np.float64)
    out = np.empty_like(rotmat)
    out[..., 0, :, :] = rotmat[..., 0, :, :]
    for joints, parents in _SLICES:
        np.matmul(out[..., parents, :, :], rotmat[..., joints, :, :], out=out[..., joints, :, :])
    return out


def forward_kinematics(rotmat, offsets_m):
    """
    Joints of a posed body: p_u = p_parent + R_parent(global) · offset_u.

    :param rotmat: (..., 24, 3, 3) local rotations.
    :param offsets_m: (..., 29, 3) bones at rest, ``Skeleton.offsets(betas)``.
    :return: joints (..., 29, 3) relative to the pelvis, and global rotations (..., 24, 3, 3).
    """
    turned = global_rotmats(rotmat)
    bones = turned.take(_PARENTS, -3) @ np.asarray(offsets_m)[..., 1:, :, None]
    return _CHAIN @ bones[..., 0], turned
