"""
URDF and link transforms of a body, whose ball joints are three revolute joints each.

The axes of every link are those of REP-103 in the T-pose: x forward, y left, z up.
"""

from typing import List, Tuple, Union
from xml.sax.saxutils import escape

from niki_ros.body.kinematics import global_rotmats
from niki_ros.body.rotations import quat_xyzw_from_rotmat
from niki_ros.body.skeleton import BODY_24, JOINTS_29, PARENTS_29
from niki_ros.robot_model.revolute_joints import (
    AXIS_INDICES,
    AXIS_ORDER,
    ROS_FROM_BODY,
    ros_rotmats,
)
import numpy as np

REVOLUTE_NAMES = tuple(f'{name}_{axis}' for name in BODY_24[1:] for axis in 'xyz')
"""The 69 revolute joints in the order of JointState."""

# rows of links_and_parents: the children of revolute joints, and the first link of every bone
_REVOLUTE_ROWS = np.arange(1, 70)
_IS_BONE_START = np.zeros(75, bool)
_IS_BONE_START[[0, *range(1, 70, 3), *range(70, 75)]] = True
_BONE_RADIUS_M, _JOINT_RADIUS_M = 0.02, 0.026
_MIN_BONE_LENGTH_M = 1e-6


def link_names(prefix: str, body_id: Union[int, str]) -> List[str]:
    """Return the names (30) of the root link and of the links of the 29 joints."""
    root = f'{prefix}body_{body_id}'
    return [root] + [f'{root}_{name}' for name in JOINTS_29]


def links_and_parents(prefix: str, body_id: Union[int, str]) -> List[Tuple[str, str]]:
    """
    Return the pairs (link, parent) of the 75 links of the URDF below the root, parents first.

    A ball joint has three links: the two between its revolute joints, and that of the joint.
    """
    names = link_names(prefix, body_id)
    pairs = []
    for joint, own in enumerate(names[1:]):
        parent = names[PARENTS_29[joint] + 1]
        intermediate_axes = AXIS_ORDER[joint - 1][:2] if 1 <= joint < 24 else ''
        for link in [f'{own}_{axis}' for axis in intermediate_axes] + [own]:
            pairs.append((link, parent))
            parent = link
    return pairs


def link_transforms(angles, offsets_m):
    """
    Return the transforms of :func:`links_and_parents` as robot_state_publisher computes them.

    :param angles: (23, 3) of the revolute joints about x, y, z, radians.
    :param offsets_m: (29, 3) ``Skeleton.offsets(betas)``, body axes; the first row is the pelvis
        in the root link, 0 where the root link is at the pelvis.
    :return: translations (75, 3) in metres and quaternions (75, 4) xyzw, link in parent.
    """
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    half = 0.5 * np.take_along_axis(np.asarray(angles), AXIS_INDICES, axis=1).ravel()
    xyz, quats = np.zeros((len(_IS_BONE_START), 3)), np.zeros((len(_IS_BONE_START), 4))
    xyz[_IS_BONE_START] = offsets
    quats[:, 3] = 1.0
    quats[_REVOLUTE_ROWS, AXIS_INDICES.ravel()] = np.sin(half)
    quats[_REVOLUTE_ROWS, 3] = np.cos(half)
    return xyz, quats


def root_position(rotmat, root_m, offsets_m) -> np.ndarray:
    """
    Return the position of the root link (3,) in metres in camera axes.

    :param rotmat: (24, 3, 3) local rotations as in ``Body``. :param root_m: (3,) the pelvis.
    :param offsets_m: (29, 3) as in :func:`link_transforms`.
    """
    return np.asarray(root_m) - np.asarray(rotmat)[0] @ np.asarray(offsets_m)[0]


def root_quat_xyzw(rotmat) -> np.ndarray:
    """Return the quaternion (4,) of the root link in camera axes, from rotations (24, 3, 3)."""
    return quat_xyzw_from_rotmat(np.asarray(rotmat)[0] @ ROS_FROM_BODY.T)


