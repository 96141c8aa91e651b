"""
A body for robot tools: URDF text, link frames, and 23 ball joints as three revolute joints each.

Every link frame has REP-103 axes in the T-pose: x forward, y left, z up. The order in which the
three revolute joints of a ball joint follow each other is chosen so that the middle one, which
must stay off ±90°, is the one that people move least: hips and knees bend about y and elbows about
z by more than 90°, so these come first there; a shoulder lifts about x and swings about z.
"""

from __future__ import annotations

from typing import List, Tuple, Union
from xml.sax.saxutils import escape

from niki_ros.body.kinematics import global_rotmats
from niki_ros.body.rotations import quat_xyzw_from_rotmat
from niki_ros.body.skeleton import BODY_24, JOINTS_29, PARENTS_29
import numpy as np

ROS_FROM_BODY = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""REP-103 axes (x forward, y left, z up) from body axes (x left, y up, z forward)."""

_ORDER_OF = {'collar': 'xyz', 'shoulder': 'xyz', 'elbow': 'zxy', 'wrist': 'zxy', 'hand': 'zxy'}
AXIS_ORDER = tuple(_ORDER_OF.get(name.split('_')[-1], 'yxz') for name in BODY_24[1:])
"""For each of the 23 ball joints the order of its revolute joints, from parent to child."""

REVOLUTE_NAMES = tuple(f'{name}_{axis}' for name in BODY_24[1:] for axis in 'xyz')
"""The 69 revolute joints, in the order in which JointState carries them."""

_PERM = np.array([['xyz'.index(axis) for axis in order] for order in AXIS_ORDER])
# an odd permutation of the axes turns a right-handed frame into a left-handed one
_SIGN = np.array([{'xyz': 1.0, 'yzx': 1.0, 'zxy': 1.0}.get(order, -1.0) for order in AXIS_ORDER])
# the links of links_and_parents: which are carried by a revolute joint, which begin a bone
_REVOLUTE_LINK = np.arange(1, 70)
_FIRST_LINK = np.zeros(75, bool)
_FIRST_LINK[[0, *range(1, 70, 3), *range(70, 75)]] = True
_SINGULAR = 1e-6
# damping of the angle rates near ±90° of the middle joint: they stay below speed / (2 · this)
_RATE_DAMPING = 0.1
_RADIUS_M = 0.02


def link_names(prefix: str, body_id: Union[int, str]) -> List[str]:
    """Return the names of the root link and of the 29 joints' links."""
    root = f'{prefix}body_{body_id}'
    return [root] + [f'{root}_{name}' for name in JOINTS_29]


def links_and_parents(prefix: str, body_id: Union[int, str]) -> List[Tuple[str, str]]:
    """
    Return every link of the URDF but the root with its parent, parents first.

    A ball joint has three: the two between its revolute joints, and the joint's own.
    """
    names = link_names(prefix, body_id)
    pairs = []
    for joint, own in enumerate(names[1:]):
        parent = names[PARENTS_29[joint] + 1]
        for link in [f'{own}_{axis}' for axis in _between(joint)] + [own]:
            pairs.append((link, parent))
            parent = link
    return pairs


def link_transforms(angles, offsets_m):
    """
    Return the transforms of :func:`links_and_parents`, as robot_state_publisher would have them.

    :param angles: (23, 3) of the revolute joints as in JointState.
    :param offsets_m: (29, 3) ``Skeleton.offsets(betas)``; the first is the pelvis in the root
        link, which is 0 where the root link sits at the pelvis.
    :return: translations (75, 3) in metres and quaternions (75, 4) xyzw.
    """
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    half = 0.5 * np.take_along_axis(np.asarray(angles), _PERM, axis=1).ravel()
    xyz, quats = np.zeros((len(_FIRST_LINK), 3)), np.zeros((len(_FIRST_LINK), 4))
    xyz[_FIRST_LINK] = offsets
    quats[:, 3] = 1.0
    quats[_REVOLUTE_LINK, _PERM.ravel()] = np.sin(half)
    quats[_REVOLUTE_LINK, 3] = np.cos(half)
    return xyz, quats


def root_position(rotmat, root_m, offsets_m) -> np.ndarray:
    """
    Return where the root link (3,) is, in metres in camera axes.

    :param root_m: (3,) the pelvis. :param offsets_m: (29, 3) as in :func:`link_transforms`.
    """
    return np.asarray(root_m) - np.asarray(rotmat)[0] @ np.asarray(offsets_m)[0]


def root_quat_xyzw(rotmat) -> np.ndarray:
    """Return the quaternion (4,) camera axes from the root link of a body (24, 3, 3)."""
    return quat_xyzw_from_rotmat(np.asarray(rotmat)[0] @ ROS_FROM_BODY.T)


