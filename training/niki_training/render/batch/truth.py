"""Truth of crops by what was drawn: joints in the image, visible joints, hidden silhouette."""

from typing import NamedTuple

import torch

from niki_training.render.visibility import VisibilityNumbers

_MIN_DEPTH_M = 0.05
_NUMBERS = VisibilityNumbers()


class Surfaces(NamedTuple):
    """What is seen in the pixels of N crops."""

    is_own: torch.Tensor  # (N, S, S) bool: the main person
    depth_m: torch.Tensor  # (N, S, S) inf where nothing is


class CropFrame(NamedTuple):
    """The crops' geometry."""

    camera_from_view: torch.Tensor  # (N, 3, 3)
    width: torch.Tensor  # (N,) at distance 1
    border: torch.Tensor  # (N, 4) of the image, tangents of the camera


def uv_of(points_m, frame: CropFrame) -> torch.Tensor:
    """Return uv (N, K, 2), sides of the crop from its centre, of points (N, K, 3)."""
    z = points_m[..., 2:].clamp_min(_MIN_DEPTH_M)
    return points_m[..., :2] / z / frame.width[:, None, None]


def in_image(points_m, uv, frame: CropFrame) -> torch.Tensor:
    """Return (N, K) True for points (N, K, 3) in the crop and inside the image's border."""
    camera_m = points_m @ frame.camera_from_view.transpose(1, 2)
    flat = camera_m[..., :2] / camera_m[..., 2:].clamp_min(_MIN_DEPTH_M)
    border = frame.border[:, None]
    inside = (flat >= border[..., :2]) & (flat <= border[..., 2:]) & (uv.abs() < 0.5)
    return inside.all(-1) & (points_m[..., 2] > _MIN_DEPTH_M) & (camera_m[..., 2] > _MIN_DEPTH_M)


def visible_joints(joints_m, uv, is_inside, surfaces: Surfaces, joint_depth_m) -> torch.Tensor:
    """
    Return (N, 29) as :func:`niki_training.render.visibility.visible_joints` for each crop.

    :param joints_m: (N, 29, 3) axes of the views. :param uv: (N, 29, 2) theirs.
    :param is_inside: (N, 29) of :func:`in_image`. :param joint_depth_m: (N, 29) under the skin.
    """
    surface_m, own = _at(uv, surfaces.depth_m), _at(uv, surfaces.is_own)
    margin_m = torch.where(own, _NUMBERS.own_depth_ratio * joint_depth_m + _NUMBERS.own_margin_m,
                           torch.full_like(joint_depth_m, _NUMBERS.other_margin_m))
    return is_inside & (surface_m > joints_m[..., 2] - margin_m)


def hidden_percent(points_m, normals, surfaces: Surfaces, frame: CropFrame) -> torch.Tensor:
    """
    Return (N,) as :func:`niki_training.render.visibility.hidden_percent`, 0 … 100.

    What lies outside of the crop is hidden too.

    :param points_m: (N, S, 3) of the surface, axes of the views. :param normals: (N, S, 3).
    """
    distance_m = points_m.norm(dim=-1)
    facing = -(points_m * normals).sum(-1) / distance_m
    weight = facing.clamp_min(0) / distance_m.clamp_min(0.2)**2
    uv = uv_of(points_m, frame)
    pixel = 1 / surfaces.is_own.shape[-1]
    steps = [(x, y) for x in (-pixel, 0, pixel) for y in (-pixel, 0, pixel)]
    near = torch.stack([_at(uv + uv.new_tensor(step), surfaces.is_own) for step in steps]).any(0)
    seen = in_image(points_m, uv, frame) & near
    return 100 * (1 - (weight * seen).sum(1) / weight.sum(1).clamp_min(1e-12))


def _at(uv, values) -> torch.Tensor:
    """Return values (N, K) of images (N, S, S) in the pixels nearest to uv (N, K, 2)."""
    size = values.shape[-1]
    column, row = ((uv + 0.5) * size).round().clamp(0, size - 1).long().unbind(-1)
    return values.flatten(1).gather(1, row * size + column)
