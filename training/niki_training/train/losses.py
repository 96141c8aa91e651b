"""NIKI's losses, each with its weight; 0 switches one off."""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.skeleton import PARENTS_29
import torch

from niki_training.networks.kinematic import KinematicLayer, rotmat_from_6d, six_from_rotmat
from niki_training.networks.swing import swing_twist

LAYER = KinematicLayer(PARENTS_29, rotating=24)


@dataclass
class LossConfig:
    """
    Weights of the losses.

    :param rotation: squared error of 6D rotations. :param swing: of 6D swings.
    :param joints: distance of the joints after forward kinematics, per metre.
    :param size: error of the log size. :param prior: MMD of the errors to N(0, I).
    :param independence: MMD that makes errors independent of the pose.
    :param zero: of the errors of clean observations.
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


def mmd(x, y, widths=(0.05, 0.2, 0.9)):
    """
    Maximum mean discrepancy of samples x, y (n, k), sum of inverse multiquadratic kernels.

    k(x, y) = a² / (a² + d²), with d² the squared distance over the dimensions' number.
    """
    def kernel(p, q):
        squared = torch.cdist(p, q).square() / p.shape[-1]
        return sum(a * a / (a * a + squared) for a in widths).mean()
    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


def posed_joints(six, size, batch):
    """
    Return the joints (N, 29, 3) of the poses, in the trunk's frame and the assumed scale.

    A size that was handed down (no doubt) stays as it is, as it does at run time.
    """
    size = size * (batch['condition'][..., -1:] > 0)
    offsets = batch['offsets'] * torch.exp(size)[..., None]
    return LAYER(rotmat_from_6d(six.unflatten(-1, (24, 6))), offsets)


def joint_distance(six, size, batch):
    """Return the distances (N, 29) in metres between posed and true joints."""
    joints = posed_joints(six, size, batch)
    return (joints - batch['target']).square().sum(-1).add(1e-8).sqrt()


def regression_losses(poses, batch, axes) -> dict:
    """Losses that every network has: rotations, swings, joints and size."""
    six = six_from_rotmat(batch['rotmat'])
    predicted = poses.six.unflatten(-1, (24, 6))
    out = {
        'rotation': (predicted - six).square().sum(-1).mean(),
        'joints': joint_distance(poses.six, poses.size, batch).mean(),
        'size': (poses.size - batch['size']).square().div(0.01).mean(),
    }
    if poses.swing is not None:
        swing, _ = swing_twist(batch['rotmat'], axes)
        target = six_from_rotmat(swing)
        out['swing'] = (poses.swing.unflatten(-1, (24, 6)) - target).square().sum(-1).mean()
    return out


def flow_losses(net, poses, batch, clean: int, axes, limit: int = 256) -> dict:
    """
    Losses on the error and on the way back.

    :param clean: so many of the first observations are uncorrupted.
    :param limit: of the sample that the discrepancies are computed on.
    """
    out = error_losses(net.six_norm, poses, batch, clean, limit)
    if clean:
        out['boundary'] = boundary_loss(net, {k: v[:clean] for k, v in batch.items()}, axes)
    return out


def error_losses(six_norm, poses, batch, clean: int, limit: int = 256) -> dict:
    """
    Losses on the error alone: its scale, that it says nothing about the pose, none where clean.

    :param six_norm: of the rotations. :param clean: see :func:`flow_losses`.
    """
    z = poses.z[clean:clean + limit]
    normal = torch.randn_like(z)
    true = six_norm(six_from_rotmat(batch['rotmat'][clean:clean + limit]).flatten(1))
    found = six_norm(poses.six[clean:clean + limit].detach())
    out = {'prior': mmd(z, normal),
           'independence': mmd(torch.cat([found, z], -1), torch.cat([true, normal], -1))}
    if clean:
        out['zero'] = poses.z[:clean].square().mean()
    return out


def boundary_loss(net, batch, axes, generate=None, more_z: int = 0):
    """
    True rotations with no error must give the true joints, sigma, zeros, swing and twist.

    :param generate: the way back; None = the network's own. :param more_z: what it wants of z
        beside the network's own.
    """
    six = six_from_rotmat(batch['rotmat']).flatten(1)
    z = six.new_zeros(len(six), net.z_width + (46 if net.two_stage else 0) + more_z)
    joints, sigma, pad, twist, swing = (generate or net.generate)(
        six, batch['size'], z, batch['sigma'], batch['condition'])
    loss = ((joints - batch['joints'].flatten(1)) / net.joints_norm.std).abs().mean()
    loss = loss + sigma.sub(batch['sigma']).abs().mean() + pad.abs().mean()
    if twist is not None:
        true_swing, _ = swing_twist(batch['rotmat'], axes)
        true = net.swing_norm(six_from_rotmat(true_swing).flatten(1))
        # the twist input is zeros where it is not known, as in the batch
        known = batch.get('twist', torch.zeros_like(twist))
        loss = loss + (net.swing_norm(swing) - true).abs().mean() + (twist - known).abs().mean()
    return loss


def total(losses: dict, config: LossConfig):
    """Return the weighted sum."""
    return sum(getattr(config, name) * value for name, value in losses.items())
