"""Baseline without learning: gradient descent through the kinematic layer."""

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.shape import betas_from_joints
from niki_ros.body.skeleton import Skeleton
from niki_ros.body.trunk_frame import trunk_frame
import numpy as np
import torch

from niki_training.networks.kinematic import BODY_LAYER, rot6d_from_rotmat, rotmat_from_rot6d

_STEPS, _LEARNING_RATE, _REST_WEIGHT = 150, 0.03, 1e-3
_MIN_SIGMA_M = 0.01


def minimize_with_adam(start, loss, steps: int, learning_rate: float):
    """Return the tensor after ``steps`` of Adam on ``loss`` (tensor → number), from ``start``."""
    found = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([found], lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(found).backward()
        optimizer.step()
    return found.detach()


def model_fit(skeleton: Skeleton):
    """Return the model fit of "Deep Kinematic Pose Regression" (Zhou et al. 2016) as a solver."""
    def solve(joints, sigma):
        betas = betas_from_joints(joints, sigma, skeleton)
        frame = trunk_frame(joints, sigma, skeleton.rest(betas))
        offsets = torch.tensor(skeleton.offsets(betas), dtype=torch.float32)
        target = torch.tensor(joints - joints[:, :1], dtype=torch.float32)
        variance_m2 = (SIGMA_UNIT_M * sigma)**2 + _MIN_SIGMA_M**2
        weight = torch.tensor(1 / variance_m2, dtype=torch.float32)
        weight = weight * torch.tensor(sigma < 0.999)
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
        start = np.broadcast_to(np.eye(3), (len(joints), 24, 3, 3)).copy()
        start[:, 0] = frame.camera_from_trunk
        rest = rot6d_from_rotmat(torch.tensor(start, dtype=torch.float32))

        def loss(rot6d):
            off = target - BODY_LAYER(rotmat_from_rot6d(rot6d), offsets)
            off = off - (weight[..., None] * off).sum(1, keepdim=True)
            distance = (weight * off.square().sum(-1)).sum()
            return distance + _REST_WEIGHT * (rot6d - rest).square().sum()

        rot6d = minimize_with_adam(rest, loss, _STEPS, _LEARNING_RATE)
        with torch.no_grad():
            rotmat = rotmat_from_rot6d(rot6d)
            joints = BODY_LAYER(rotmat, offsets)
            return joints.numpy().astype(float), rotmat.numpy().astype(float), None
    return solve
