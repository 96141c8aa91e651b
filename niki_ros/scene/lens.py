"""
Lens distortion between the ideal and the distorted image plane, in tangents.

The formulas are those of OpenCV's calib3d and fisheye, which ROS's distortion models refer to.
"""

import re
from typing import Callable, Dict, NamedTuple, Optional, Tuple

import numpy as np

MAX_COEFFICIENT = 1e6

# OpenCV distinguishes its pinhole models by the number of coefficients, not by a name
_RATIONAL_COUNTS = (8, 12, 14)
# tangents: 1e-3 is one pixel at a focal length of 1000 pixels
_CONVERGED_TANGENT, _FAILED_TANGENT, _STEP_TANGENT = 1e-7, 1e-3, 1e-6
_MAX_ITERATIONS = 15
_MAX_ANGLE_RAD = np.pi / 2 * 0.99


class Lens(NamedTuple):
    """A distortion model; ``distort`` takes ideal points (..., 2) and the coefficients."""

    coefficient_count: int  # missing ones are 0
    names: Tuple[str, ...]  # in drivers, SDKs and calibration tools, letters and digits only
    distort: Callable[[np.ndarray, np.ndarray], np.ndarray]
    undistort: Optional[Callable[[np.ndarray, np.ndarray], np.ndarray]] = None  # None = Newton
    can_truncate: bool = False  # the first coefficients determine most of the distortion


def parse_distortion(name: str, numbers) -> Tuple[str, np.ndarray, str]:
    """
    Return a distortion model, its coefficients (n,), and a fault, of the values of a driver.

    The lens has no distortion where the values cannot be used; without a fault the text is empty.

    :param name: ``distortion_model`` of sensor_msgs/CameraInfo, in any spelling; numbers = D.
    """
    given = np.asarray(numbers, dtype=np.float64).ravel()
    if not np.isfinite(given).all() or (np.abs(given) > MAX_COEFFICIENT).any():
        return 'plumb_bob', np.zeros(5), f'D is {given[:14].tolist()}, which no lens has'
    if not given.any():
        return 'plumb_bob', np.zeros(5), ''
    key = re.sub('[^a-z0-9]', '', name.lower())
    model = _MODEL_OF.get(key or 'plumbbob')
    if model is None:
        return 'plumb_bob', np.zeros(5), (f'distortion model {name[:50]!r} is unknown; expected '
                                          f'one of {", ".join(LENSES)}')
    if model == 'plumb_bob' and len(given) in _RATIONAL_COUNTS:
        model = 'rational_polynomial'
    wanted = LENSES[model].coefficient_count
    if not given[wanted:].any():
        return model, given[:wanted], ''
    wrong = f'{model} takes {wanted} distortion numbers, D has {len(given)}'
    if LENSES[model].can_truncate:
        return model, given[:wanted], wrong
    return 'plumb_bob', np.zeros(5), wrong


def distorted(plane, model: str, d) -> np.ndarray:
    """Return distorted points (..., 2) of ideal ones (..., 2); ``d``: values of ``model``."""
    return LENSES[model].distort(plane, d)


def undistorted(bent, model: str, d) -> np.ndarray:
    """Return the inverse of :func:`distorted`, NaN without a solution."""
    lens = LENSES[model]
    return lens.undistort(bent, d) if lens.undistort else _newton_inverse(bent, lens.distort, d)


def _distorted_pinhole(plane, d) -> np.ndarray:
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
    if len(d) > 5:
        radial = radial / (1 + r2 * (d[5] + r2 * (d[6] + r2 * d[7])))
    bent = np.stack([
        x * radial + 2 * d[2] * x * y + d[3] * (r2 + 2 * x * x),
        y * radial + d[2] * (r2 + 2 * y * y) + 2 * d[3] * x * y], axis=-1)
    if len(d) > 8 and d[8:].any():
        prism = np.stack([r2 * (d[8] + r2 * d[9]), r2 * (d[10] + r2 * d[11])], axis=-1)
        return _tilted(bent + prism, d[12], d[13])
    return bent


