"""Losses of the solver networks on frames and on windows of frames, and their weights."""

from dataclasses import dataclass

import torch

from niki_training.networks.kinematic import BODY_LAYER, rot6d_from_rotmat, rotmat_from_rot6d
from niki_training.networks.niki import Poses, TWISTS
from niki_training.networks.swing import swing_twist
from niki_training.networks.temporal import PAD, TemporalNet

_DISCREPANCY_SAMPLES = 256
_SIZE_VARIANCE = 0.01  # of the log size; the loss of the size is over it


@dataclass
class LossConfig:
    """Weights of the losses; 0 switches a loss off."""

    rotation: float = 1.0  # squared error of 6D rotations
    swing: float = 0.3  # of 6D swings
    joints: float = 10.0  # distance of the joints after forward kinematics, per metre
    size: float = 1.0  # error of the log size
    prior: float = 0.05  # MMD of the errors to N(0, I)
    independence: float = 0.05  # MMD that makes errors independent of the pose
    zero: float = 0.01  # squared errors of clean observations
    boundary: float = 0.15  # true pose and no error must give the true observation
    acceleration: float = 5.0  # second difference over time of the joints' errors, per metre


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
    Return joints (N, 29, 3) of rot6d (N, 144) and log size (N, 1), trunk frame, assumed scale.

    A size that was given without uncertainty stays as it is, as it does at run time.
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
    """Return the losses of the errors and of the inverse; the first ``clean`` rows are clean."""
    out = error_losses(net.six_norm, poses, batch, clean)
    if clean:
        out['boundary'] = boundary_loss(net, {k: v[:clean] for k, v in batch.items()}, axes)
    return out


def error_losses(rot6d_norm, poses, batch, clean: int) -> dict:
    """Return the losses of the errors: normal, independent of the pose, zero where clean."""
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

    ``generate`` replaces the network's own inverse, and takes ``more_z`` additional error values.
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


def window_losses(net: TemporalNet, batch: dict, axes, clean: int = 0) -> dict:
    """
    Return the losses of windows, each a scalar.

    Those of rotations, joints and acceleration are of every frame; those of the errors and of the
    inverse direction are of the newest frame of each window, because neighbours are too alike.

    :param batch: tensors (B, T, …) of :class:`niki_training.data.batches.Batches`.
    :param axes: (24, 3) unit directions of the bones at rest, body axes.
    :param clean: number of windows, the first ones, without corruption.
    """
    windows, frames = batch['sigma'].shape[:2]
    solved, past = net.solve_windows(batch)
    # the per-frame network is frozen: only the errors of the temporal couplings can be trained
    poses = Poses(solved.rot6d, solved.size, solved.z[:, -PAD:])
    flat = {k: v.flatten(0, 1) for k, v in batch.items()}
    values = regression_losses(poses, flat, axes)
    values['acceleration'] = _acceleration_loss(poses, flat, windows)
    newest = slice(frames - 1, None, frames)
    last = {k: v[newest] for k, v in flat.items()}
    last_poses = Poses(poses.rot6d[newest], poses.size[newest], poses.z[newest])
    values.update(error_losses(net.frame.six_norm, last_poses, last, clean))
    if clean:
        values['zero'] = poses.z[:clean * frames].square().mean()
        values['boundary'] = _boundary_loss(
            net, {k: v[:clean] for k, v in last.items()}, past[newest][:clean], axes)
    return values


def _acceleration_loss(poses, flat: dict, windows: int):
    """Return the mean second difference over time of the joints' errors, metres per frame²."""
    error = posed_joints(poses.rot6d, poses.size, flat) - flat['target']
    error_m = (error @ flat['turn'].transpose(-1, -2)) * flat['scale'][:, None, None]
    error_m = error_m.unflatten(0, (windows, -1))
    acceleration = error_m[:, 2:] - 2 * error_m[:, 1:-1] + error_m[:, :-2]
    return acceleration.square().sum(-1).add(1e-8).sqrt().mean()


def _boundary_loss(net: TemporalNet, frames: dict, past, axes):
    """Return the boundary loss of single frames (N, …) with their past (N, K, 264)."""
    def generate(rot6d, size, z, sigma, condition):
        return net.generate(rot6d, size, z, sigma, condition, frames['turn'], past)

    return boundary_loss(net.frame, frames, axes, generate, more_z=PAD)
