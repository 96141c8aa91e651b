"""Exact truth of a frame: which joints are seen, and how much of the body is hidden."""

from __future__ import annotations

import cv2
from niki_ros.body.skeleton import PARENTS_29
import numpy as np

_SAMPLES = 700
_NEIGHBOURS = 60
_OTHER_MARGIN_M = 0.02
_TRUNK = np.array([0, 1, 2, 3, 6, 9, 12, 13, 14, 15])
_TRUNK_SHARE = 0.075
"""Trunk joints lie near the back: half the trunk's depth stands for their depth from any side."""


class Probe:
    """Points on one person's surface, and how deep the joints lie under it."""

    def __init__(self, body, weights, vertices_m, rng):
        """``weights`` (V, 24); ``vertices_m`` (V, 3) the dressed mesh at rest."""
        self.pick = rng.choice(len(vertices_m), _SAMPLES, p=body.area_m2 / body.area_m2.sum())
        self.at, self.normal = vertices_m[self.pick], body.normals[self.pick]
        self.weight = weights[self.pick]
        self.depth_m = joint_depths(body, vertices_m)

    def posed(self, bones):
        """Return the points (S, 3) and normals (S, 3) after ``bones`` (24, 3, 4)."""
        move = np.einsum('sj,jab->sab', self.weight, bones)
        at = np.einsum('sab,sb->sa', move[..., :3], self.at) + move[..., 3]
        return at, np.einsum('sab,sb->sa', move[..., :3], self.normal)


def joint_depths(body, vertices_m) -> np.ndarray:
    """Return how far under the surface each joint lies (29,), from the nearest vertices."""
    depth = np.empty(29)
    for joint in range(24):
        apart = np.linalg.norm(vertices_m - body.pivots_m[joint], axis=1)
        depth[joint] = np.sort(apart)[:_NEIGHBOURS].mean()
    depth[_TRUNK] = np.maximum(depth[_TRUNK], _TRUNK_SHARE * body.height_m)
    depth[24:] = depth[list(PARENTS_29[24:])]
    return depth


def pixels_of(points_m, matrix) -> np.ndarray:
    """Pixels (..., 2) of points in camera axes; NaN behind the camera."""
    z = np.where(points_m[..., 2] > 0.05, points_m[..., 2], np.nan)
    return (points_m[..., :2] / z[..., None]) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]


def inside(pixels, size) -> np.ndarray:
    """Whether pixels (..., 2) lie in an image of ``size`` (width, height)."""
    return ((pixels >= 0) & (pixels < size)).all(-1) & np.isfinite(pixels).all(-1)


def visible_joints(joints_m, matrix, identity, depth, own: int, depth_m) -> np.ndarray:
    """
    Say which joints are seen: in the image, nothing in front but the flesh they lie in.

    :param joints_m: (29, 3) camera axes. :param identity: (H, W) who is drawn where.
    :param depth: (H, W) metres. :param own: this person's identity.
    :param depth_m: (29,) of :func:`joint_depths`.
    """
    height, width = identity.shape
    pixels = pixels_of(joints_m, matrix)
    within = inside(pixels, (width, height))
    column, row = np.where(within[:, None], np.floor(pixels), 0).astype(int).T
    front, who = depth[row, column], identity[row, column]
    own_flesh = front > joints_m[:, 2] - (1.6 * depth_m + 0.02)
    nothing = front > joints_m[:, 2] - _OTHER_MARGIN_M
    return within & np.where(who == own, own_flesh, nothing)


def hidden_percent(points_m, normals, matrix, identity, own: int) -> float:
    """
    Say how much of the person's silhouette others, things and the image's edge hide.

    Points on the side that faces the camera, weighted by the area that they show it; where the
    person's own pixels are within one pixel, the point is not hidden.
    """
    height, width = identity.shape
    distance = np.linalg.norm(points_m, axis=1)
    facing = -np.einsum('sa,sa->s', points_m, normals) / distance
    weight = np.maximum(facing, 0.0) / np.maximum(distance, 0.2)**2
    pixels = pixels_of(points_m, matrix)
    within = inside(pixels, (width, height))
    near = cv2.dilate((identity == own).astype(np.uint8), np.ones((3, 3), np.uint8))
    column, row = np.where(within[:, None], np.floor(pixels), 0).astype(int).T
    seen = within & (near[row, column] > 0)
    return float(100 * (1 - (weight * seen).sum() / max(weight.sum(), 1e-12)))
