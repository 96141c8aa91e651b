"""
Angles of the 20 joints of human_description (REP-155) for a pose, never clamped to its limits.

Where a limb is nearly straight, its plane and so its twist are taken from the rotation of its
first joint.
"""

from niki_ros.body.skeleton import JOINT
from niki_ros.robot_model.revolute_joints import rotmat_about, wrap_to_pi
import numpy as np

SIDES = (('l', 'left', 1.0), ('r', 'right', -1.0))
"""Prefix of REP-155, prefix of our joints, and the sign of the mirrored axes."""

_ARM_LIMITS_RAD = ((-1.1, 1.9), (-0.4, 3.3), (-1.7, 1.5), (0.0, 2.5))
_LEG_LIMITS_RAD = ((-0.1, 0.6), (-0.4, 3.3), (-0.4, 0.7), (-2.5, 0.0))
LIMITS_RAD = np.array([(-0.2, 1.0), (-1.0, 1.0), (-1.4, 1.4), (-1.5, 1.5),
                       *_ARM_LIMITS_RAD, *_ARM_LIMITS_RAD, *_LEG_LIMITS_RAD, *_LEG_LIMITS_RAD])
"""Lower and upper limits (20, 2) of the joints in human_description."""

# sine of the bend below which a limb is straight: its plane would be noise
_MIN_BEND_SINE = 2e-3
_CLEAR_BEND_RAD = 0.35
_SINGULAR_SINE = 1e-6
# of two solutions for a rotation: cost of a radian of change since the last image, where a radian
# outside of the limits costs 1
_CHANGE_COST = 0.1


