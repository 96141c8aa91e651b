"""Colours of surfaces and of the panorama behind them, in torch."""

from math import pi
from typing import NamedTuple

import torch
from torch.nn.functional import interpolate, normalize

from niki_training.render.batch.device_bank import COLOUR, DeviceBank, Meshes, NORMAL, UV
from niki_training.render.batch.raster import Fragments

_SHINE_POWER = 24.0  # as in niki_training.render.shaders


class Shader(NamedTuple):
    """Tensors of :class:`niki_training.render.batch.looks.Lights` of N crops."""

    light_to: torch.Tensor
    light_colour: torch.Tensor
    sky: torch.Tensor
    ground: torch.Tensor
    up: torch.Tensor
    gloss: torch.Tensor

    def lit(self, albedo, normals, at_m, image) -> torch.Tensor:
        """
        Return colours (P, 3), as the program of the OpenGL renderer lights surfaces.

        :param albedo: (P, 3). :param normals: (P, 3) unit vectors, and places ``at_m`` (P, 3),
            axes of the views. :param image: (P,) crop.
        """
        rows = torch.cat([self.light_to.flatten(1), self.light_colour.flatten(1), self.sky,
                          self.ground, self.up, self.gloss[:, None]], 1).index_select(0, image)
        sky, ground, up, gloss = rows[:, 12:15], rows[:, 15:18], rows[:, 18:21], rows[:, 21:22]
        share = 0.5 + 0.5 * (normals * up).sum(1, keepdim=True)
        light = ground + (sky - ground) * share
        shine = torch.zeros_like(light)
        towards = normalize(at_m, dim=1)
        for lamp in (0, 1):
            to_lamp, colour = rows[:, 3 * lamp:3 * lamp + 3], rows[:, 6 + 3 * lamp:9 + 3 * lamp]
            light = light + colour * (normals * to_lamp).sum(1, keepdim=True).clamp_min(0)
            middle = normalize(to_lamp - towards, dim=1)
            glance = (normals * middle).sum(1, keepdim=True).clamp_min(0)
            shine = shine + colour * gloss * glance**_SHINE_POWER
        return (albedo * light + shine).clamp_max(1)


def shaded(bank: DeviceBank, meshes: Meshes, fragments: Fragments, tints, shader: Shader,
           size_px: int) -> torch.Tensor:
    """
    Return the colours (P, 3), RGB 0 … 1, of the surfaces in pixels.

    :param tints: (K, 3) gains of the colours, a row for each value of ``meshes.tint``.
    """
    corners = meshes.triangles.corners.index_select(0, fragments.triangle)
    attributes = sum(meshes.attributes.index_select(0, corners[:, k])
                     * fragments.weights[:, k:k + 1] for k in range(3))
    texture = meshes.texture.index_select(0, fragments.triangle)
    albedo = bank.texels(texture, attributes[:, UV])[:, :3] * attributes[:, COLOUR]
    albedo = albedo * tints.index_select(0, meshes.tint.index_select(0, fragments.triangle))
    a, b, c = (meshes.points_m.index_select(0, corners[:, k]) for k in range(3))
    # the scalar product of an outward normal with a point of a face towards the camera is negative
    is_back = ((torch.linalg.cross(b - a, c - a) * a).sum(1) > 0)[:, None]
    normals = normalize(attributes[:, NORMAL], dim=1)
    normals = torch.where(is_back, -normals, normals)
    return shader.lit(albedo, normals, a, fragments.pixel // size_px**2)


def backgrounds(panoramas, chosen, panorama_from_view, width, size_px: int) -> torch.Tensor:
    """
    Return the panoramas (N, size, size, 3), RGB 0 … 1, as the crops' cameras see them.

    :param panoramas: (K, H, W, 3) uint8. :param chosen: (N,). :param width: (N,) of the view at
        distance 1.
    """
    _, high, wide, _ = panoramas.shape
    # a panorama has fewer pixels than the crop
    small_px = size_px // 2
    axis = (torch.arange(small_px, device=width.device) + 0.25) / small_px - 0.5
    turn = panorama_from_view
    plane = width[:, None] * axis
    rays = (turn[:, None, None, :, 0] * plane[:, None, :, None]
            + turn[:, None, None, :, 1] * plane[:, :, None, None] + turn[:, None, None, :, 2])
    x, y, z = rays.unbind(-1)
    # directions of the columns and rows: niki_training.render.panorama
    column = (torch.atan2(x, -z) / (2 * pi) + 0.5) * wide - 0.5
    row = (0.5 - torch.atan2(y, torch.hypot(x, z)) / pi) * high - 0.5
    texels = panoramas.view(-1, 3)
    first = chosen[:, None, None] * (high * wide)
    left, top = column.floor(), row.floor()
    across, down = (column - left)[..., None], (row - top)[..., None]
    columns = [left.long() % wide, (left.long() + 1) % wide]
    rows = [(top.long() + k).clamp(0, high - 1) * wide + first for k in (0, 1)]
    corners = [texels.index_select(0, (r + c).view(-1)).view(*rays.shape)
               for r in rows for c in columns]
    upper = corners[0] * (1 - across) + corners[1] * across
    lower = corners[2] * (1 - across) + corners[3] * across
    small = (upper * (1 - down) + lower * down).permute(0, 3, 1, 2) / 255
    large = interpolate(small, (size_px, size_px), mode='bilinear')
    return large.permute(0, 2, 3, 1).contiguous()
