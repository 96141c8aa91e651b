"""Decomposition of local rotations into swing and twist about the bones at rest."""

from niki_ros.body.skeleton import JOINT, PARENTS_29
import numpy as np
import torch

_MAIN_CHILD = {'pelvis': 'spine1', 'spine3': 'neck'}
"""Joint with several children → the child at the end of its bone."""


def _bone_children() -> tuple[int, ...]:
    child = {p: j for j, p in reversed(list(enumerate(PARENTS_29))) if p >= 0}
    child.update({JOINT[a]: JOINT[b] for a, b in _MAIN_CHILD.items()})
    return tuple(child[joint] for joint in range(24))


BONE_CHILDREN = _bone_children()
"""For each of the 24 body joints the joint at the end of its bone."""


def bone_axes(rest_joints_m) -> np.ndarray:
    """Return the unit direction of each bone at rest (24, 3); both in body axes."""
    bones = rest_joints_m[list(BONE_CHILDREN)] - rest_joints_m[:24]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


def swing_twist(rotmat, axes):
    """
    Return swing and twist of rotations, R = swing · twist: the twist is about the bone.

    The swing of the root is its whole rotation, because it has several bones.

    :param rotmat: (N, 24, 3, 3) local. :param axes: (24, 3) unit directions of the bones at rest.
    :return: swing (N, 24, 3, 3), and cosine and sine of the twist (N, 23, 2) of joints 1 … 23.
    """
    turned = (rotmat @ axes[:, :, None])[..., 0]
    across = torch.linalg.cross(axes.expand_as(turned), turned)
    cosine = (axes * turned).sum(-1)[..., None, None]
    x, y, z = across.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    swing = torch.eye(3) + k + (k @ k) / (1 + cosine).clamp_min(1e-4)
    twist = swing.transpose(-1, -2) @ rotmat
    cos = (twist.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    vee = torch.stack([twist[..., 2, 1] - twist[..., 1, 2], twist[..., 0, 2] - twist[..., 2, 0],
                       twist[..., 1, 0] - twist[..., 0, 1]], dim=-1) / 2
    sin = (vee * axes).sum(-1)
    swing = torch.cat([rotmat[:, :1], swing[:, 1:]], dim=1)
    return swing, torch.stack([cos, sin], dim=-1)[:, 1:]
