"""
Crops as following cuts them, with its errors: many :class:`PersonView` at once.

Axes are optical: x right, y down, z forward. Tangents are x / z and y / z.
"""

from dataclasses import dataclass
from typing import NamedTuple

from niki_ros.body.rotations import swing_rotmat
from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.render.batch.random_draws import CropRandom

MARGIN = 1.25  # width of a crop over the size of the person, as in the landmark network
_MIN_DEPTH_M = 0.1
_MIN_WIDTH, _MAX_WIDTH = 0.03, 8.0  # of a view at distance 1; 8 is 76 degrees to each side
_FORWARD = np.array([0.0, 0.0, 1.0])
_HIPS = [JOINT['left_hip'], JOINT['right_hip']]
_SHOULDERS = [JOINT['left_shoulder'], JOINT['right_shoulder']]


@dataclass(frozen=True)
class FollowingErrorNumbers:
    """How crops differ from the exact one."""

    center_sigma_ratio: float = 0.035  # of the width, across and down
    # the circle around the body by the landmark network (full, 160 crops of this renderer): its
    # radius is 0.97 (0.88 … 1.08) of the exact one, its roll 0 (-9 … 11) degrees off
    log_width_mean: float = -0.03
    log_width_sigma: float = 0.1
    roll_sigma_rad: float = 0.13
    new_odds: float = 0.2  # crops of a detector's box, which have no roll
    box_margin_sigma: float = 0.08  # of the longer side of the box
    lost_odds: float = 0.08  # crops of a person who was nearly lost:
    lost_center_sigma_ratio: float = 0.12
    lost_log_width_sigma: float = 0.3
    lost_roll_sigma_rad: float = 0.6


class Views(NamedTuple):
    """N square views, as the fields of the same name of :class:`PersonView`."""

    camera_from_view: np.ndarray  # (N, 3, 3)
    width: np.ndarray  # (N,) at a distance of one metre

    def from_camera(self, points) -> np.ndarray:
        """Return points (N, K, 3) of the camera's axes in the axes of the views."""
        return points @ self.camera_from_view

    def uv(self, points_m) -> np.ndarray:
        """Return uv (N, K, 2) of points (N, K, 3) in the axes of the views."""
        return tangents(points_m) / self.width[:, None, None]


def tangents(points_m) -> np.ndarray:
    """Return x / z and y / z (..., 2) of points (..., 3); z is at least 0.1 m."""
    return points_m[..., :2] / np.maximum(points_m[..., 2:], _MIN_DEPTH_M)


def views_towards(rays, width, roll_rad) -> Views:
    """Return views towards rays (N, 3), as :meth:`PersonView.towards` for each."""
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    zero, one = np.zeros_like(cosine), np.ones_like(cosine)
    roll = np.stack([np.stack([cosine, -sine, zero], -1), np.stack([sine, cosine, zero], -1),
                     np.stack([zero, zero, one], -1)], -2)
    return Views(_upright(rays) @ roll, np.clip(width, _MIN_WIDTH, _MAX_WIDTH))


def views_of_bodies(joints_m) -> Views:
    """Return the exact views of bodies (N, 29, 3), as :func:`view_of_body` for each."""
    middle = joints_m[:, _HIPS].mean(1)
    flat = tangents(joints_m @ _upright(middle))
    up = flat[:, _SHOULDERS].mean(1)
    reach = np.linalg.norm(flat, axis=-1).max(1)
    return views_towards(middle, 2 * MARGIN * reach, np.arctan2(up[:, 0], -up[:, 1]))


def views_of_boxes(low, high) -> Views:
    """
    Return views of boxes without roll, as :meth:`PersonView.around` for each.

    :param low: (N, 2) left and top of the box, tangents. :param high: (N, 2) right and bottom.
    """
    middle = (low + high) / 2
    edges = np.stack([np.stack([low[:, 0], middle[:, 1]], -1),
                      np.stack([high[:, 0], middle[:, 1]], -1),
                      np.stack([middle[:, 0], low[:, 1]], -1),
                      np.stack([middle[:, 0], high[:, 1]], -1)], 1)
    rays = np.concatenate([edges, np.ones_like(edges[..., :1])], -1)
    towards = np.concatenate([middle, np.ones_like(middle[:, :1])], -1)
    flat = tangents(rays @ _upright(towards))
    size = np.maximum(flat[:, 1, 0] - flat[:, 0, 0], flat[:, 3, 1] - flat[:, 2, 1])
    return views_towards(towards, MARGIN * size, np.zeros(len(size)))


def followed_views(joints_m, border, draw: CropRandom,
                   numbers: FollowingErrorNumbers = FollowingErrorNumbers()) -> Views:
    """
    Return views with the errors of following.

    :param joints_m: (N, 29, 3) camera axes. :param border: (N, 4) x0, y0, x1, y1 of the image,
        tangents.
    """
    exact = views_of_bodies(joints_m)
    boxes = _detected_views(joints_m, border, draw, numbers)
    is_lost = draw.chance(numbers.lost_odds)
    center = draw.normal(1.0, (2,)) * np.where(
        is_lost, numbers.lost_center_sigma_ratio, numbers.center_sigma_ratio)[:, None]
    width = exact.width * np.exp(numbers.log_width_mean + draw.normal() * np.where(
        is_lost, numbers.lost_log_width_sigma, numbers.log_width_sigma))
    roll = draw.normal() * np.where(is_lost, numbers.lost_roll_sigma_rad, numbers.roll_sigma_rad)
    shifted = np.concatenate([center * exact.width[:, None], np.ones((len(center), 1))], -1)
    rays = (exact.camera_from_view @ shifted[..., None])[..., 0]
    rolled = np.swapaxes(_upright(rays), -1, -2) @ exact.camera_from_view
    followed = views_towards(rays, width, np.arctan2(rolled[:, 1, 0], rolled[:, 0, 0]) + roll)
    is_new = draw.chance(numbers.new_odds)
    return Views(np.where(is_new[:, None, None], boxes.camera_from_view,
                          followed.camera_from_view),
                 np.where(is_new, boxes.width, followed.width))


def _detected_views(joints_m, border, draw: CropRandom, numbers: FollowingErrorNumbers) -> Views:
    """Return the views of the boxes of the part of each body that is in the image."""
    flat = tangents(joints_m)
    low = np.clip(flat.min(1), border[:, :2], border[:, 2:])
    high = np.clip(flat.max(1), border[:, :2], border[:, 2:])
    # the joints lie inside of the silhouette
    size = np.maximum(high - low, 0.02).max(1, keepdims=True)
    error = draw.normal(numbers.box_margin_sigma, (4,)) * size
    low = np.clip(low - 0.04 * size + error[:, :2], border[:, :2], border[:, 2:] - 0.02)
    high = np.clip(high + 0.04 * size + error[:, 2:], low + 0.02, border[:, 2:])
    return views_of_boxes(low, high)


def _upright(rays) -> np.ndarray:
    """Return camera_from_upright (N, 3, 3) of views towards rays (N, 3)."""
    return swing_rotmat(_FORWARD, rays)
