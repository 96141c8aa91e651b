"""Poses as two vectors per body joint, and the kinematic layer in rotations of the whole body."""

from niki_ros.body.skeleton import open_skeleton, PARENTS_29
import numpy as np
import torch
from torch import nn

from niki_training.look.starts import rest_frames
from niki_training.networks.kinematic import rot6d_from_rotmat

_MIN_NORM = 1e-4  # of a vector that gives a direction; shorter ones give it less
_PARENTS = [max(parent, 0) for parent in PARENTS_29]


class PoseLayer(nn.Module):
    """
    From two vectors per body joint and betas to rotations and joints of the open skeleton.

    The vectors are 6D rotations (Zhou et al. 2019) in the axes of the view: the direction of the
    bone from the joint, and a second one, which :func:`niki_training.look.starts.rest_frames`
    places at rest. Bone lengths hold by construction, as in the kinematic layer of "Deep Kinematic
    Pose Regression" (Zhou et al. 2016), but an error of one joint does not turn those below it.
    """

    def __init__(self):
        super().__init__()
        skeleton = open_skeleton()
        offsets_m = skeleton.offsets()
        basis_m = skeleton.offsets(np.eye(len(skeleton.shape_basis_m))) - offsets_m
        rest = rest_frames()
        for name, value in (('offsets_m', offsets_m), ('basis_m', basis_m),
                            ('rest_inverse', rest.transpose(0, 2, 1)), ('chain', _chain())):
            tensor = torch.tensor(value, dtype=torch.float32)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, vectors, betas):
        """
        Return local rotations rot6d (N, 24, 6) and joints (N, 29, 3) about the pelvis, metres.

        :param vectors: (N, 24, 2, 3) any lengths, axes of the view. :param betas: (N, 10).
        """
        turned = self.body_rotmats(vectors)
        offsets_m = self.offsets_m + torch.einsum('nb,bji->nji', betas, self.basis_m)
        bones_m = (turned[:, _PARENTS] @ offsets_m[..., None])[..., 0]
        local = turned[:, _PARENTS[1:24]].transpose(-1, -2) @ turned[:, 1:]
        rot6d = rot6d_from_rotmat(torch.cat([turned[:, :1], local], dim=1))
        return rot6d, self.chain @ bones_m

    def body_rotmats(self, vectors):
        """Return the rotation (N, 24, 3, 3) of each joint from rest, in axes of the view."""
        first = _direction(vectors[..., 0, :])
        second = vectors[..., 1, :]
        second = _direction(second - (first * second).sum(-1, keepdim=True) * first)
        axes = torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)
        return axes @ self.rest_inverse


def _direction(vector):
    """Return unit vectors; their gradient stays finite at zero."""
    return vector / (vector.square().sum(-1, keepdim=True) + _MIN_NORM**2).sqrt()


def _chain() -> np.ndarray:
    """Return for each joint which bones lead to it from the pelvis, (29, 29) of 0 and 1."""
    chain = np.zeros((29, 29))
    for joint, parent in enumerate(PARENTS_29):
        if parent >= 0:
            chain[joint] = chain[parent]
            chain[joint, joint] = 1.0
    return chain
