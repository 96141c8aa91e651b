"""
Lenses: from the ideal image plane to the one behind the glass, and back.

Formulas of OpenCV's calib3d and fisheye documentation, which ROS's distortion models are.
"""

from __future__ import annotations

import re
from typing import Tuple

import numpy as np

COEFFICIENTS = {'plumb_bob': 5, 'rational_polynomial': 14, 'equidistant': 4}
"""How many numbers each model takes; missing ones are 0."""
MAX_DISTORTION = 1e6

# what drivers, SDKs and calibration tools call them, letters and digits only
_NAMES = {
    'plumb_bob': ('plumbbob', 'radtan', 'radialtangential', 'brownconrady', 'opencv'),
    'rational_polynomial': ('rationalpolynomial', 'rational', 'thinprism', 'tilted'),
    'equidistant': ('equidistant', 'equi', 'fisheye', 'opencvfisheye', 'kannalabrandt',
                    'kannalabrandt4', 'kb4')}
_MODEL_OF = {name: model for model, names in _NAMES.items() for name in names}
# OpenCV tells its pinhole models apart by the number of coefficients, whatever their name
_COUNTS_OF_RATIONAL = (8, 12, 14)
# of the focal length: a thousandth of a pixel at 1000
_CONVERGED, _NO_ANSWER = 1e-7, 1e-3
_ROUNDS, _STEP = 15, 1e-6
_MAX_ANGLE = np.pi / 2 * 0.99


def parse_distortion(name: str, numbers) -> Tuple[str, np.ndarray, str]:
    """
    Return model, coefficients, and what is wrong with them, of what a driver says.

    :param name: as in ``distortion_model`` of sensor_msgs/CameraInfo, in any spelling.
    :param numbers: D of the same.
    :return: a lens that can be used in any case (without distortion where nothing else is
        known), and a text that is empty where nothing had to be left out.
    """
    given = np.asarray(numbers, dtype=np.float64).ravel()
    if not np.isfinite(given).all() or (np.abs(given) > MAX_DISTORTION).any():
        return 'plumb_bob', np.zeros(5), f'D is {given[:14].tolist()}, which no lens has'
    if not given.any():
        return 'plumb_bob', np.zeros(5), ''
    key = re.sub('[^a-z0-9]', '', name.lower())
    model = _MODEL_OF.get(key or 'plumbbob')
    if model is None:
        return 'plumb_bob', np.zeros(5), (
            f'distortion model {name[:50]!r} is unknown; expected one of '
            f'{", ".join(COEFFICIENTS)}')
    if model == 'plumb_bob' and len(given) in _COUNTS_OF_RATIONAL:
        model = 'rational_polynomial'
    wanted = COEFFICIENTS[model]
    if not given[wanted:].any():
        return model, given[:wanted], ''
    wrong = f'{model} takes {wanted} distortion numbers, D has {len(given)}'
    if model == 'equidistant':  # the first four say most
        return model, given[:wanted], wrong
    return 'plumb_bob', np.zeros(5), wrong


def distorted(plane, model: str, d) -> np.ndarray:
    """Return the lens's image plane (..., 2) of the ideal one."""
    if model == 'equidistant':
        radius = np.linalg.norm(plane, axis=-1, keepdims=True)
        theta = np.arctan(radius)
        t2 = theta**2
        bent = theta * (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
        return plane * np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)
    x, y = plane[..., 0], plane[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (d[0] + r2 * (d[1] + r2 * d[4]))
    if model == 'rational_polynomial':
        radial = radial / (1 + r2 * (d[5] + r2 * (d[6] + r2 * d[7])))
    seen = np.stack([
        x * radial + 2 * d[2] * x * y + d[3] * (r2 + 2 * x * x),
        y * radial + d[2] * (r2 + 2 * y * y) + 2 * d[3] * x * y], axis=-1)
    if len(d) > 8 and d[8:].any():
        prism = np.stack([r2 * (d[8] + r2 * d[9]), r2 * (d[10] + r2 * d[11])], axis=-1)
        return _tilted(seen + prism, d[12], d[13])
    return seen


def undistorted(seen, model: str, d) -> np.ndarray:
    """Return the ideal image plane (..., 2) of the lens's; NaN where there is none."""
    if model == 'equidistant':
        return _undistorted_fisheye(seen, d)
    plane = seen.copy()
    for _ in range(_ROUNDS):
        off = seen - distorted(plane, model, d)
        # four rounds do for most lenses; NaN, where there is no answer, goes on to the end
        if np.abs(off).max(initial=0.0) < _CONVERGED:
            return plane
        plane = plane + _newton_step(plane, off, model, d)
    off = np.abs(seen - distorted(plane, model, d)).max(axis=-1, keepdims=True)
    return np.where(off < _NO_ANSWER, plane, np.nan)


def _newton_step(plane, off, model: str, d) -> np.ndarray:
    """
    Return what moves ``plane`` so that its distortion moves by ``off``.

    Adding ``off`` itself, as is often done, does not converge for wide lenses.
    """
    here = distorted(plane, model, d)
    along_x = (distorted(plane + [_STEP, 0.0], model, d) - here) / _STEP
    along_y = (distorted(plane + [0.0, _STEP], model, d) - here) / _STEP
    determinant = along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
    step = np.stack([off[..., 0] * along_y[..., 1] - off[..., 1] * along_y[..., 0],
                     off[..., 1] * along_x[..., 0] - off[..., 0] * along_x[..., 1]],
                    axis=-1) / determinant[..., None]
    # from beyond the fold of a calibration a whole step leads to nowhere
    longest = 0.5 + np.linalg.norm(plane, axis=-1, keepdims=True)
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return step * np.minimum(1.0, longest / np.maximum(length, 1e-12))


def _undistorted_fisheye(seen, d) -> np.ndarray:
    """Invert the equidistant model by fixed-point iteration of the angle."""
    theta_seen = np.linalg.norm(seen, axis=-1, keepdims=True)
    theta = np.minimum(theta_seen, _MAX_ANGLE)
    for _ in range(_ROUNDS):
        t2 = theta**2
        theta = theta_seen / (1 + t2 * (d[0] + t2 * (d[1] + t2 * (d[2] + t2 * d[3]))))
    theta = np.clip(theta, 0, _MAX_ANGLE)
    return seen * np.where(theta_seen > 1e-9, np.tan(theta) / np.maximum(theta_seen, 1e-9), 1.0)


def _tilted(plane, tau_x: float, tau_y: float) -> np.ndarray:
    """Return where the rays of an image plane meet a sensor that is tilted by two angles, rad."""
    if not (tau_x or tau_y):
        return plane
    cx, sx, cy, sy = np.cos(tau_x), np.sin(tau_x), np.cos(tau_y), np.sin(tau_y)
    turn = (np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
            @ np.array([[1, 0, 0], [0, cx, sx], [0, -sx, cx]]))
    onto = np.array([[turn[2, 2], 0, -turn[0, 2]], [0, turn[2, 2], -turn[1, 2]], [0, 0, 1]])
    rays = np.concatenate([plane, np.ones_like(plane[..., :1])], axis=-1) @ (onto @ turn).T
    return rays[..., :2] / rays[..., 2:]
