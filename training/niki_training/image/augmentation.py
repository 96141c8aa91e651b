"""Batches of crops with ground truth, and their augmentation."""

from niki_ros.body.skeleton import MIRROR_29
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

MAX_HIDDEN_PERCENT = 90.0  # a crop with more of the person hidden shows nothing but the mean pose
_ANGLE_RAD, _LOG_ZOOM = 0.26, 0.1  # standard deviations; both are cut at two
_PATCH_RATIO = 0.3  # share of the crops that get a patch of one colour


def usable(crops: dict) -> dict:
    """Return the crops in which enough of the person is visible."""
    keep = crops['hidden_percent'] < MAX_HIDDEN_PERCENT
    return {key: value[keep] for key, value in crops.items()}


def tensors(crops: dict, rows) -> dict:
    """Return rows of the crops as float tensors, images (n, 3, S, S) RGB 0 … 255."""
    batch = {key: torch.from_numpy(np.ascontiguousarray(value[rows])) for key, value in
             crops.items()}
    batch['image'] = batch['image'].permute(0, 3, 1, 2).float()
    return {key: value.float() if value.is_floating_point() else value
            for key, value in batch.items()}


def mirrored(batch: dict, which) -> dict:
    """Return the batch, with the crops for which ``which`` (n,) is true mirrored left to right."""
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
    # betas stay: the open skeleton is symmetric
    return out


def rotated_and_zoomed(batch: dict, angle, zoom, size_px: int | None = None) -> dict:
    """
    Return the batch rotated about the centre of the crops and cropped closer or wider.

    Both are exact, because the optical axis of a view goes through the centre of its crop.

    :param angle: (n,) radians, clockwise in the image. :param zoom: (n,) above 1 crops wider.
    :param size_px: side of the returned crops; None = unchanged.
    """
    cosine, sine = torch.cos(angle), torch.sin(angle)
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], -1)
    turn = turn.unflatten(-1, (3, 3))
    flat = turn[:, :2, :2]
    back = torch.cat([flat.transpose(1, 2) * zoom[:, None, None], torch.zeros(len(zoom), 2, 1)], 2)
    size = [size_px or length for length in batch['image'].shape[2:]]
    grid = F.affine_grid(back, [len(angle), 3, *size], align_corners=False)
    rotmat = batch['rotmat'].clone()
    rotmat[:, 0] = turn @ rotmat[:, 0]
    small = torch.stack([one, one, zoom], -1)[:, :, None]
    projection = turn @ batch['projection'] @ turn.transpose(1, 2) * small
    place = torch.cat([(flat @ batch['place'][:, :2, None])[..., 0] / zoom[:, None],
                       (batch['place'][:, 2] - torch.log(zoom))[:, None]], dim=-1)
    return {
        **batch, 'image': F.grid_sample(batch['image'], grid, align_corners=False),
        'joints_m': batch['joints_m'] @ turn.transpose(1, 2), 'rotmat': rotmat,
        'uv': (flat[:, None] @ batch['uv'][..., None])[..., 0] / zoom[:, None, None],
        'projection': projection, 'crops': batch['crops'] / zoom, 'place': place,
    }


def recoloured(image, generator):
    """Return images (n, 3, S, S), 0 … 255, recoloured; some get a patch of one colour."""
    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    count, _, size, _ = image.shape

    gain = 0.6 + 0.8 * draw(count, 1, 1, 1) + 0.2 * (draw(count, 3, 1, 1) - 0.5)
    image = (image - 128) * gain + 128 + 50 * (draw(count, 1, 1, 1) - 0.5)
    low, side = draw(count, 2) * size, (0.1 + 0.25 * draw(count, 2)) * size
    axis = torch.arange(size)
    inside = [(axis >= low[:, k:k + 1]) & (axis < (low + side)[:, k:k + 1]) for k in range(2)]
    patch = inside[0][:, None, :] & inside[1][:, :, None]
    patch &= draw(count, 1, 1) < _PATCH_RATIO
    image = torch.where(patch[:, None], 255 * draw(count, 3, 1, 1), image)
    return image.clamp(0, 255)


def resized(image, size_px: int):
    """Return images (n, 3, S, S) at another size; a pixel is the mean of the area it covers."""
    if image.shape[-1] == size_px:
        return image
    return F.interpolate(image, (size_px, size_px), mode='area')


def augmented(batch: dict, generator, size_px: int | None = None) -> dict:
    """Return a batch mirrored, rotated by up to 30°, zoomed by up to 20 % and recoloured."""
    count = len(batch['image'])
    batch = mirrored(batch, torch.rand(count, generator=generator) < 0.5)
    angle = _ANGLE_RAD * torch.randn(count, generator=generator).clamp(-2, 2)
    zoom = torch.exp(_LOG_ZOOM * torch.randn(count, generator=generator).clamp(-2, 2))
    batch = rotated_and_zoomed(batch, angle, zoom, size_px)
    return {**batch, 'image': recoloured(batch['image'], generator)}
