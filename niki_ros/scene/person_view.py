"""
The picture of one person that a camera pointed at them would take.

A network that looks at one person wants them upright, centred and always of the same size. Such a
picture is that of a pinhole camera at the same place, turned to the person and rolled until they
stand upright: cut out this way, perspective and the distortion of the lens are gone, and poses
are in the axes of that camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from niki_ros.body.rotations import swing_rotmat
from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np

# grid on which the lens is computed; between its points it is interpolated (1 / 30 px at 256)
_GRID = 33
# a pinhole that is pointed at a person sees this far to its sides
_MAX_WIDTH = 20.0
# far outside every image, and within OpenCV's range
_NOWHERE_PX = -1e4
_FORWARD = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class PersonView:
    """
    A square view.

    :param camera_from_view: (3, 3) turns the view's axes (x right, y down, z forward) into the
        camera's optical axes.
    :param camera_from_upright: (3, 3) the same for the view before it was rolled.
    :param width: metres that the view shows at a distance of one metre.
    """

    camera_from_view: np.ndarray
    camera_from_upright: np.ndarray
    width: float

    @classmethod
    def towards(cls, ray, width: float, roll_rad: float = 0.0) -> PersonView:
        """
        Return the view along ``ray`` (3,) of the camera's optical frame.

        :param roll_rad: angle from the image's up to the person's, positive clockwise.
        """
        upright = swing_rotmat(_FORWARD, np.asarray(ray, dtype=np.float64))
        c, s = np.cos(roll_rad), np.sin(roll_rad)
        roll = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return cls(upright @ roll, upright, float(min(width, _MAX_WIDTH)))

    @classmethod
    def around(cls, box_px, camera: Camera, margin: float) -> PersonView:
        """
        Return the upright view of a box (x0, y0, x1, y1), ``margin`` times as wide.

        :raises InputError: when the box is empty, or the lens sees nothing there.
        """
        box = np.asarray(box_px, dtype=np.float64)
        if box.shape != (4,) or not np.isfinite(box).all() or (box[2:] <= box[:2]).any():
            raise InputError(f'box {box.tolist()} is none; expected x0 < x1 and y0 < y1, pixels')
        middle = (box[:2] + box[2:]) / 2
        edges = np.array([[box[0], middle[1]], [box[2], middle[1]],
                          [middle[0], box[1]], [middle[0], box[3]]])
        rays = camera.rays(np.vstack([middle, edges]))
        if not np.isfinite(rays).all():
            raise InputError(f'box {box.tolist()} lies where the lens sees nothing')
        x0, x1, y0, y1 = _tangents(rays[1:], swing_rotmat(_FORWARD, rays[0]))
        return cls.towards(rays[0], margin * max(x1[0] - x0[0], y1[1] - y0[1]))

    def larger(self, share: float, up: float) -> PersonView:
        """
        Return a view with the same turn about its axis that shows more.

        :param share: its width over that of this one. :param up: how far its middle lies above
            this one's, upwards in the view, as a share of this one's width.
        """
        ray = self.camera_from_view @ np.array([0.0, -up * self.width, 1.0])
        upright = swing_rotmat(_FORWARD, ray)
        roll = upright.T @ self.camera_from_view
        return PersonView.towards(ray, share * self.width,
                                  float(np.arctan2(roll[1, 0], roll[0, 0])))

    def rays(self, view_px, size_px: int) -> np.ndarray:
        """Return directions (..., 3) in the camera's axes of pixels (..., 2) of the view."""
        plane = (np.asarray(view_px, dtype=np.float64) / size_px - 0.5) * self.width
        rays = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1)
        return rays @ self.camera_from_view.T

    def image_from_view(self, view_px, size_px: int, camera: Camera) -> np.ndarray:
        """Return pixels (..., 2) of the image; NaN where the camera does not look."""
        return camera.project(self.rays(view_px, size_px))

    def homography(self, size_px: int, camera: Camera) -> np.ndarray:
        """Return (3, 3) from pixels of the view to those of an image without distortion."""
        scale = self.width / size_px
        plane = np.array([[scale, 0, -self.width / 2], [0, scale, -self.width / 2], [0, 0, 1.0]])
        return camera.matrix @ self.camera_from_view @ plane

    def pixel_map(self, size_px: int, camera: Camera) -> np.ndarray:
        """Return the pixel of the image (size, size, 2) float32 for every pixel of the view."""
        steps = np.linspace(0.0, size_px, _GRID)
        knots = np.stack(np.meshgrid(steps, steps), axis=-1)
        coarse = self.image_from_view(knots, size_px, camera)
        fine = _interpolated(np.nan_to_num(coarse, nan=0.0), size_px)
        blind = np.isnan(coarse[..., :1])
        if blind.any():
            fine[_interpolated(blind.astype(np.float64), size_px)[..., 0] > 0] = _NOWHERE_PX
        return fine.astype(np.float32)


def _interpolated(knots, size_px: int) -> np.ndarray:
    """Return values (size, size, c) between those at the points of the grid (grid, grid, c)."""
    weight, channels = _between(size_px), knots.shape[-1]
    rows = (weight @ knots.reshape(_GRID, -1)).reshape(size_px, _GRID, channels)
    return np.stack([rows[..., c] @ weight.T for c in range(channels)], axis=-1)


@lru_cache(maxsize=4)
def _between(size_px: int) -> np.ndarray:
    """Weights (size, grid) that interpolate linearly between the points of the grid."""
    at = np.arange(size_px) * ((_GRID - 1) / size_px)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(_GRID)))


def _tangents(rays, camera_from_view) -> np.ndarray:
    """Return where rays (n, 3) meet the plane at distance 1 in the axes of a view (n, 2)."""
    turned = np.asarray(rays) @ camera_from_view
    return turned[:, :2] / np.maximum(turned[:, 2:], 1e-3)


def view_of_body(middle_ray, top_ray, margin: float, least_width: float) -> PersonView:
    """
    Return the view that is centred on a body and turned upright with it.

    :param middle_ray: (3,) direction of the middle of the hips, camera's optical axes.
    :param top_ray: (3,) direction of a point above it, as far away as the body reaches.
    :param margin: width of the view over twice that distance. :param least_width: of the view.
    """
    upright = swing_rotmat(_FORWARD, np.asarray(middle_ray, dtype=np.float64))
    up = _tangents(np.asarray(top_ray)[None], upright)[0]
    width = max(2 * margin * float(np.linalg.norm(up)), least_width)
    return PersonView.towards(middle_ray, width, float(np.arctan2(up[0], -up[1])))
