"""The kinematic layer: motion parameters to joints, differentiable, for any tree (torch)."""

from __future__ import annotations

import torch
from torch import nn


def rotmat_from_6d(six: torch.Tensor) -> torch.Tensor:
    """
    Rotation matrices (..., 3, 3) from their first two rows (..., 6), by Gram-Schmidt.

    Zhou et al. 2019, with rows as in PyTorch3D; the same as the core's.
    """
    first = nn.functional.normalize(six[..., :3], dim=-1, eps=1e-6)
    second = six[..., 3:]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=-1, eps=1e-6)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def six_from_rotmat(rotmat: torch.Tensor) -> torch.Tensor:
    """Return the first two rows of rotation matrices (..., 3, 3) as (..., 6)."""
    return rotmat[..., :2, :].flatten(-2)


def axis_angle_rotmat(axis: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Rotation matrices (..., 3, 3) about unit axes (..., 3) by angles (...,) in radians."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    sine, cosine = torch.sin(angle)[..., None, None], torch.cos(angle)[..., None, None]
    return torch.eye(3, dtype=k.dtype, device=k.device) + sine * k + (1 - cosine) * (k @ k)


class KinematicLayer(nn.Module):
    """
    Forward kinematics of a tree, p_u = p_parent + R_parent · offset_u, as a layer.

    Bone lengths hold by construction. Joints may lie in any number of dimensions; the tree is
    walked by levels, one batched product each.

    :param parents: for each joint its parent, -1 for the root; parents come before children.
    :param rotating: how many of the first joints have a rotation; the rest are leaves.
    """

    def __init__(self, parents, rotating: int | None = None):
        super().__init__()
        self.parents = tuple(int(p) for p in parents)
        self.rotating = len(self.parents) if rotating is None else rotating
        depth = [0] * len(self.parents)
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                depth[joint] = depth[parent] + 1
        self.levels = tuple(
            tuple(j for j, d in enumerate(depth) if d == level)
            for level in range(max(depth) + 1))

    def forward(self, rotmat, offsets, root=None):
        """
        Walk the tree from the root.

        :param rotmat: (..., R, d, d) local rotations of the first R joints.
        :param offsets: (..., J, d) bones at rest, root's entry unused.
        :param root: (..., d) the root's position; None = 0.
        :return: joints (..., J, d).
        """
        if root is None:
            root = torch.zeros_like(offsets[..., 0, :])
        turned: list = [None] * len(self.parents)
        joints: list = [None] * len(self.parents)
        joints[0], turned[0] = root, rotmat[..., 0, :, :]
        for level in self.levels[1:]:
            above = torch.stack([turned[self.parents[j]] for j in level], dim=-3)
            bones = (above @ offsets[..., list(level), :, None])[..., 0]
            for k, joint in enumerate(level):
                joints[joint] = joints[self.parents[joint]] + bones[..., k, :]
            body = [k for k, joint in enumerate(level) if joint < self.rotating]
            if body:
                local = rotmat[..., [level[k] for k in body], :, :]
                world = above[..., body, :, :] @ local
                for k, i in enumerate(body):
                    turned[level[i]] = world[..., k, :, :]
        return torch.stack(torch.broadcast_tensors(*joints), dim=-2)


def joint_limit_loss(angle, low, high):
    """Squared hinge outside [low, high], mean over the batch; radians."""
    below, above = torch.relu(low - angle), torch.relu(angle - high)
    return (below**2 + above**2).mean()