def link_poses(rotmat, offsets_m):
    """Return positions (29, 3) and rotations (29, 3, 3) of the links in the root link's frame."""
    local = np.tile(np.eye(3), (24, 1, 1))
    local[1:] = ros_rotmats(rotmat)[1:]
    turned = global_rotmats(local)
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    positions, rotations = np.zeros((29, 3)), np.tile(np.eye(3), (29, 1, 1))
    for joint in range(1, 29):
        parent = PARENTS_29[joint]
        positions[joint] = positions[parent] + rotations[parent] @ offsets[joint]
        rotations[joint] = turned[joint] if joint < 24 else rotations[parent]
    return positions, rotations


def ros_rotmats(rotmat) -> np.ndarray:
    """Return local rotations (..., 3, 3) of body axes in REP-103 axes."""
    return ROS_FROM_BODY @ np.asarray(rotmat, dtype=np.float64) @ ROS_FROM_BODY.T


def revolute_from_rotmat(rotmat, previous=None) -> np.ndarray:
    """
    Return the 23 ball joints' angles about x, y, z (23, 3) in radians.

    Of the two triples that give a rotation the one nearest to ``previous`` (23, 3) is taken, and
    at the singularity, where only a sum is determined, its change is shared; None = near zero.

    :param rotmat: (24, 3, 3) local rotations as in ``Body``.
    """
    before = np.zeros((23, 3)) if previous is None else np.asarray(previous, dtype=np.float64)
    before = np.take_along_axis(before, _PERM, axis=1) * _SIGN[:, None]
    m = ros_rotmats(rotmat)[1:]
    m = np.take_along_axis(np.take_along_axis(m, _PERM[:, :, None], 1), _PERM[:, None, :], 2)
    first = _nearest(_angles(m), before)
    second = _nearest(first * (1.0, -1.0, 1.0) + np.pi, before)
    nearer = np.abs(first - before).sum(1) <= np.abs(second - before).sum(1)
    angles = np.where(nearer[:, None], first, second)
    singular = np.hypot(m[:, 0, 0], m[:, 0, 1]) < _SINGULAR
    if singular.any():
        angles[singular] = _at_singularity(m[singular], before[singular])
    # after turns without end start again, well inside the limits of the URDF
    far = (np.abs(angles) > 1.5 * np.pi).any(1, keepdims=True)
    angles = np.where(far, wrapped(angles), angles)
    out = np.empty((23, 3))
    np.put_along_axis(out, _PERM, angles * _SIGN[:, None], axis=1)
    return out


def revolute_rates(angles, angular_velocity_rad_s) -> np.ndarray:
    """
    Return the rates (23, 3) in rad/s of the angles of :func:`revolute_from_rotmat`.

    :param angular_velocity_rad_s: (24, 3) in the joints' own axes, as in ``Body``. Near the
        singularity, where no finite rates would do, they are damped.
    """
    theta = np.take_along_axis(np.asarray(angles), _PERM, axis=1) * _SIGN[:, None]
    omega = (np.asarray(angular_velocity_rad_s, dtype=np.float64) @ ROS_FROM_BODY.T)[1:]
    omega = np.take_along_axis(omega, _PERM, axis=1) * _SIGN[:, None]
    cos_b, sin_b = np.cos(theta[:, 1]), np.sin(theta[:, 1])
    cos_c, sin_c = np.cos(theta[:, 2]), np.sin(theta[:, 2])
    near = np.maximum(_RATE_DAMPING**2 - cos_b**2, 0.0)
    a = (cos_c * omega[:, 0] - sin_c * omega[:, 1]) * cos_b / (cos_b**2 + near)
    b = sin_c * omega[:, 0] + cos_c * omega[:, 1]
    rates = np.stack([a, b, omega[:, 2] - sin_b * a], axis=1)
    out = np.empty((23, 3))
    np.put_along_axis(out, _PERM, rates * _SIGN[:, None], axis=1)
    return out


def rotmat_from_revolute(angles) -> np.ndarray:
    """Return the local rotations (24, 3, 3) in body axes; joint 0 is the identity."""
    angles = np.asarray(angles, dtype=np.float64)
    out = np.tile(np.eye(3), (24, 1, 1))
    for joint, order in enumerate(AXIS_ORDER):
        turned = np.eye(3)
        for axis in order:
            turned = turned @ about('xyz'.index(axis), angles[joint]['xyz'.index(axis)])
        out[joint + 1] = ROS_FROM_BODY.T @ turned @ ROS_FROM_BODY
    return out


