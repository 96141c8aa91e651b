"""
Angles of ball joints as three revolute joints each, in the order x, y, z.

Angles are about REP-103 axes in the T-pose: x forward, y left, z up. The sequence of the three
revolute joints from parent to child is chosen so that the middle one, which is singular at ±90°,
moves least: hips and knees bend about y and elbows about z by more than 90°, so these come first;
a shoulder lifts about x and swings about z.
"""

from niki_ros.body.skeleton import BODY_24
import numpy as np

ROS_FROM_BODY = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""REP-103 axes (x forward, y left, z up) from body axes (x left, y up, z forward)."""

_SEQUENCES = {'collar': 'xyz', 'shoulder': 'xyz', 'elbow': 'zxy', 'wrist': 'zxy', 'hand': 'zxy'}
AXIS_ORDER = tuple(_SEQUENCES.get(name.split('_')[-1], 'yxz') for name in BODY_24[1:])
"""Sequence of the revolute axes of each of the 23 ball joints, from parent to child."""

AXIS_INDICES = np.array([['xyz'.index(axis) for axis in order] for order in AXIS_ORDER])
"""The same (23, 3) as indices into x, y, z."""

# places in flat arrays, for values in the sequence of the axes, the same back in x, y, z, and
# matrices (23, 3, 3); a tenth of the time of numpy's take_along_axis
_FIRST_PLACES = 3 * np.arange(23)[:, None]
_PLACES = _FIRST_PLACES + AXIS_INDICES
_PLACES_IN_XYZ = _FIRST_PLACES + np.argsort(AXIS_INDICES, axis=1)
_MATRIX_PLACES = 3 * _PLACES[:, :, None] + AXIS_INDICES[:, None, :]

# an odd permutation of the axes makes a right-handed frame left-handed
_SIGN = np.array([{'xyz': 1.0, 'yzx': 1.0, 'zxy': 1.0}.get(order, -1.0) for order in AXIS_ORDER])
_SINGULAR_COSINE = 1e-6
# damping of the rates near ±90° of the middle angle: they stay below speed / (2 · damping)
_RATE_DAMPING = 0.1


def ros_rotmats(rotmat) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) in REP-103 axes from those in body axes."""
    return ROS_FROM_BODY @ np.asarray(rotmat, dtype=np.float64) @ ROS_FROM_BODY.T


def revolute_from_rotmat(rotmat, previous=None) -> np.ndarray:
    """
    Return the angles (23, 3) of the ball joints about x, y, z in radians.

    Of the two solutions the one nearest to ``previous`` is returned. At the singularity, where
    only the sum of two angles is determined, both change by the same amount.

    :param rotmat: (24, 3, 3) local rotations as in ``Body``.
    :param previous: (23, 3) angles of the image before; None = zeros.
    """
    before = _in_sequence(np.zeros((23, 3)) if previous is None else previous)
    m = ros_rotmats(rotmat)[1:].ravel().take(_MATRIX_PLACES)
    first = _nearest_equivalent(_euler_angles(m), before)
    second = _nearest_equivalent(first * (1.0, -1.0, 1.0) + np.pi, before)
    nearer = np.abs(first - before).sum(1) <= np.abs(second - before).sum(1)
    angles = np.where(nearer[:, None], first, second)
    singular = np.hypot(m[:, 0, 0], m[:, 0, 1]) < _SINGULAR_COSINE
    if singular.any():
        angles[singular] = _at_singularity(m[singular], before[singular])
    # after several turns start again, well inside the limits of the URDF
    far = (np.abs(angles) > 1.5 * np.pi).any(1, keepdims=True)
    return _in_xyz(np.where(far, wrap_to_pi(angles), angles))


def revolute_rates(angles, angular_velocity_rad_s) -> np.ndarray:
    """
    Return the rates (23, 3) of revolute angles in rad/s.

    They are damped near the singularity, where exact rates are infinite.

    :param angles: (23, 3) of :func:`revolute_from_rotmat`.
    :param angular_velocity_rad_s: (24, 3) in the axes of the joints, as in ``Body``.
    """
    theta = _in_sequence(angles)
    omega = _in_sequence((np.asarray(angular_velocity_rad_s, np.float64) @ ROS_FROM_BODY.T)[1:])
    cos_b, sin_b = np.cos(theta[:, 1]), np.sin(theta[:, 1])
    cos_c, sin_c = np.cos(theta[:, 2]), np.sin(theta[:, 2])
    near = np.maximum(_RATE_DAMPING**2 - cos_b**2, 0.0)
    a = (cos_c * omega[:, 0] - sin_c * omega[:, 1]) * cos_b / (cos_b**2 + near)
    b = sin_c * omega[:, 0] + cos_c * omega[:, 1]
    return _in_xyz(np.stack([a, b, omega[:, 2] - sin_b * a], axis=1))


def _in_sequence(values) -> np.ndarray:
    """Return values (23, 3) about x, y, z in the sequence of the axes, signed right-handed."""
    return np.asarray(values, dtype=np.float64).ravel().take(_PLACES) * _SIGN[:, None]


def _in_xyz(values: np.ndarray) -> np.ndarray:
    """Return the inverse of :func:`_in_sequence`."""
    return (values * _SIGN[:, None]).ravel().take(_PLACES_IN_XYZ)


def _euler_angles(m: np.ndarray) -> np.ndarray:
    """Return a, b, c (n, 3) of m = Rx(a) Ry(b) Rz(c) (n, 3, 3), with b within ±90°."""
    a = np.arctan2(-m[:, 1, 2], m[:, 2, 2])
    b = np.arctan2(m[:, 0, 2], np.hypot(m[:, 0, 0], m[:, 0, 1]))
    return np.stack([a, b, np.arctan2(-m[:, 0, 1], m[:, 0, 0])], axis=1)


def _at_singularity(m: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return a, b, c (n, 3) for b = ±90°: c ± a is determined, and each takes half its change."""
    up = np.sign(m[:, 0, 2])
    total = np.arctan2(m[:, 1, 0], m[:, 1, 1])
    change = wrap_to_pi(total - (before[:, 2] + up * before[:, 0])) / 2
    b = _nearest_equivalent(up * np.pi / 2, before[:, 1])
    return np.stack([before[:, 0] + up * change, b, before[:, 2] + change], axis=1)


def _nearest_equivalent(angle, to) -> np.ndarray:
    """Return the angles, shifted by whole turns to be nearest to ``to``."""
    return to + wrap_to_pi(angle - to)


def wrap_to_pi(angle) -> np.ndarray:
    """Return angles shifted by whole turns into -π … π."""
    return angle - 2 * np.pi * np.round(np.asarray(angle) / (2 * np.pi))


def rotmat_about(axis: int, angle_rad: float) -> np.ndarray:
    """Return the rotation matrix (3, 3) about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i] = out[j, j] = np.cos(angle_rad)
    out[i, j], out[j, i] = -np.sin(angle_rad), np.sin(angle_rad)
    return out
