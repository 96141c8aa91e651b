"""Forward kinematics of the 29-joint tree, batched."""

from niki_ros.body.skeleton import PARENTS_29
import numpy as np


def _levels():
    """Yield the joints of each level of the tree and their parents, levels 1 and deeper."""
    depth = [0] * 29
    for joint in range(1, 29):
        depth[joint] = depth[PARENTS_29[joint]] + 1
    for level in range(1, max(depth) + 1):
        joints = [j for j in range(29) if depth[j] == level]
        yield np.asarray(joints), np.asarray([PARENTS_29[j] for j in joints])


LEVELS = tuple(_levels())  # indices of the joints and of their parents, level by level of the tree

CHILDREN = tuple([c for c in range(29) if PARENTS_29[c] == joint] for joint in range(24))
"""Indices of the children of each body joint."""

# the same levels, body joints only, as slices: (joints, their parents); SMPL's order makes that
# possible, and a slice is a view where a list of indices is a copy
_SLICES = ((slice(1, 4), slice(0, 1)), (slice(4, 7), slice(1, 4)), (slice(7, 10), slice(4, 7)),
           (slice(10, 12), slice(7, 9)), (slice(12, 15), slice(9, 10)),
           (slice(15, 18), slice(12, 15)), (slice(18, 20), slice(16, 18)),
           (slice(20, 22), slice(18, 20)), (slice(22, 24), slice(20, 22)))
_PARENTS = np.asarray(PARENTS_29[1:])


def _ancestors() -> np.ndarray:
    ancestors = np.zeros((29, 24))
    for joint in range(1, 29):
        ancestors[joint] = ancestors[PARENTS_29[joint]]
        ancestors[joint, PARENTS_29[joint]] = 1
    return ancestors


ANCESTORS = _ancestors()
"""(29, 24) 1 where the second joint is an ancestor of the first, so that its rotation moves it."""
# (29, 28) sums of bones: positions of the joints from the bones that end in joints 1 … 28
_CHAIN = np.concatenate([ANCESTORS[:, 1:], np.zeros((29, 5))], axis=1) + np.eye(29)[:, 1:]


def global_rotmats(rotmat) -> np.ndarray:
    """Return global rotations (..., 24, 3, 3) of local ones (..., 24, 3, 3)."""
    rotmat = np.asarray(rotmat, dtype=np.float64)
    out = np.empty_like(rotmat)
    out[..., 0, :, :] = rotmat[..., 0, :, :]
    for joints, parents in _SLICES:
        np.matmul(out[..., parents, :, :], rotmat[..., joints, :, :], out=out[..., joints, :, :])
    return out


def forward_kinematics(rotmat, offsets_m):
    """
    Return the joints of a posed body: p_u = p_parent + R_parent(global) · offset_u.

    :param rotmat: (..., 24, 3, 3) local rotations.
    :param offsets_m: (..., 29, 3) bones at rest, ``Skeleton.offsets(betas)``.
    :return: joints (..., 29, 3) relative to the pelvis, metres, and global rotations
        (..., 24, 3, 3).
    """
    global_rotmat = global_rotmats(rotmat)
    bones = global_rotmat.take(_PARENTS, -3) @ np.asarray(offsets_m)[..., 1:, :, None]
    return _CHAIN @ bones[..., 0], global_rotmat