def urdf_from_offsets(offsets_m, prefix: str, body_id: Union[int, str], name: str = '') -> str:
    """
    Return the URDF of one person.

    :param offsets_m: (29, 3) bones at rest as in :func:`link_transforms`, body axes.
    :param prefix: put before every link, as before every TF frame.
    :param name: of the description; empty = that of the body.
    """
    names = [escape(name, {'"': '&quot;'}) for name in link_names(prefix, body_id)]
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    children = {j: [c for c in range(1, 29) if PARENTS_29[c] == j] for j in range(29)}
    lines = ['<?xml version="1.0"?>', f'<robot name="{name or f"body_{body_id}"}">',
             f'  <link name="{names[0]}"/>']
    lines += _fixed('pelvis', names[0], names[1], offsets[0])
    for joint, name in enumerate(JOINTS_29):
        if 1 <= joint < 24:
            lines += _ball(joint, names, offsets[joint])
        elif joint >= 24:
            lines += _fixed(name, names[PARENTS_29[joint] + 1], names[joint + 1], offsets[joint])
        lines += _link(names[joint + 1], [offsets[c] for c in children[joint]])
    return '\n'.join([*lines, '</robot>', ''])


def _between(joint: int) -> str:
    """Return the axes of the links between the revolute joints of a ball joint."""
    return AXIS_ORDER[joint - 1][:2] if 1 <= joint < 24 else ''


def _ball(joint: int, names: List[str], offset) -> List[str]:
    """Return three revolute joints and the two links without extent between them."""
    name, parent = BODY_24[joint], names[PARENTS_29[joint] + 1]
    lines = []
    for step, axis in enumerate(AXIS_ORDER[joint - 1]):
        child = names[joint + 1] if step == 2 else f'{names[joint + 1]}_{axis}'
        unit = ' '.join('1' if axis == one else '0' for one in 'xyz')
        xyz = xyz_text(offset) if step == 0 else '0 0 0'
        lines += [
            f'  <joint name="{name}_{axis}" type="revolute">',
            f'    <origin xyz="{xyz}" rpy="0 0 0"/>',
            f'    <parent link="{parent}"/>', f'    <child link="{child}"/>',
            f'    <axis xyz="{unit}"/>',
            '    <limit lower="-6.283185307" upper="6.283185307" effort="1000" velocity="100"/>',
            '  </joint>']
        if step < 2:
            lines.append(f'  <link name="{child}"/>')
        parent = child
    return lines


def _fixed(name: str, parent: str, child: str, offset) -> List[str]:
    """Return a joint that does not move."""
    return [f'  <joint name="{name}" type="fixed">',
            f'    <origin xyz="{xyz_text(offset)}" rpy="0 0 0"/>',
            f'    <parent link="{parent}"/>', f'    <child link="{child}"/>', '  </joint>']


def _link(name: str, bones) -> List[str]:
    """Return a link with a cylinder for every bone that starts in it."""
    lines = [f'  <link name="{name}">']
    for bone in bones:
        length = float(np.linalg.norm(bone))
        if length > 1e-6:
            roll_pitch = (0.0, np.arccos(np.clip(bone[2] / length, -1, 1)),
                          np.arctan2(bone[1], bone[0]))
            lines.append(
                f'    <visual><origin xyz="{xyz_text(bone / 2)}" '
                f'rpy="{xyz_text(roll_pitch)}"/><geometry>'
                f'<cylinder radius="{_RADIUS_M}" length="{length:.6f}"/></geometry></visual>')
    lines.append('    <visual><geometry>'
                 f'<sphere radius="{1.3 * _RADIUS_M:.3f}"/></geometry></visual>')
    return [*lines, '  </link>']


def xyz_text(vector) -> str:
    """Return the attribute of an origin or an axis."""
    return ' '.join(f'{value:.9g}' for value in vector)


def _angles(m) -> np.ndarray:
    """Return a, b, c (..., 3) of m = Rx(a) Ry(b) Rz(c), with b within ±90°."""
    a = np.arctan2(-m[:, 1, 2], m[:, 2, 2])
    b = np.arctan2(m[:, 0, 2], np.hypot(m[:, 0, 0], m[:, 0, 1]))
    return np.stack([a, b, np.arctan2(-m[:, 0, 1], m[:, 0, 0])], axis=1)


def _at_singularity(m, before) -> np.ndarray:
    """Return a, b, c where b = ±90°: only c ± a is known; both take half of its change."""
    up = np.sign(m[:, 0, 2])
    total = np.arctan2(m[:, 1, 0], m[:, 1, 1])
    change = wrapped(total - (before[:, 2] + up * before[:, 0])) / 2
    b = _nearest(up * np.pi / 2, before[:, 1])
    return np.stack([before[:, 0] + up * change, b, before[:, 2] + change], axis=1)


def _nearest(angle, to) -> np.ndarray:
    """Return the angles, whole turns away, that are nearest to ``to``."""
    return to + wrapped(angle - to)


def wrapped(angle) -> np.ndarray:
    """Return angles in -π … π."""
    return angle - 2 * np.pi * np.round(np.asarray(angle) / (2 * np.pi))


def about(axis: int, angle: float) -> np.ndarray:
    """Return the rotation (3, 3) about a coordinate axis."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.eye(3)
    out[i, i] = out[j, j] = np.cos(angle)
    out[i, j], out[j, i] = -np.sin(angle), np.sin(angle)
    return out