def _tilted(plane, tau_x: float, tau_y: float) -> np.ndarray:
    """Return points (..., 2) of the image plane on a sensor tilted by two angles, radians."""
    if not (tau_x or tau_y):
        return plane
    cx, sx, cy, sy = np.cos(tau_x), np.sin(tau_x), np.cos(tau_y), np.sin(tau_y)
    turn = (np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]]))
    onto = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
    rays = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1) @ (onto @ turn).T
    return rays[..., :2] / rays[..., 2:]


def _newton_inverse(bent, distort, d) -> np.ndarray:
    """Return ideal points (..., 2) of distorted ones, by Newton's method, or NaN."""
    plane = bent.copy()
    for _ in range(_MAX_ITERATIONS):
        off = bent - distort(plane, d)
        # four iterations suffice for most lenses; a NaN, where there is no solution, uses all
        if np.abs(off).max(initial=0.0) < _CONVERGED_TANGENT:
            return plane
        plane = plane + _newton_step(plane, off, distort, d)
    off = np.abs(bent - distort(plane, d)).max(axis=-1, keepdims=True)
    return np.where(off < _FAILED_TANGENT, plane, np.nan)


def _newton_step(plane, off, distort, d) -> np.ndarray:
    """
    Return the step (..., 2) of ``plane`` that moves its distorted points by ``off`` (..., 2).

    The common fixed-point iteration, which adds ``off`` itself, does not converge for wide lenses.
    """
    here = distort(plane, d)
    along_x = (distort(plane + [_STEP_TANGENT, 0.0], d) - here) / _STEP_TANGENT
    along_y = (distort(plane + [0.0, _STEP_TANGENT], d) - here) / _STEP_TANGENT
    determinant = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    step = np.stack([off[..., 0] * along_y[..., 1] - off[..., 1] * along_y[..., 0],
                     off[..., 1] * along_x[..., 0] - off[..., 0] * along_x[..., 1]],
                    axis=-1) / determinant[..., None]
    # where a calibration folds back on itself a whole step diverges
    longest = 0.5 + np.linalg.norm(plane, axis=-1, keepdims=True)
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return step * np.minimum(1.0, longest / np.maximum(length, 1e-12))


def _distorted_fisheye(plane, d) -> np.ndarray:
    radius = np.linalg.norm(plane, axis=-1, keepdims=True)
    theta = np.arctan(radius)
    t2 = theta**2
    radius_bent = theta * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
    return plane * np.where(radius > 1e-9, radius_bent / np.maximum(radius, 1e-9), 1.0)


def _undistorted_fisheye(bent, d) -> np.ndarray:
    """Invert the equidistant model by fixed-point iteration of the angle."""
    radius = np.linalg.norm(bent, axis=-1, keepdims=True)
    theta = np.minimum(radius, _MAX_ANGLE_RAD)
    for _ in range(_MAX_ITERATIONS):
        t2 = theta**2
        theta = radius / (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
    theta = np.clip(theta, 0, _MAX_ANGLE_RAD)
    return bent * np.where(radius > 1e-9, np.tan(theta) / np.maximum(radius, 1e-9), 1.0)


LENSES: Dict[str, Lens] = {
    'plumb_bob': Lens(
        5, ('plumbbob', 'radtan', 'radialtangential', 'brownconrady', 'opencv'),
        _distorted_pinhole),
    'rational_polynomial': Lens(
        14, ('rationalpolynomial', 'rational', 'thinprism', 'tilted'), _distorted_pinhole),
    'equidistant': Lens(
        4, ('equidistant', 'equi', 'fisheye', 'opencvfisheye', 'kannalabrandt', 'kannalabrandt4',
            'kb4'), _distorted_fisheye, _undistorted_fisheye, can_truncate=True)}
_MODEL_OF = {name: model for model, lens in LENSES.items() for name in lens.names}
