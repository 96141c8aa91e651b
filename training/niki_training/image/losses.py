"""Losses of the three heads, and the projection into the crop."""

from __future__ import annotations

import torch

from niki_training.image.network import Person
from niki_training.networks.kinematic import rot6d_from_rotmat

JOINTS, PIXELS, SIX, BETAS, PLACE, ERROR = 10.0, 4.0, 0.3, 0.02, 4.0, 0.05
"""Weights: per metre, per width of the crop, of the squared 6D error, and so on."""
ONLY_SIX = 2.0
"""Weight of the rotations where they are all there is: direct parameter."""


def crop_uv(joints_m, place, projection, crops):
    """
    Project joints (N, 29, 3) in the view's axes into the crop.

    :param place: (N, 3) uv of the pelvis and log scale. :param projection: (N, 3, 3).
    :param crops: (N,) widths of the crop in a radian.
    :return: uv (N, 29, 2).
    """
    there = torch.cat([place[:, :2], torch.ones_like(place[:, :1])], dim=-1)
    ray = torch.linalg.solve(projection, there)
    depth = crops * torch.exp(-place[:, 2])
    root = ray / ray[:, 2:] * depth[:, None]
    seen = (root[:, None] + joints_m) @ projection.transpose(-1, -2)
    # the last row of a projection is the depth along the real camera's axis
    return seen[..., :2] / torch.maximum(seen[..., 2:], 0.2 * depth[:, None, None])


def head_losses(head: str, found: Person, truth: dict) -> dict:
    """
    Return the weighted losses of one network.

    :param truth: tensors as ``crops.KEYS`` names them. ``direct joint`` and ``kinematic`` get the
        distance of joints in space and in the crop; ``direct parameter`` that of the parameters.
        The rotations have a small weight in ``kinematic``: joints say nothing about the twist of
        a straight limb.
    """
    apart = (found.joints_m - truth['joints_m'])
    expected = found.log_error
    off = apart.detach().abs().mean(-1)
    values = {
        'place': PLACE * (found.place - truth['place']).abs().mean(),
        'error': ERROR * (expected + off * torch.exp(-expected)).mean(),
    }
    if head != 'direct parameter':
        values['joints'] = JOINTS * apart.square().sum(-1).add(1e-6).sqrt().mean()
        uv = crop_uv(found.joints_m, found.place, truth['projection'], truth['crops'])
        miss = (uv - truth['uv']).square().sum(-1).add(1e-8).sqrt()
        values['pixels'] = PIXELS * miss.clamp_max(1.0).mean()
    if head != 'direct joint':
        weight = SIX if head == 'kinematic' else ONLY_SIX
        rot6d = rot6d_from_rotmat(truth['rotmat'])
        values['rot6d'] = weight * (found.rot6d - rot6d).square().sum(-1).mean()
        values['betas'] = BETAS * (found.betas - truth['betas']).square().mean()
    return values
