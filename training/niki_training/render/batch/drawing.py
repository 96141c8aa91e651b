"""Meshes of the people and the furniture of planned scenes, and what is seen of them."""

from typing import NamedTuple

import numpy as np
import torch

from niki_training.render.batch.device_bank import DeviceBank, Meshes, NORMAL, SLOTS, UV
from niki_training.render.batch.raster import Fragments, rasterized, Triangles
from niki_training.render.batch.scene_plan import MAIN_PLACE, ScenePlan
from niki_training.render.batch.truth import Surfaces


class Drawn(NamedTuple):
    """A batch of N scenes of which K have their main person."""

    meshes: Meshes
    fragments: Fragments
    surfaces: Surfaces
    # points (K, S, 3), metres, and normals (K, S, 3) of the surfaces of the main persons
    main_samples: tuple[torch.Tensor, torch.Tensor]


def draw_scenes(bank: DeviceBank, plan: ScenePlan, pattern_layer, size_px: int) -> Drawn:
    """
    Return what is seen in crops of ``size_px``².

    :param pattern_layer: (N,) first layer of the furniture's patterns.
    """
    device, count = bank.device, len(plan.index)
    person, crop = (torch.as_tensor(rows, device=device) for rows in (plan.person, plan.crop))
    people = bank.posed(person, crop, torch.as_tensor(
        plan.bones, dtype=torch.float32, device=device))
    meshes = _with_furniture(people, bank, plan, pattern_layer)
    width = torch.as_tensor(plan.views.width, dtype=torch.float32, device=device)
    corners, image = meshes.triangles.corners, meshes.triangles.image
    of_vertex = torch.zeros(len(meshes.points_m), dtype=torch.int64, device=device)
    of_vertex[corners] = image[:, None].expand(-1, 3)
    depth_m = meshes.points_m[:, 2].contiguous()
    scale = size_px / (width.index_select(0, of_vertex) * depth_m.clamp_min(1e-3))
    points_px = meshes.points_m[:, :2] * scale[:, None] + size_px / 2

    def is_opaque(triangle, weights):
        own = meshes.triangles.corners.index_select(0, triangle)
        uv = sum(meshes.attributes[:, UV].index_select(0, own[:, k]) * weights[:, k:k + 1]
                 for k in range(3))
        return bank.is_opaque(meshes.texture.index_select(0, triangle), uv)

    fragments = rasterized(points_px, depth_m, meshes.triangles, count, size_px, is_opaque)
    main = torch.as_tensor(np.append(plan.place == MAIN_PLACE, False), device=device)
    is_own = torch.zeros(count * size_px**2, dtype=torch.bool, device=device)
    is_own[fragments.pixel] = main[meshes.person.index_select(0, fragments.triangle)]
    seen_m = torch.full((count * size_px**2,), torch.inf, device=device)
    seen_m[fragments.pixel] = fragments.depth_m
    surfaces = Surfaces(*(values.view(count, size_px, size_px) for values in (is_own, seen_m)))
    return Drawn(meshes, fragments, surfaces, _main_samples(bank, meshes, plan, person))


def _main_samples(bank: DeviceBank, meshes: Meshes, plan: ScenePlan, person):
    count = int((plan.place == MAIN_PLACE).sum())
    vertex = bank.samples[person[:count]] + meshes.first_vertex[:count, None]
    return meshes.points_m[vertex], meshes.attributes[:, NORMAL][vertex]


def _with_furniture(people: Meshes, bank: DeviceBank, plan: ScenePlan, pattern_layer) -> Meshes:
    """Return the meshes with the triangles of the furniture, as of one more person."""
    if not len(plan.furniture):
        return people
    device = bank.device
    corners = torch.as_tensor(plan.furniture, dtype=torch.float32, device=device)
    first, count = len(people.points_m), len(corners) // 3
    crop = plan.furniture_crop[::3]
    layer = pattern_layer[crop] + plan.furniture[::3, 11].astype(int)

    def filled(value, dtype=torch.int64):
        return torch.full((count,), value, dtype=dtype, device=device)

    index = torch.arange(first, first + len(corners), device=device).view(-1, 3)
    own = Triangles(index, torch.as_tensor(crop, device=device), filled(True, torch.bool),
                    filled(False, torch.bool))
    attributes = torch.cat([corners[:, 3:6], corners[:, 9:11], corners[:, 6:9]], 1)
    return Meshes(
        torch.cat([people.points_m, corners[:, :3]]), torch.cat([people.attributes, attributes]),
        Triangles(*(torch.cat(pair) for pair in zip(people.triangles, own))),
        torch.cat([people.texture, torch.as_tensor(
            layer + bank.first_pattern, device=device)]),
        torch.cat([people.tint, filled(len(plan.person) * SLOTS)]),
        torch.cat([people.person, filled(len(plan.person))]), people.first_vertex)
