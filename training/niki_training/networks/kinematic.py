"""The kinematic layer: differentiable forward kinematics of any tree."""

from niki_ros.body.skeleton import PARENTS_29
from niki_ros.common.errors import InputError
import numpy as np
import torch
from torch import nn


def rotmat_from_rot6d(rot6d: torch.Tensor) -> torch.Tensor:
    """Return rotation matrices (..., 3, 3) of their first two rows (..., 6) (Zhou et al. 2019)."""
    first = nn.functional.normalize(rot6d[..., :3], dim=-1, eps=1e-6)
    second = rot6d[..., 3:]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=-1, eps=1e-6)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-2)


def rot6d_from_rotmat(rotmat: torch.Tensor) -> torch.Tensor:
    """Return the first two rows of rotation matrices (..., 3, 3) as (..., 6)."""
    return rotmat[..., :2, :].flatten(-2)


def axis_angle_rotmat(axis: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Return rotation matrices (..., 3, 3) about unit axes (..., 3) by angles (...,), radians."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    sine, cosine = torch.sin(angle)[..., None, None], torch.cos(angle)[..., None, None]
    return torch.eye(3, dtype=k.dtype, device=k.device) + sine * k + (1 - cosine) * (k @ k)


def planar_rotmat(angle: torch.Tensor) -> torch.Tensor:
    """Return rotation matrices (..., 2, 2) of the plane, by angles (...,), radians, x to y."""
    sine, cosine = torch.sin(angle), torch.cos(angle)
    return torch.stack([cosine, -sine, sine, cosine], dim=-1).unflatten(-1, (2, 2))


class KinematicLayer(nn.Module):
    """
    Forward kinematics of a tree, p_u = p_parent + R_parent · offset_u, as a layer.

    Bone lengths hold by construction. Joints are in the plane (d = 2) or in space (d = 3); each
    level of the tree is one batched product. Input is a matrix for each joint (:meth:`forward`),
    or the motion parameters of "Deep Kinematic Pose Regression" (Zhou et al. 2016): root position,
    root orientation and angles about given axes (:meth:`pose`).

    :param parents: parent of each joint, -1 for the root; parents are before their children.
    :param rotating: number of joints with a rotation, the first ones; the others are leaves.
    :param offsets: (J, d) bones at rest for :meth:`pose`; the root's entry is unused.
    :param hinges: pairs (joint, axis), one for each angle; the axis in the joint's frame is three
        numbers in space, +1 or -1 in the plane. The first hinge of a joint is the outermost.
    :param limits: (K, 2) smallest and largest angles, radians, for :meth:`limit_loss`.
    """

    def __init__(self, parents, rotating: int | None = None, offsets=None, hinges=(),
                 limits=None):
        super().__init__()
        self.parents = tuple(int(p) for p in parents)
        self.rotating = len(self.parents) if rotating is None else rotating
        depth = [0] * len(self.parents)
        for joint, parent in enumerate(self.parents):
            if parent >= joint:
                raise InputError(f'joint {joint} has the parent {parent}; expected one before it')
            if parent >= 0:
                depth[joint] = depth[parent] + 1
        self.levels = tuple(
            tuple(j for j, d in enumerate(depth) if d == level)
            for level in range(max(depth) + 1))
        self._set_hinges(offsets, tuple(hinges))
        for name, value in (('offsets', offsets), ('limits', limits)):
            tensor = None if value is None else torch.as_tensor(value)
            self.register_buffer(name, tensor, persistent=False)

    def _set_hinges(self, offsets, hinges) -> None:
        """Keep the axes, and the joints that have a first, a second, a third hinge."""
        turns: dict = {}
        for angle, (joint, _) in enumerate(hinges):
            if not 0 <= joint < self.rotating:
                raise InputError(f'hinge {angle} is of joint {joint}; expected one of the '
                                 f'joints that rotate, 0 … {self.rotating - 1}')
            turns.setdefault(int(joint), []).append(angle)
        most = max(map(len, turns.values()), default=0)
        self._slots = tuple(
            tuple((j, own[slot]) for j, own in sorted(turns.items()) if len(own) > slot)
            for slot in range(most))
        axes = None
        if hinges:
            if offsets is None:
                raise InputError('hinges without offsets; give the bones at rest too')
            like = torch.as_tensor(offsets)
            axes = torch.as_tensor(np.array([a for _, a in hinges]), dtype=like.dtype)
            if axes.ndim > 1:
                axes = nn.functional.normalize(axes, dim=-1)
        self.register_buffer('axes', axes, persistent=False)

    def local_rotmats(self, orientation, angles):
        """Return local rotations (..., R, d, d) of root (..., d, d) and angles (..., K), rad."""
        turned = (planar_rotmat(angles * self.axes) if self.axes.ndim == 1
                  else axis_angle_rotmat(self.axes.expand(*angles.shape, 3), angles))
        still = torch.eye(turned.shape[-1], dtype=turned.dtype, device=turned.device)
        still = still.expand_as(orientation)
        local = [orientation] + [still] * (self.rotating - 1)
        for slot in self._slots:
            joints, own = zip(*slot)
            product = torch.stack([local[j] for j in joints], -3) @ turned[..., list(own), :, :]
            for k, joint in enumerate(joints):
                local[joint] = product[..., k, :, :]
        return torch.stack(local, dim=-3)

    def pose(self, root, orientation, angles, scale=None):
        """
        Return the joints (..., J, d) of motion parameters.

        :param root: (..., d) position of the root. :param orientation: (..., d, d) of the root.
        :param angles: (..., K) radians, one for each hinge.
        :param scale: (...,) of the whole body, or (..., J) of each bone; None = 1.
        """
        offsets = self.offsets.expand(*angles.shape[:-1], *self.offsets.shape)
        if scale is not None:
            bones = scale if scale.ndim == angles.ndim else scale[..., None]
            offsets = offsets * bones[..., None]
        return self(self.local_rotmats(orientation, angles), offsets, root)

    def limit_loss(self, angles):
        """Return the mean squared excess of angles (..., K) over the limits, radians²."""
        return joint_limit_loss(angles, self.limits[:, 0], self.limits[:, 1])

    def forward(self, rotmat, offsets, root=None):
        """
        Return the joints (..., J, d) of local rotations (..., R, d, d) of the first R joints.

        :param offsets: (..., J, d) bones at rest; the root's entry is unused.
        :param root: (..., d) position of the root; None = 0.
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
    """Return the mean squared excess of angles (..., K) over [low, high] (K,), radians²."""
    below, above = torch.relu(low - angle), torch.relu(angle - high)
    return (below**2 + above**2).mean()


BODY_LAYER = KinematicLayer(PARENTS_29, rotating=24)
"""The layer of the body's 29 joints, of which 24 rotate."""