def human_angles(points_m, rotmats, rest_pitch_rad: float, previous=None) -> np.ndarray:
    """
    Return the angles (20,) in radians, in the order of ``human_description.JOINT_NAMES``.

    :param points_m: (29, 3) joints, and :param rotmats: (29, 3, 3) their rotations, both in the
        frame of the body, REP-103 axes.
    :param rest_pitch_rad: :func:`chest_pitch_rad` of the T-pose.
    :param previous: (20,) of the last image, for continuity where an angle is not determined.
    """
    before = np.zeros(20) if previous is None else np.asarray(previous, dtype=np.float64)
    change_cost = 0.0 if previous is None else _CHANGE_COST
    angles = np.empty(20)
    angles[0] = wrap_to_pi(chest_pitch_rad(points_m) - rest_pitch_rad)
    torso = rotmat_about(1, angles[0])
    angles[1:4] = _ball_joint(torso.T @ rotmats[JOINT['head']], 'xzy', np.array([1.0, 1.0, -1.0]),
                              LIMITS_RAD[1:4], before[1:4], change_cost)
    for index, (_, side, sign) in enumerate(SIDES):
        arm = slice(4 + 4 * index, 8 + 4 * index)
        chain = [JOINT[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist')]
        # in the T-pose the elbow bends about the vertical
        hinge = torso.T @ rotmats[chain[0]] @ np.array([0.0, 0.0, sign])
        angles[arm] = _limb(points_m[chain] @ torso, hinge, sign, 'arm', before[arm], change_cost)
        leg = slice(12 + 4 * index, 16 + 4 * index)
        chain = [JOINT[f'{side}_{name}'] for name in ('hip', 'knee', 'ankle')]
        hinge = rotmats[chain[0]] @ np.array([0.0, 1.0, 0.0])
        angles[leg] = _limb(points_m[chain], hinge, sign, 'leg', before[leg], change_cost)
    return angles


def chest_m(points_m) -> np.ndarray:
    """Return the vector (3,) from midway between the hips to midway between the shoulders."""
    left, right = points_m[JOINT['left_shoulder']], points_m[JOINT['right_shoulder']]
    return 0.5 * (left + right - points_m[JOINT['left_hip']] - points_m[JOINT['right_hip']])


def chest_pitch_rad(points_m) -> float:
    """Return the angle by which :func:`chest_m` leans forward."""
    vector = chest_m(points_m)
    return float(np.arctan2(vector[0], vector[2]))


def _limb(points, hinge_axis, sign, kind, before, change_cost) -> np.ndarray:
    """
    Return the four angles of a limb from its joints (3, 3) in the axes of its parent, metres.

    :param hinge_axis: (3,) axis of the elbow or knee by the rotation of the first joint.
    """
    upper, lower = (_unit(points[1] - points[0]), _unit(points[2] - points[1]))
    normal = np.cross(lower, upper)
    sine = float(np.linalg.norm(normal))
    if sine > _MIN_BEND_SINE:
        # an elbow or knee with a clear bend is flexed; a nearly straight one may be overextended
        is_clear = np.arctan2(sine, upper @ lower) > _CLEAR_BEND_RAD
        forward = kind == 'arm' if is_clear else normal @ hinge_axis >= 0.0
        axis = normal / sine * (1.0 if forward else -1.0)
    else:
        axis = _unit(hinge_axis - (hinge_axis @ upper) * upper)
    link = np.stack([np.cross(upper, axis), axis, -upper], axis=1)
    flexion = np.arctan2(normal @ axis, upper @ lower)
    order, to_joint, limits = (
        ('zxz', np.array([-sign, sign, sign]), LIMITS_RAD[4:7]) if kind == 'arm'
        else ('zxy', np.array([-1.0, sign, -1.0]), LIMITS_RAD[12:15]))
    return np.append(_ball_joint(link, order, to_joint, limits, before[:3], change_cost), flexion)


def _ball_joint(rotation, order, to_joint, limits, before, change_cost) -> np.ndarray:
    """
    Return the three angles (3,) of a ball joint from its rotation (3, 3) in its parent.

    Of both solutions it is that with the lower cost: beyond the limits, and of change.

    :param order: of the axes of rotation. :param to_joint: sign of each angle in the model.
    """
    solutions = _zxz(rotation, before * to_joint) if order == 'zxz' else _tait_bryan(
        rotation, order, before * to_joint)
    centre = limits.mean(axis=1)
    costs, inside = [], [centre + wrap_to_pi(one * to_joint - centre) for one in solutions]
    for angles in inside:
        outside = np.maximum(limits[:, 0] - angles, 0.0) + np.maximum(angles - limits[:, 1], 0.0)
        costs.append(outside.sum() + change_cost * np.abs(angles - before).sum())
    return inside[int(np.argmin(costs))]


def _zxz(m, before):
    """Return both solutions a, b, c of m = Rz(a) Rx(b) Rz(c)."""
    sine = np.hypot(m[2, 0], m[2, 1])
    if sine < _SINGULAR_SINE:
        # only the sum of a and c is determined: a keeps its value
        up = 1.0 if m[2, 2] > 0 else -1.0
        a = before[0]
        c = up * (np.arctan2(m[1, 0], m[0, 0]) - a)
        return [np.array([a, 0.0 if up > 0 else np.pi, c])]
    first = np.array([np.arctan2(m[0, 2], -m[1, 2]), np.arctan2(sine, m[2, 2]),
                      np.arctan2(m[2, 0], m[2, 1])])
    return [first, first * (1.0, -1.0, 1.0) + (np.pi, 0.0, np.pi)]


def _tait_bryan(m, order, before):
    """Return both solutions a, b, c of m = R(a) R(b) R(c) about the three axes of ``order``."""
    axes = ['xyz'.index(axis) for axis in order]
    sign = float(np.linalg.det(np.eye(3)[axes]))
    q = m[np.ix_(axes, axes)]
    cosine = np.hypot(q[0, 0], q[0, 1])
    b = np.arctan2(q[0, 2], cosine)
    if cosine < _SINGULAR_SINE:
        up = np.sign(b)
        a = before[0] * sign
        return [np.array([a, b, np.arctan2(q[1, 0], q[1, 1]) - up * a]) * sign]
    first = np.array([np.arctan2(-q[1, 2], q[2, 2]), b, np.arctan2(-q[0, 1], q[0, 0])])
    return [first * sign, (first * (1.0, -1.0, 1.0) + np.pi) * sign]


def _unit(vector) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
