"""Batches of crops: mirrored, turned, zoomed and recoloured, with their truth."""

from __future__ import annotations

from niki_ros.body.skeleton import MIRROR_29
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

HIDDEN_LIMIT = 90.0
"""Percent hidden from which on a crop teaches nothing but the mean."""


def usable(crops: dict) -> dict:
    """Drop the crops of which next to nothing is to be seen."""
    keep = crops['hidden_percent'] < HIDDEN_LIMIT
    return {key: value[keep] for key, value in crops.items()}


def tensors(crops: dict, rows) -> dict:
    """Return some crops as tensors, images (n, 3, S, S) float 0 … 255."""
    batch = {key: torch.from_numpy(np.ascontiguousarray(value[rows])) for key, value in
             crops.items()}
    batch['image'] = batch['image'].permute(0, 3, 1, 2).float()
    return {key: value.float() if value.is_floating_point() else value
            for key, value in batch.items()}


def mirrored(batch: dict, which) -> dict:
    """Mirror some of a batch left to right; ``which`` (n,) bool."""
    flip = torch.tensor([-1.0, 1.0, 1.0])
    sides = list(MIRROR_29)
    turn = torch.diag(flip)
    other = {
        'image': batch['image'].flip(-1), 'joints_m': batch['joints_m'][:, sides] * flip,
        'rotmat': turn @ batch['rotmat'][:, sides[:24]] @ turn,
        'uv': batch['uv'][:, sides] * flip[:2], 'visible': batch['visible'][:, sides],
        'projection': turn @ batch['projection'] @ turn, 'place': batch['place'] * flip,
    }
    out = dict(batch)
    for key, value in other.items():
        pick = which.view(-1, *[1] * (value.ndim - 1))
        out[key] = torch.where(pick, value, batch[key])
    # a shape is the same from both sides: the open skeleton is symmetric
    return out


def turned(batch: dict, angle, zoom, size_px: int | None = None) -> dict:
    """
    Turn a batch about the middle of its crops and cut closer or wider.

    Both are exact: the crop's middle is the axis of its view.

    :param angle: (n,) radians, clockwise in the image. :param zoom: (n,) above 1 cuts wider.
    :param size_px: of the crops that come out; None = as they are.
    """
    cosine, sine = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], -1)
    turn = turn.unflatten(-1, (3, 3))
    small = torch.stack([one, one, zoom], -1)
    flat = turn[:, :2, :2]
    back = torch.cat([flat.transpose(1, 2) * zoom[:, None, None], torch.zeros(len(zoom), 2, 1)], 2)
    size = [size_px or length for length in batch['image'].shape[2:]]
    grid = F.affine_grid(back, [len(angle), 3, *size], align_corners=False)
    rotmat = batch['rotmat'].clone()
    rotmat[:, 0] = turn @ rotmat[:, 0]
    projection = turn @ batch['projection'] @ turn.transpose(1, 2) * small[:, :, None]
    place = torch.cat([(flat @ batch['place'][:, :2, None])[..., 0] / zoom[:, None],
                       (batch['place'][:, 2] - torch.log(zoom))[:, None]], dim=-1)
    return {
        **batch, 'image': F.grid_sample(batch['image'], grid, align_corners=False),
        'joints_m': batch['joints_m'] @ turn.transpose(1, 2), 'rotmat': rotmat,
        'uv': (flat[:, None] @ batch['uv'][..., None])[..., 0] / zoom[:, None, None],
        'projection': projection, 'crops': batch['crops'] / zoom, 'place': place,
    }


def recoloured(image, generator):
    """Change brightness, contrast and tint, and lay a patch of one colour over some crops."""
    count, _, size, _ = image.shape

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    gain = 0.6 + 0.8 * draw(count, 1, 1, 1) + 0.2 * (draw(count, 3, 1, 1) - 0.5)
    image = (image - 128) * gain + 128 + 50 * (draw(count, 1, 1, 1) - 0.5)
    low, side = draw(count, 2) * size, (0.1 + 0.25 * draw(count, 2)) * size
    axis = torch.arange(size)
    inside = [(axis >= low[:, k:k + 1]) & (axis < (low + side)[:, k:k + 1]) for k in range(2)]
    patch = inside[0][:, None, :] & inside[1][:, :, None]
    patch &= draw(count, 1, 1) < 0.3
    image = torch.where(patch[:, None], 255 * draw(count, 3, 1, 1), image)
    return image.clamp(0, 255)


def resized(image, size_px: int):
    """Return images (n, 3, S, S) at another size, each pixel the mean of what it covers."""
    if image.shape[-1] == size_px:
        return image
    return F.interpolate(image, (size_px, size_px), mode='area')


def augmented(batch: dict, generator, size_px: int | None = None) -> dict:
    """Return a batch mirrored, turned up to 30°, zoomed by 20 % and recoloured."""
    count = len(batch['image'])
    batch = mirrored(batch, torch.rand(count, generator=generator) < 0.5)
    angle = 0.26 * torch.randn(count, generator=generator).clamp(-2, 2)
    zoom = torch.exp(0.1 * torch.randn(count, generator=generator).clamp(-2, 2))
    batch = turned(batch, angle, zoom, size_px)
    return {**batch, 'image': recoloured(batch['image'], generator)}
