"""Losses of the three heads, and the projection of joints into the crop."""

from dataclasses import dataclass

import torch

from niki_training.image.network import PersonPrediction
from niki_training.networks.kinematic import rot6d_from_rotmat


@dataclass(frozen=True)
class HeadLossNumbers:
    """Weights of the losses."""

    joints: float = 10.0  # of the distance, per metre
    uv: float = 4.0  # of the distance, per side of the crop
    rot6d: float = 0.3  # of the squared error of 6D rotations
    direct_rot6d: float = 2.0  # likewise, for the head ``direct parameter``
    betas: float = 0.02  # of the squared error
    place: float = 4.0  # of the absolute error
    error: float = 0.05  # of the Laplace likelihood of the expected errors


def crop_uv(joints_m, place, projection, crops):
    """
    Project joints into the crop: uv (N, 29, 2), sides of the crop from its centre.

    :param joints_m: (N, 29, 3) about the pelvis, axes of the view, metres. :param place: (N, 3).
    :param projection: (N, 3, 3) of the view. :param crops: (N,) sides of the crop per radian.
    """
    there = torch.cat([place[:, :2], torch.ones_like(place[:, :1])], dim=-1)
    ray = torch.linalg.solve(projection, there)
    depth = crops * torch.exp(-place[:, 2])
    root = ray / ray[:, 2:] * depth[:, None]
    seen = (root[:, None] + joints_m) @ projection.transpose(-1, -2)
    # the last row of a projection is the depth along the real camera's axis
    return seen[..., :2] / torch.maximum(seen[..., 2:], 0.2 * depth[:, None, None])


def head_losses(head: str, found: PersonPrediction, truth: dict,
                numbers: HeadLossNumbers = HeadLossNumbers()) -> dict:
    """
    Return the weighted losses of one network; ``truth`` has the names of ``crops.KEYS``.

    The heads ``direct joint`` and ``kinematic`` have the distances of joints in space and in the
    crop; ``direct parameter`` and ``kinematic`` have the errors of the parameters. Joints do not
    determine the twist of a straight limb, so the rotations have a small weight in ``kinematic``.
    """
    error_m = found.joints_m - truth['joints_m']
    mean_error_m = error_m.detach().abs().mean(-1)
    likelihood = found.log_error + mean_error_m * torch.exp(-found.log_error)
    values = {
        'place': numbers.place * (found.place - truth['place']).abs().mean(),
        'error': numbers.error * likelihood.mean(),
    }
    if head != 'direct parameter':
        values['joints'] = numbers.joints * error_m.square().sum(-1).add(1e-6).sqrt().mean()
        uv = crop_uv(found.joints_m, found.place, truth['projection'], truth['crops'])
        uv_error = (uv - truth['uv']).square().sum(-1).add(1e-8).sqrt()
        values['uv'] = numbers.uv * uv_error.clamp_max(1.0).mean()
    if head != 'direct joint':
        weight = numbers.rot6d if head == 'kinematic' else numbers.direct_rot6d
        rot6d = rot6d_from_rotmat(truth['rotmat'])
        values['rot6d'] = weight * (found.rot6d - rot6d).square().sum(-1).mean()
        values['betas'] = numbers.betas * (found.betas - truth['betas']).square().mean()
    return values
