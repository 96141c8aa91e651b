"""Ground truth of a rendered frame: visible joints, and the hidden part of the silhouette."""

from dataclasses import dataclass

import cv2
from niki_ros.body.skeleton import PARENTS_29
import numpy as np

_TRUNK = np.array([0, 1, 2, 3, 6, 9, 12, 13, 14, 15])


@dataclass(frozen=True)
class VisibilityNumbers:
    """Numbers of the ground truth of visibility."""

    sample_count: int = 700  # points on the surface of a person
    nearest_count: int = 60  # vertices whose mean distance is the depth of a joint under the skin
    # of the body's height: trunk joints lie near the back, and half the trunk's depth stands for
    # their depth from any side
    min_trunk_depth_ratio: float = 0.075
    other_margin_m: float = 0.02  # another surface hides a joint from this far in front of it
    own_depth_ratio: float = 1.6  # the own surface, when farther than this multiple of the depth
    own_margin_m: float = 0.02  # and this


class SurfaceSamples:
    """
    Points on the surface of one person, and the depth of the joints under it.

    :param vertices_m: (V, 3) mesh at rest, metres. :param normals: (V, 3).
    :param weights: (V, 24) skinning weights. :param area_m2: (V,) of the surface; vertices of
        area 0 are not drawn. :param depth_m: (29,) of :func:`joint_depths`.
    """

    def __init__(self, vertices_m, normals, weights, area_m2, depth_m, rng,
                 numbers: VisibilityNumbers = VisibilityNumbers()):
        pick = rng.choice(len(vertices_m), numbers.sample_count, p=area_m2 / area_m2.sum())
        self._points_m, self._normals = vertices_m[pick], normals[pick]
        self._weights, self.depth_m = weights[pick], depth_m

    def posed(self, bones):
        """Return points (S, 3), metres, and normals (S, 3) after ``bones`` (24, 3, 4)."""
        move = np.einsum('sj,jab->sab', self._weights, bones)
        points_m = np.einsum('sab,sb->sa', move[..., :3], self._points_m) + move[..., 3]
        return points_m, np.einsum('sab,sb->sa', move[..., :3], self._normals)


def joint_depths(body, vertices_m, numbers: VisibilityNumbers = VisibilityNumbers()) -> np.ndarray:
    """Return the depth (29,) of each joint under the surface, metres, by the nearest vertices."""
    depth_m = np.empty(29)
    for joint in range(24):
        distance_m = np.linalg.norm(vertices_m - body.pivots_m[joint], axis=1)
        depth_m[joint] = np.sort(distance_m)[:numbers.nearest_count].mean()
    depth_m[_TRUNK] = np.maximum(depth_m[_TRUNK], numbers.min_trunk_depth_ratio * body.height_m)
    depth_m[24:] = depth_m[list(PARENTS_29[24:])]
    return depth_m


def project(points_m, matrix) -> np.ndarray:
    """Return pixels (..., 2) of points (..., 3) in camera axes; NaN behind the camera."""
    z = np.where(points_m[..., 2] > 0.05, points_m[..., 2], np.nan)
    return (points_m[..., :2] / z[..., None]) * matrix[[0, 1], [0, 1]] + matrix[:2, 2]


def is_inside(pixels, size_px) -> np.ndarray:
    """Return (...) True for pixels (..., 2) in an image of ``size_px`` (width, height)."""
    return ((pixels >= 0) & (pixels < size_px)).all(-1) & np.isfinite(pixels).all(-1)


def visible_joints(joints_m, matrix, identity, depth_m, own_id: int, joint_depth_m,
                   numbers: VisibilityNumbers = VisibilityNumbers()) -> np.ndarray:
    """
    Return (29,) True for joints in the image with only the flesh around them in front.

    :param joints_m: (29, 3) camera axes, metres. :param matrix: (3, 3) of the camera.
    :param identity: (H, W) id of the surface in each pixel. :param depth_m: (H, W) its depth.
    :param own_id: id of this person. :param joint_depth_m: (29,) of :func:`joint_depths`.
    """
    inside, row, column = _pixel_indices(joints_m, matrix, identity.shape)
    surface_m, surface_id = depth_m[row, column], identity[row, column]
    margin_m = numbers.own_depth_ratio * joint_depth_m + numbers.own_margin_m
    clear_of_own = surface_m > joints_m[:, 2] - margin_m
    clear_of_others = surface_m > joints_m[:, 2] - numbers.other_margin_m
    return inside & np.where(surface_id == own_id, clear_of_own, clear_of_others)


def hidden_percent(points_m, normals, matrix, identity, own_id: int) -> float:
    """
    Return the share of the silhouette hidden by people, objects and the image border, 0 … 100.

    Points that face the camera count by the area that they show it. A point within one pixel of
    the person's own pixels is not hidden.

    :param points_m: (S, 3) camera axes, metres. :param normals: (S, 3).
    :param identity: (H, W) id of the surface in each pixel. :param own_id: id of this person.
    """
    distance_m = np.linalg.norm(points_m, axis=1)
    facing = -np.einsum('sa,sa->s', points_m, normals) / distance_m
    weight = np.maximum(facing, 0.0) / np.maximum(distance_m, 0.2)**2
    near = cv2.dilate((identity == own_id).astype(np.uint8), np.ones((3, 3), np.uint8))
    inside, row, column = _pixel_indices(points_m, matrix, identity.shape)
    seen = inside & (near[row, column] > 0)
    return float(100 * (1 - (weight * seen).sum() / max(weight.sum(), 1e-12)))


def _pixel_indices(points_m, matrix, shape):
    """Return which points (n, 3) are in the image (n,), and their rows (n,) and columns (n,)."""
    height, width = shape
    pixels = project(points_m, matrix)
    inside = is_inside(pixels, (width, height))
    column, row = np.where(inside[:, None], np.floor(pixels), 0).astype(int).T
    return inside, row, column
