"""Camera model with ROS's distortion models, and the position of a body in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from niki_ros.body.rotations import length
from niki_ros.common.errors import InputError
from niki_ros.scene.lens import distorted, LENSES, MAX_COEFFICIENT, undistorted
import numpy as np

MODELS = tuple(LENSES)
MAX_TANGENT = 100.0  # pixels further off the axis than 89.4 degrees have no ray

# plausible focal lengths and distance of the principal point, over the size of the image
_FOCAL_RATIOS, _MAX_CENTRE_RATIO = (0.01, 1000.0), 10.0
# solve_root: an outlier is further off than this, as a tangent (2 % of the focal length)
_HUBER_TANGENT = 0.02
_SOLVE_ROOT_ITERATIONS, _MIN_ROOT_Z_M, _MIN_JOINT_Z_M = 3, 0.1, 0.05
_MIN_SPREAD = 1e-18  # mean square tangent from the middle of the keypoints


@dataclass(frozen=True)
class Camera:
    """Intrinsics as in ``sensor_msgs/CameraInfo``."""

    matrix: np.ndarray  # (3, 3) fx s cx / 0 fy cy / 0 0 1, pixels
    width: int  # of the image, pixels
    height: int
    distortion: np.ndarray = field(default_factory=lambda: np.zeros(5))  # coefficients
    model: str = 'plumb_bob'  # one of ``MODELS``
    source: str = 'camera_info'  # of the values, or 'file' or 'fov'
    quarter_turns: int = 0  # clockwise, of the image relative to the lens with its distortion
    _is_distorted: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self):
        """Raise :class:`InputError` for values that no camera has."""
        k = np.asarray(self.matrix, dtype=np.float64)
        d = np.asarray(self.distortion, dtype=np.float64).ravel()
        if k.shape != (3, 3) or not np.isfinite(k).all() or k[0, 0] <= 0 or k[1, 1] <= 0:
            raise InputError(f'camera matrix K is {k.tolist()}; focal lengths must be positive')
        _check_extent(k, d, self.width, self.height)
        if self.model not in MODELS:
            raise InputError(f'distortion model {self.model!r} is unknown; expected {MODELS}')
        count = LENSES[self.model].coefficient_count
        if len(d) > count and np.any(d[count:]):
            raise InputError(f'{self.model} takes {count} distortion numbers, got {len(d)}')
        full = np.zeros(count)
        full[:min(len(d), count)] = d[:count]
        object.__setattr__(self, 'matrix', k)
        object.__setattr__(self, 'distortion', full)
        object.__setattr__(self, '_is_distorted', bool(full.any()))

    @classmethod
    def from_fov(cls, width: int, height: int, fov_deg: float) -> Camera:
        """Return a camera without distortion with a horizontal field of view of ``fov_deg``."""
        focal = width / 2 / np.tan(np.radians(fov_deg) / 2)
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        return cls(matrix, width, height, source='fov')

    @property
    def is_distorted(self) -> bool:
        """Return whether the image differs from that of a pinhole."""
        return self._is_distorted

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera of the same image, scaled to another size in pixels."""
        if (width, height) == (self.width, self.height):
            return self
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, matrix=scale @ self.matrix, width=width, height=height)

    def cropped(self, x_px: float, y_px: float, width: int, height: int) -> Camera:
        """Return the camera of a part of the image whose upper left corner is at (x, y)."""
        if (x_px, y_px, width, height) == (0, 0, self.width, self.height):
            return self
        shift = np.array([[1.0, 0, -x_px], [0, 1.0, -y_px], [0, 0, 1.0]])
        return replace(self, matrix=shift @ self.matrix, width=width, height=height)

    def rotated(self, quarter_turns: int) -> Camera:
        """Return the camera of the clockwise rotated image; :class:`InputError` for a skew."""
        if not quarter_turns:
            return self
        k, last = self.matrix, self.height - 1.0
        if k[0, 1]:
            raise InputError(f'camera matrix K has a skew of {k[0, 1]:g}, which a rotated K '
                             'cannot express; set image_rotation to 0')
        matrix = np.array([[k[1, 1], 0, last - k[1, 2]], [0, k[0, 0], k[0, 2]], [0, 0, 1.0]])
        once = replace(self, matrix=matrix, width=self.height, height=self.width,
                       quarter_turns=(self.quarter_turns + 1) % 4)
        return once.rotated(quarter_turns - 1)

    def project(self, points_m) -> np.ndarray:
        """Return pixels (..., 2) of points (..., 3) in the optical frame; NaN behind it."""
        points = np.asarray(points_m, dtype=np.float64)
        z = np.where(points[..., 2:] > 1e-6, points[..., 2:], np.nan)
        with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
            plane = points[..., :2] / z
            if self.is_distorted:
                in_lens = _rotated_plane(plane, -self.quarter_turns)
                plane = _rotated_plane(distorted(in_lens, self.model, self.distortion),
                                       self.quarter_turns)
        k, pixels = self.matrix, np.empty(plane.shape)
        pixels[..., 0] = k[0, 0] * plane[..., 0] + k[0, 1] * plane[..., 1] + k[0, 2]
        pixels[..., 1] = k[1, 1] * plane[..., 1] + k[1, 2]
        return pixels

    def rays(self, pixels) -> np.ndarray:
        """Return undistorted rays (..., 3), z = 1, optical axes, of pixels (..., 2), or NaN."""
        pixels = np.asarray(pixels, dtype=np.float64)
        k = self.matrix
        rays = np.ones(pixels.shape[:-1] + (3,))
        plane = rays[..., :2]
        plane[..., 1] = (pixels[..., 1] - k[1, 2]) / k[1, 1]
        plane[..., 0] = (pixels[..., 0] - k[0, 2] - k[0, 1] * plane[..., 1]) / k[0, 0]
        if self.is_distorted:
            # outside its valid range a calibration can diverge
            with np.errstate(over='ignore', invalid='ignore', divide='ignore'):
                in_lens = _rotated_plane(plane, -self.quarter_turns)
                plane[:] = _rotated_plane(undistorted(in_lens, self.model, self.distortion),
                                          self.quarter_turns)
        # also where it is NaN, without a ray
        np.copyto(plane, np.nan, where=~(np.abs(plane) <= MAX_TANGENT))
        return rays