def link_poses(rotmat, offsets_m):
    """
    Return the poses of the links of the joints in the root link.

    :param rotmat: (24, 3, 3) local rotations as in ``Body``; the first is not used.
    :param offsets_m: (29, 3) as in :func:`link_transforms`.
    :return: positions (29, 3) in metres and rotation matrices (29, 3, 3).
    """
    local = np.tile(np.eye(3), (24, 1, 1))
    local[1:] = ros_rotmats(rotmat)[1:]
    global_rotations = global_rotmats(local)
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    positions, rotations = np.zeros((29, 3)), np.tile(np.eye(3), (29, 1, 1))
    for joint in range(1, 29):
        parent = PARENTS_29[joint]
        positions[joint] = positions[parent] + rotations[parent] @ offsets[joint]
        rotations[joint] = global_rotations[joint] if joint < 24 else rotations[parent]
    return positions, rotations


def urdf_from_offsets(offsets_m, prefix: str, body_id: Union[int, str], name: str = '') -> str:
    """
    Return the URDF of one body.

    :param offsets_m: (29, 3) as in :func:`link_transforms`.
    :param prefix: of every link, as of every TF frame.
    :param name: of the robot; empty = that of the body.
    """
    names = [escape(name, {'"': '&quot;'}) for name in link_names(prefix, body_id)]
    offsets = np.asarray(offsets_m) @ ROS_FROM_BODY.T
    children = {j: [c for c in range(1, 29) if PARENTS_29[c] == j] for j in range(29)}
    lines = ['<?xml version="1.0"?>', f'<robot name="{name or f"body_{body_id}"}">',
             f'  <link name="{names[0]}"/>']
    lines += joint_xml('pelvis', names[0], names[1], offsets[0])
    for joint, name in enumerate(JOINTS_29):
        parent, own = names[PARENTS_29[joint] + 1], names[joint + 1]
        if 1 <= joint < 24:
            lines += _ball_joint_xml(joint, parent, own, offsets[joint])
        elif joint >= 24:
            lines += joint_xml(name, parent, own, offsets[joint])
        lines += _link_xml(own, [offsets[c] for c in children[joint]])
    return '\n'.join([*lines, '</robot>', ''])


def _ball_joint_xml(joint: int, parent: str, own: str, offset) -> List[str]:
    """Return the lines of three revolute joints and of the two links without extent between."""
    lines: List[str] = []
    for step, axis in enumerate(AXIS_ORDER[joint - 1]):
        child = own if step == 2 else f'{own}_{axis}'
        lines += joint_xml(
            f'{BODY_24[joint]}_{axis}', parent, child, np.zeros(3) if step else offset,
            f'    <axis xyz="{vector_text(np.eye(3)["xyz".index(axis)])}"/>',
            '    <limit lower="-6.283185307" upper="6.283185307" effort="1000" velocity="100"/>')
        if step < 2:
            lines.append(f'  <link name="{child}"/>')
        parent = child
    return lines


def _link_xml(name: str, bones) -> List[str]:
    """Return the lines of a link with a cylinder for every bone that starts in it."""
    lines = [f'  <link name="{name}">']
    for bone in bones:
        length = float(np.linalg.norm(bone))
        if length > _MIN_BONE_LENGTH_M:
            roll_pitch = (0.0, np.arccos(np.clip(bone[2] / length, -1, 1)),
                          np.arctan2(bone[1], bone[0]))
            lines.append(
                f'    <visual><origin xyz="{vector_text(bone / 2)}" '
                f'rpy="{vector_text(roll_pitch)}"/><geometry>'
                f'<cylinder radius="{_BONE_RADIUS_M}" length="{length:.6f}"/></geometry></visual>')
    lines.append('    <visual><geometry>'
                 f'<sphere radius="{_JOINT_RADIUS_M:.3f}"/></geometry></visual>')
    return [*lines, '  </link>']


def joint_xml(name: str, parent: str, child: str, xyz_m, *revolute: str) -> List[str]:
    """Return the lines of a joint; ``revolute`` are the lines of axis and limits, if it turns."""
    return [f'  <joint name="{name}" type="{"revolute" if revolute else "fixed"}">',
            f'    <origin xyz="{vector_text(xyz_m)}" rpy="0 0 0"/>',
            f'    <parent link="{parent}"/>', f'    <child link="{child}"/>', *revolute,
            '  </joint>']


def vector_text(vector) -> str:
    """Return a vector as the text of an XML attribute."""
    return ' '.join(f'{value:.9g}' for value in vector)
