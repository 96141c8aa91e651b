"""The baseline without learning: gradient descent through the kinematic layer."""

from __future__ import annotations

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.shape import betas_from_joints
from niki_ros.body.skeleton import Skeleton
from niki_ros.body.trunk_frame import trunk_frame
import numpy as np
import torch

from niki_training.networks.kinematic import BODY_LAYER, rot6d_from_rotmat, rotmat_from_rot6d

STEPS, RATE, REST_WEIGHT = 150, 0.03, 1e-3


def descend(start, loss_of, steps: int, rate: float):
    """
    Return the tensor that Adam finds from ``start``.

    :param loss_of: from the tensor to one number.
    """
    found = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([found], lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of(found).backward()
        optimizer.step()
    return found.detach()


def model_fit(skeleton: Skeleton):
    """
    Return a solver by Adam on 6D rotations: squared distances, weighted, and a pull to rest.

    "Deep Kinematic Pose Regression" (Zhou et al. 2016) calls it model fit.
    """
    def solve(joints, sigma):
        betas = betas_from_joints(joints, sigma, skeleton)
        frame = trunk_frame(joints, sigma, skeleton.rest(betas))
        offsets = torch.tensor(skeleton.offsets(betas), dtype=torch.float32)
        target = torch.tensor(joints - joints[:, :1], dtype=torch.float32)
        weight = torch.tensor(1 / ((SIGMA_UNIT_M * sigma)**2 + 0.01**2), dtype=torch.float32)
        weight = weight * torch.tensor(sigma < 0.999)
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
        start = np.broadcast_to(np.eye(3), (len(joints), 24, 3, 3)).copy()
        start[:, 0] = frame.camera_from_trunk
        rest = rot6d_from_rotmat(torch.tensor(start, dtype=torch.float32))

        def loss_of(six):
            miss = target - BODY_LAYER(rotmat_from_rot6d(six), offsets)
            miss = miss - (weight[..., None] * miss).sum(1, keepdim=True)
            loss = (weight * miss.square().sum(-1)).sum()
            return loss + REST_WEIGHT * (six - rest).square().sum()

        six = descend(rest, loss_of, STEPS, RATE)
        with torch.no_grad():
            rotmat = rotmat_from_rot6d(six)
            joints = BODY_LAYER(rotmat, offsets)
            return joints.numpy().astype(float), rotmat.numpy().astype(float), None
    return solve