def rotmat_from_quarter_turns(quarter_turns: int) -> np.ndarray:
    """Return the rotation (3, 3) about the optical axis by clockwise quarter turns."""
    c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _rotated_plane(plane, quarter_turns: int) -> np.ndarray:
    """Return points (..., 2) of the image plane rotated by clockwise quarter turns."""
    if not quarter_turns:
        return plane
    return plane @ rotmat_from_quarter_turns(quarter_turns)[:2, :2].T


def _check_extent(k, d, width: int, height: int):
    """Raise :class:`InputError` for implausible values, such as a focal length of 1e300 pixels."""
    if width <= 0 or height <= 0:
        raise InputError(f'camera image is {width}x{height}; expected positive')
    if not np.isfinite(d).all() or (np.abs(d) > MAX_COEFFICIENT).any():
        raise InputError(f'distortion is {d.tolist()}; every value must be finite, and below '
                         f'{MAX_COEFFICIENT:g}')
    low, high = _FOCAL_RATIOS
    side = max(width, height)
    focal = k[[0, 1], [0, 1]]
    if focal.min() < low * min(width, height) or focal.max() > high * side:
        raise InputError(f'focal lengths are {focal.tolist()} pixels; expected {low:g} … {high:g} '
                         f'times the image of {width}x{height}')
    far = np.abs(k[[0, 1, 0], [2, 2, 1]]).max()
    if far > _MAX_CENTRE_RATIO * side or not np.array_equal(k[2], (0, 0, 1)) or k[1, 0]:
        raise InputError(f'camera matrix K is {k.tolist()}; expected fx s cx / 0 fy cy / 0 0 1, '
                         f'with the centre near an image of {width}x{height}')


def solve_root(joints_m, keypoints_px, weights, camera: Camera):
    """
    Return the pelvis (3,), optical frame, metres, with which joints project onto their keypoints.

    For a joint X and the ray (u, v, 1) of its keypoint, X + t lies on the ray when
    t_x - u t_z = u X_z - X_x and t_y - v t_z = v X_z - X_y: linear in the root t. Solved by
    weighted least squares, twice more with the rows scaled to pixels at the distance of the last
    solution and with Huber weights (2 % of the focal length).

    :param joints_m: (n, 3) relative to the pelvis, camera axes. :param weights: (n,) >= 0.
    :param keypoints_px: (n, 2); rows with a weight of 0 may be NaN.
    :return: None for fewer than three joints with weight, or a body behind the camera.
    """
    rays = camera.rays(keypoints_px)
    good = (np.asarray(weights) > 0) & np.isfinite(rays).all(-1)
    if np.count_nonzero(good) < 3:
        return None
    x, plane = np.asarray(joints_m, dtype=np.float64)[good], rays[good, :2]
    weight = np.asarray(weights, dtype=np.float64)[good]
    right = plane * x[:, 2:] - x[:, :2]
    scale = np.ones(len(x))
    root = np.empty(3)
    for _ in range(_SOLVE_ROOT_ITERATIONS):
        row = weight * scale
        row = row / row.sum()
        # the equations of t_z alone are those of the deviations from the weighted means
        mean, right_mean = row @ plane, row @ right
        off_mean = plane - mean
        spread = row @ (off_mean * off_mean)
        root[2] = -(row @ (off_mean * (right - right_mean))).sum() / max(spread.sum(), _MIN_SPREAD)
        root[:2] = right_mean + mean * root[2]
        depth = x[:, 2] + root[2]
        if root[2] <= _MIN_ROOT_Z_M or (depth <= _MIN_JOINT_Z_M).any():
            return None
        off = length((x[:, :2] + root[:2]) / depth[:, None] - plane)
        scale = np.minimum(1.0, _HUBER_TANGENT / np.maximum(off, 1e-9)) / depth**2
    return root
