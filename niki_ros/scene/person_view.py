"""
Perspective crop of one person: the image of a virtual camera that points at the person.

The virtual pinhole camera is at the place of the real one and is rolled until the person is
upright. In its image people have the same size and position, without distortion of the lens.
Poses estimated in it are in the axes of the virtual camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from niki_ros.body.rotations import length, swing_rotmat
from niki_ros.common.errors import InputError
from niki_ros.common.replace import replace
from niki_ros.images.boxes import checked_box
from niki_ros.scene.camera import Camera
import numpy as np

# the lens is computed on a grid of this many points per side and interpolated between them; the
# error is 1 / 30 px in a crop of 256 px
_GRID_COUNT = 33
_MAX_WIDTH_TANGENT = 20.0  # widest view: 84 degrees to each side
_OUTSIDE_PX = -1e4  # far outside every image, and within OpenCV's range
_OPTICAL_AXIS = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class PersonView:
    """A virtual camera with a square image."""

    camera_from_view: np.ndarray  # (3, 3) rotation from the view's optical axes to the camera's
    camera_from_upright: np.ndarray  # (3, 3) the same for the view before it was rolled
    width: float  # of the view at a distance of one metre, metres

    @classmethod
    def towards(cls, ray, width: float, roll_rad: float = 0.0) -> PersonView:
        """Return the view towards ``ray`` (3,), optical axes, rolled clockwise by ``roll_rad``."""
        return cls.rolled(swing_rotmat(_OPTICAL_AXIS, ray), width, roll_rad)

    @classmethod
    def rolled(cls, camera_from_upright, width: float, roll_rad: float) -> PersonView:
        """Return the view with these axes (3, 3), rolled clockwise by ``roll_rad``."""
        c, s = np.cos(roll_rad), np.sin(roll_rad)
        roll = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        return cls(camera_from_upright @ roll, camera_from_upright,
                   float(min(width, _MAX_WIDTH_TANGENT)))

    @classmethod
    def around(cls, box_px, camera: Camera, margin: float) -> PersonView:
        """
        Return the view of a box (4,) x0, y0, x1, y1, pixels, without roll.

        :param margin: width of the view over the longer side of the box.
        :raises InputError: when the box is empty, or the lens has no rays there.
        """
        box = checked_box(box_px)
        middle = (box[:2] + box[2:]) / 2
        edges = np.array([[box[0], middle[1]], [box[2], middle[1]],
                          [middle[0], box[1]], [middle[0], box[3]]])
        rays = camera.rays(np.vstack([middle, edges]))
        if not np.isfinite(rays).all():
            raise InputError(f'box {box.tolist()} lies outside the valid range of the lens')
        x0, x1, y0, y1 = _tangents(rays[1:], swing_rotmat(_OPTICAL_AXIS, rays[0]))
        return cls.towards(rays[0], margin * max(x1[0] - x0[0], y1[1] - y0[1]))

    def enlarged(self, width_ratio: float, up_ratio: float) -> PersonView:
        """
        Return a larger view with the same roll.

        :param width_ratio: its width over the width of this view.
        :param up_ratio: distance of its centre above that of this view, over the same width.
        """
        ray = self.camera_from_view @ np.array([0.0, -up_ratio * self.width, 1.0])
        upright = swing_rotmat(_OPTICAL_AXIS, ray)
        roll = upright.T @ self.camera_from_view
        return PersonView.rolled(upright, width_ratio * self.width,
                                 float(np.arctan2(roll[1, 0], roll[0, 0])))

    @property
    def middle_ray(self) -> np.ndarray:
        """The direction (3,) of the centre, camera's optical axes, of length 1."""
        return self.camera_from_view[:, 2]

    def moved(self, ray) -> PersonView:
        """Return the same view with its centre in the direction ``ray`` (3,)."""
        upright = swing_rotmat(_OPTICAL_AXIS, ray)
        roll = self.camera_from_upright.T @ self.camera_from_view
        return replace(self, camera_from_view=upright @ roll, camera_from_upright=upright)

    def rays(self, view_px, size_px: int) -> np.ndarray:
        """Return directions (..., 3), camera's optical axes, of pixels (..., 2) of the view."""
        view_px = np.asarray(view_px, dtype=np.float64)
        rays = np.ones(view_px.shape[:-1] + (3,))
        rays[..., :2] = (view_px / size_px - 0.5) * self.width
        return rays @ self.camera_from_view.T

    def image_from_view(self, view_px, size_px: int, camera: Camera) -> np.ndarray:
        """Return pixels (..., 2) of the image of pixels (..., 2) of the view; NaN outside."""
        return camera.project(self.rays(view_px, size_px))

    def homography(self, size_px: int, camera: Camera) -> np.ndarray:
        """Return the homography (3, 3) from pixels of the view to an image without distortion."""
        scale = self.width / size_px
        plane = np.array([[scale, 0, -self.width / 2], [0, scale, -self.width / 2], [0, 0, 1.0]])
        return camera.matrix @ self.camera_from_view @ plane

    def pixel_map(self, size_px: int, camera: Camera) -> np.ndarray:
        """Return the pixel of the image (size, size, 2) float32 of every pixel of the view."""
        steps = np.linspace(0.0, size_px, _GRID_COUNT)
        knots = np.stack(np.meshgrid(steps, steps), axis=-1)
        coarse = self.image_from_view(knots, size_px, camera)
        fine = _interpolated(np.nan_to_num(coarse, nan=0.0), size_px)
        outside = np.isnan(coarse[..., :1])
        if outside.any():
            fine[_interpolated(outside.astype(np.float64), size_px)[..., 0] > 0] = _OUTSIDE_PX
        return fine.astype(np.float32)


def _interpolated(knots, size_px: int) -> np.ndarray:
    """Return values (size, size, c), interpolated between the points of a grid (n, n, c)."""
    weight, channels = _interpolation_weights(size_px), knots.shape[-1]
    rows = (weight @ knots.reshape(_GRID_COUNT, -1)).reshape(size_px, _GRID_COUNT, channels)
    return np.stack([rows[..., c] @ weight.T for c in range(channels)], axis=-1)


@lru_cache(maxsize=4)
def _interpolation_weights(size_px: int) -> np.ndarray:
    """Return weights (size, n) of linear interpolation between the points of the grid."""
    at = np.arange(size_px) * ((_GRID_COUNT - 1) / size_px)
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(_GRID_COUNT)))


def _tangents(rays, camera_from_view) -> np.ndarray:
    """Return the points (n, 2) in which rays (n, 3) meet the plane at distance 1 of a view."""
    in_view = np.asarray(rays) @ camera_from_view
    return in_view[:, :2] / np.maximum(in_view[:, 2:], 1e-3)


def view_of_body(middle_ray, top_ray, margin: float, min_width: float) -> PersonView:
    """
    Return the view that is centred on a body and rolled upright with it.

    :param middle_ray: (3,) direction of the middle of the hips, camera's optical axes.
    :param top_ray: (3,) direction of the point above it that is as far away as the body reaches.
    :param margin: width of the view over twice the distance of the two points.
    :param min_width: of the view at a distance of one metre, metres.
    """
    upright = swing_rotmat(_OPTICAL_AXIS, middle_ray)
    up = _tangents(np.asarray(top_ray)[None], upright)[0]
    width = max(2 * margin * float(length(up)), min_width)
    return PersonView.rolled(upright, width, float(np.arctan2(up[0], -up[1])))
