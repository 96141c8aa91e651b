"""Losses of the temporal network on windows of frames."""

from __future__ import annotations

from niki_training.networks.niki import Poses
from niki_training.networks.temporal import PAD, TemporalNet
from niki_training.train.losses import (
    boundary_loss,
    error_losses,
    posed_joints,
    regression_losses,
)


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
