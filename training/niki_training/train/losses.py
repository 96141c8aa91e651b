"""Losses of the solver networks on single frames, and the weight of each loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from niki_training.networks.kinematic import (
    BODY_LAYER,
    rot6d_from_rotmat,
    rotmat_from_rot6d,
)
from niki_training.networks.niki import TWISTS
from niki_training.networks.swing import swing_twist

_DISCREPANCY_SAMPLES = 256
_SIZE_VARIANCE = 0.01
"""Of the log size; the loss of the size is over it."""


@dataclass
class LossConfig:
    """
    Weights of the losses; 0 switches a loss off.

    :param rotation: squared error of 6D rotations. :param swing: of 6D swings.
    :param joints: distance of the joints after forward kinematics, per metre.
    :param size: error of the log size. :param prior: MMD of the errors to N(0, I).
    :param independence: MMD that makes errors independent of the pose.
    :param zero: squared errors of clean observations.
    :param boundary: true pose and no error must give the true observation.
    :param acceleration: second difference over time of the joints' errors, per metre.
    """

    rotation: float = 1.0
    swing: float = 0.3
    joints: float = 10.0
    size: float = 1.0
    prior: float = 0.05
    independence: float = 0.05
    zero: float = 0.01
    boundary: float = 0.15
    acceleration: float = 5.0


def weighted_sum(losses: dict, config: LossConfig):
    """Return the sum of the losses, each times its weight."""
    return sum(getattr(config, name) * value for name, value in losses.items())


def solver_losses(net, batch: dict, axes, clean: int, twist_share: float) -> dict:
    """
    Return the losses of N frames, each a scalar.

    :param batch: tensors (N, …) of :class:`niki_training.data.batches.Batches`.
    :param axes: (24, 3) unit directions of the bones at rest, body axes.
    :param clean: number of frames, the first ones, without corruption.
    :param twist_share: share of the frames that get their true twists as input.
    """
    with torch.no_grad():
        twist = swing_twist(batch['rotmat'], axes)[1].flatten(1)
        is_given = torch.rand(len(twist), 1, device=twist.device) < twist_share
        is_lifted = batch['twist'].abs().sum(1, keepdim=True) > 0
        batch = {**batch, 'twist': torch.where(is_lifted, batch['twist'], twist * is_given)}
    poses = net.solve(
        batch['joints'].flatten(1), batch['sigma'], batch['condition'], batch['twist'])
    values = regression_losses(poses, batch, axes)
    if net.is_invertible:
        values.update(flow_losses(net, poses, batch, clean, axes))
    return values


def posed_joints(rot6d, size, batch):
    """
    Return the joints (N, 29, 3) of poses, in the trunk frame and the assumed scale.

    A size that was given without uncertainty stays as it is, as it does at run time.

    :param rot6d: (N, 144). :param size: (N, 1) log of true over assumed size.
    """
    size = size * (batch['condition'][..., -1:] > 0)
    offsets = batch['offsets'] * torch.exp(size)[..., None]
    return BODY_LAYER(rotmat_from_rot6d(rot6d.unflatten(-1, (24, 6))), offsets)


def regression_losses(poses, batch, axes) -> dict:
    """Return the losses that every network has: rotations, joints, size and swings."""
    rot6d = rot6d_from_rotmat(batch['rotmat'])
    predicted = poses.rot6d.unflatten(-1, (24, 6))
    error_m = posed_joints(poses.rot6d, poses.size, batch) - batch['target']
    out = {
        'rotation': (predicted - rot6d).square().sum(-1).mean(),
        'joints': error_m.square().sum(-1).add(1e-8).sqrt().mean(),
        'size': (poses.size - batch['size']).square().div(_SIZE_VARIANCE).mean(),
    }
    if poses.swing is not None:
        swing, _ = swing_twist(batch['rotmat'], axes)
        target = rot6d_from_rotmat(swing)
        out['swing'] = (poses.swing.unflatten(-1, (24, 6)) - target).square().sum(-1).mean()
    return out


def flow_losses(net, poses, batch, clean: int, axes) -> dict:
    """
    Return the losses of the errors and of the inverse direction.

    :param clean: number of observations, the first ones, without corruption.
    """
    out = error_losses(net.six_norm, poses, batch, clean)
    if clean:
        out['boundary'] = boundary_loss(net, {k: v[:clean] for k, v in batch.items()}, axes)
    return out


def error_losses(rot6d_norm, poses, batch, clean: int) -> dict:
    """
    Return the losses of the errors: normal, independent of the pose, zero where clean.

    :param rot6d_norm: normalisation of the rotations. :param clean: see :func:`flow_losses`.
    """
    rows = slice(clean, clean + _DISCREPANCY_SAMPLES)
    z = poses.z[rows]
    normal = torch.randn_like(z)
    true = rot6d_norm(rot6d_from_rotmat(batch['rotmat'][rows]).flatten(1))
    found = rot6d_norm(poses.rot6d[rows].detach())
    out = {'prior': mmd(z, normal),
           'independence': mmd(torch.cat([found, z], -1), torch.cat([true, normal], -1))}
    if clean:
        out['zero'] = poses.z[:clean].square().mean()
    return out


def mmd(x, y, widths=(0.05, 0.2, 0.9)):
    """
    Return the maximum mean discrepancy of samples x, y (n, k) (Gretton et al. 2012).

    The kernel is a sum of inverse multiquadratics, k(x, y) = a² / (a² + d²), with d² the squared
    distance over the number of dimensions.
    """
    def kernel(p, q):
        squared = torch.cdist(p, q).square() / p.shape[-1]
        return sum(a * a / (a * a + squared) for a in widths).mean()
    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


def boundary_loss(net, batch, axes, generate=None, more_z: int = 0):
    """
    Return the error of the observation that true rotations without errors give.

    :param generate: inverse direction; None = the network's own.
    :param more_z: number of error values that ``generate`` takes in addition to the network's.
    """
    rot6d = rot6d_from_rotmat(batch['rotmat']).flatten(1)
    z = rot6d.new_zeros(len(rot6d), net.z_width + (TWISTS if net.two_stage else 0) + more_z)
    joints, sigma, pad, twist, swing = (generate or net.generate)(
        rot6d, batch['size'], z, batch['sigma'], batch['condition'])
    loss = ((joints - batch['joints'].flatten(1)) / net.joints_norm.std).abs().mean()
    loss = loss + sigma.sub(batch['sigma']).abs().mean() + pad.abs().mean()
    if twist is not None:
        true_swing, _ = swing_twist(batch['rotmat'], axes)
        true = net.swing_norm(rot6d_from_rotmat(true_swing).flatten(1))
        # the twist input is zeros where it is not known, as in the batch
        known = batch.get('twist', torch.zeros_like(twist))
        loss = loss + (net.swing_norm(swing) - true).abs().mean() + (twist - known).abs().mean()
    return loss
