"""
Lens distortion between the ideal and the distorted image plane, in tangents.

The formulas are those of OpenCV's calib3d and fisheye, which ROS's distortion models refer to.
"""

import re
from typing import Tuple

import numpy as np

COEFFICIENTS = {'plumb_bob': 5, 'rational_polynomial': 14, 'equidistant': 4}
"""Number of coefficients of each distortion model; missing ones are 0."""
MAX_COEFFICIENT = 1e6

# names of the models in drivers, SDKs and calibration tools, letters and digits only
_NAMES = {
    'plumb_bob': ('plumbbob', 'radtan', 'radialtangential', 'brownconrady', 'opencv'),
    'rational_polynomial': ('rationalpolynomial', 'rational', 'thinprism', 'tilted'),
    'equidistant': ('equidistant', 'equi', 'fisheye', 'opencvfisheye', 'kannalabrandt',
                    'kannalabrandt4', 'kb4')}
_MODEL_OF = {name: model for model, names in _NAMES.items() for name in names}
# OpenCV distinguishes its pinhole models by the number of coefficients, not by a name
_RATIONAL_COUNTS = (8, 12, 14)
# tangents: 1e-3 is one pixel at a focal length of 1000 pixels
_CONVERGED_TANGENT, _FAILED_TANGENT, _STEP_TANGENT = 1e-7, 1e-3, 1e-6
_MAX_ITERATIONS = 15
_MAX_ANGLE_RAD = np.pi / 2 * 0.99


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
                                          f'one of {", ".join(COEFFICIENTS)}')
    if model == 'plumb_bob' and len(given) in _RATIONAL_COUNTS:
        model = 'rational_polynomial'
    wanted = COEFFICIENTS[model]
    if not given[wanted:].any():
        return model, given[:wanted], ''
    wrong = f'{model} takes {wanted} distortion numbers, D has {len(given)}'
    if model == 'equidistant':  # the first four coefficients determine most of it
        return model, given[:wanted], wrong
    return 'plumb_bob', np.zeros(5), wrong


def distorted(plane, model: str, d) -> np.ndarray:
    """Return distorted points (..., 2) of ideal ones (..., 2); ``d``: values of ``model``."""
    if model == 'equidistant':
        radius = np.linalg.norm(plane, axis=-1, keepdims=True)
        theta = np.arctan(radius)
        t2 = theta**2
        radius_bent = theta * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
        return plane * np.where(radius > 1e-9, radius_bent / np.maximum(radius, 1e-9), 1.0)
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
    if model == 'rational_polynomial':
        radial = radial / (1 + r2 * (d[5] + r2 * (d[6] + r2 * d[7])))
    bent = np.stack([
        x * radial + 2 * d[2] * x * y + d[3] * (r2 + 2 * x * x),
        y * radial + d[2] * (r2 + 2 * y * y) + 2 * d[3] * x * y], axis=-1)
    if len(d) > 8 and d[8:].any():
        prism = np.stack([r2 * (d[8] + r2 * d[9]), r2 * (d[10] + r2 * d[11])], axis=-1)
        return _tilted(bent + prism, d[12], d[13])
    return bent


def undistorted(bent, model: str, d) -> np.ndarray:
    """Return the inverse of :func:`distorted`, by Newton's method; NaN without a solution."""
    if model == 'equidistant':
        return _undistorted_fisheye(bent, d)
    plane = bent.copy()
    for _ in range(_MAX_ITERATIONS):
        off = bent - distorted(plane, model, d)
        # four iterations suffice for most lenses; a NaN, where there is no solution, uses all
        if np.abs(off).max(initial=0.0) < _CONVERGED_TANGENT:
            return plane
        plane = plane + _newton_step(plane, off, model, d)
    off = np.abs(bent - distorted(plane, model, d)).max(axis=-1, keepdims=True)
    return np.where(off < _FAILED_TANGENT, plane, np.nan)


def _newton_step(plane, off, model: str, d) -> np.ndarray:
    """
    Return the step (..., 2) of ``plane`` that moves its distorted points by ``off`` (..., 2).

    The common fixed-point iteration, which adds ``off`` itself, does not converge for wide lenses.
    """
    here = distorted(plane, model, d)
    along_x = (distorted(plane + [_STEP_TANGENT, 0.0], model, d) - here) / _STEP_TANGENT
    along_y = (distorted(plane + [0.0, _STEP_TANGENT], model, d) - here) / _STEP_TANGENT
    determinant = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    step = np.stack([off[..., 0] * along_y[..., 1] - off[..., 1] * along_y[..., 0],
                     off[..., 1] * along_x[..., 0] - off[..., 0] * along_x[..., 1]],
                    axis=-1) / determinant[..., None]
    # where a calibration folds back on itself a whole step diverges
    longest = 0.5 + np.linalg.norm(plane, axis=-1, keepdims=True)
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return step * np.minimum(1.0, longest / np.maximum(length, 1e-12))


def _undistorted_fisheye(bent, d) -> np.ndarray:
    """Invert the equidistant model by fixed-point iteration of the angle."""
    radius = np.linalg.norm(bent, axis=-1, keepdims=True)
    theta = np.minimum(radius, _MAX_ANGLE_RAD)
    for _ in range(_MAX_ITERATIONS):
        t2 = theta**2
        theta = radius / (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
    theta = np.clip(theta, 0, _MAX_ANGLE_RAD)
    return bent * np.where(radius > 1e-9, np.tan(theta) / np.maximum(radius, 1e-9), 1.0)


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
