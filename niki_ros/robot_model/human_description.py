"""
The model of REP-155 (ROS4HRI) for a body: the 20 revolute joints of the package human_description.

The model represents exactly the directions of upper arms, forearms, thighs and shanks in the frame
of the body, and the rotation of the head. Its waist only bends forward, its chest is rigid, elbows
and knees are hinges: it does not represent the lateral bend and twist of the chest, shrugged
shoulders, wrists, ankles, and the twist of a forearm.
"""

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

from niki_ros.body.skeleton import JOINT
from niki_ros.robot_model.human_angles import (
    chest_m,
    chest_pitch_rad,
    human_angles,
    LIMITS_RAD,
    SIDES,
)
from niki_ros.robot_model.urdf import joint_xml, link_poses, vector_text
import numpy as np

_LIMB = ('{0}_y_{1}', '{0}_p_{1}', '{0}_r_{1}', '{0}_{2}')
JOINT_NAMES = ('waist', 'r_head', 'y_head', 'p_head') + tuple(
    name.format(side, root, hinge) for root, hinge in (('shoulder', 'elbow'), ('hip', 'knee'))
    for side in ('l', 'r') for name in _LIMB)
"""The 20 joints; in messages ``_<id>`` follows each name."""

# axis, sign, and whether the right side is mirrored, of the four joints of a limb
_ARM_AXES = (('z', -1, True), ('x', 1, True), ('z', 1, True), ('y', -1, False))
_LEG_AXES = (('z', -1, False), ('x', 1, True), ('y', -1, False), ('y', -1, False))


class Link(NamedTuple):
    """One link of the model; names are without the id."""

    name: str
    parent: str
    joint: str  # between parent and link
    axis: Optional[np.ndarray]  # (3,) of the joint; None = it is fixed
    xyz_m: np.ndarray  # (3,) in the frame of the parent


@dataclass(frozen=True)
class HumanModel:
    """The model with the bone lengths of one body."""

    links: Tuple[Link, ...]
    hips_m: np.ndarray  # (3,) midpoint of the hips from the pelvis, REP-103 axes; the root link
    offsets_m: np.ndarray  # (29, 3) bones at rest, body axes; row 0 is 0
    rest_pitch_rad: float  # pitch of the chest in the T-pose

    def angles(self, rotmat, previous=None) -> np.ndarray:
        """
        Return the angles (20,) of a pose in radians.

        :param rotmat: (24, 3, 3) local rotations as in ``Body``.
        :param previous: (20,) of the last image, for continuity where an angle is not determined.
        """
        points_m, rotmats = link_poses(rotmat, self.offsets_m)
        return human_angles(points_m, rotmats, self.rest_pitch_rad, previous)

    def transforms(self, angles):
        """Return translations (n, 3), metres, and quaternions (n, 4) xyzw, link in parent."""
        value = dict(zip(JOINT_NAMES, angles))
        quats = np.zeros((len(self.links), 4))
        quats[:, 3] = 1.0
        for row, link in zip(quats, self.links):
            if link.axis is not None:
                half = 0.5 * value[link.joint]
                row[:3], row[3] = np.sin(half) * link.axis, np.cos(half)
        return np.array([link.xyz_m for link in self.links]), quats


def human_model(offsets_m) -> HumanModel:
    """Return the model for ``Skeleton.offsets(betas)`` (29, 3), body axes; row 0 is not used."""
    offsets_m = np.array(offsets_m, dtype=np.float64)
    offsets_m[0] = 0.0
    rest, _ = link_poses(np.tile(np.eye(3), (24, 1, 1)), offsets_m)
    hips = 0.5 * (rest[JOINT['left_hip']] + rest[JOINT['right_hip']])
    chest = chest_m(rest)
    size = np.linalg.norm(offsets_m, axis=1)
    radius = 0.5 * size[JOINT['head_top']]
    neck = rest[JOINT['head']] - hips - chest
    links = [
        Link('waist', 'body', 'waist', _axis('y'), np.zeros(3)),
        Link('torso', 'waist', 'torso', None, chest),
        Link('r_head', 'torso', 'r_head', _axis('x'), neck),
        Link('y_head', 'r_head', 'y_head', _axis('z'), np.zeros(3)),
        Link('p_head', 'y_head', 'p_head', -_axis('y'), np.zeros(3)),
        Link('head', 'p_head', 'head', None, np.array([0.5 * radius, 0.0, radius]))]
    for short, side, sign in SIDES:
        lengths = size[[JOINT[f'{side}_elbow'], JOINT[f'{side}_wrist']]]
        at = rest[JOINT[f'{side}_shoulder']] - hips - chest
        links += _limb_links(short, ('shoulder', 'elbow', 'wrist'), 'torso', at, lengths,
                             _ARM_AXES, sign)
        lengths = size[[JOINT[f'{side}_knee'], JOINT[f'{side}_ankle']]]
        links += _limb_links(short, ('hip', 'knee', 'ankle'), 'body',
                             rest[JOINT[f'{side}_hip']] - hips, lengths, _LEG_AXES, sign)
    return HumanModel(tuple(links), hips, offsets_m, chest_pitch_rad(rest))


def offsets_from_hips(offsets_m) -> np.ndarray:
    """
    Return the bones (29, 3) for the root link of REP-155, midway between the hips.

    :param offsets_m: (29, 3) ``Skeleton.offsets(betas)``, body axes; row 0 of the result is the
        position of the pelvis in the root link.
    """
    offsets_m = np.array(offsets_m, dtype=np.float64)
    offsets_m[0] = -0.5 * (offsets_m[JOINT['left_hip']] + offsets_m[JOINT['right_hip']])
    return offsets_m


def human_urdf(model: HumanModel, label: str, name: str = 'human') -> str:
    """Return the URDF: names, axes and limits of human_description, with the bone lengths."""
    limits = dict(zip(JOINT_NAMES, LIMITS_RAD))
    lines = ['<?xml version="1.0"?>', f'<robot name="{name}">', f'  <link name="body_{label}"/>']
    for link in model.links:
        revolute = []
        if link.axis is not None:
            low, high = limits[link.joint]
            # the velocity limit of the template, 0.5 rad/s, is below that of people
            revolute = [
                f'    <axis xyz="{vector_text(link.axis)}"/>',
                f'    <limit lower="{low:g}" upper="{high:g}" effort="1000" velocity="100"/>']
        lines += joint_xml(f'{link.joint}_{label}', f'{link.parent}_{label}',
                           f'{link.name}_{label}', link.xyz_m, *revolute)
        lines += _visual(link, model, label)
    return '\n'.join([*lines, '</robot>', ''])


def beyond_limits(angles) -> Dict[str, float]:
    """Return name → angle in radians of the joints outside of the limits, from angles (20,)."""
    angles = np.asarray(angles)
    outside = (angles < LIMITS_RAD[:, 0]) | (angles > LIMITS_RAD[:, 1])
    return {JOINT_NAMES[index]: float(angles[index]) for index in np.flatnonzero(outside)}


def joint_names(label: str) -> List[str]:
    """Return the joint names (20) in a JointState of the body with this id."""
    return [f'{name}_{label}' for name in JOINT_NAMES]


def _visual(link: Link, model: HumanModel, label: str) -> List[str]:
    """Return the lines of a link with a cylinder to each child, or a sphere for the head."""
    shapes = []
    if link.name == 'head':
        shapes.append((np.zeros(3), f'<sphere radius="{max(link.xyz_m[2], 0.01):.4f}"/>'))
    for child in model.links:
        length = -float(child.xyz_m[2])
        if child.parent == link.name and link.name != 'torso' and length > 1e-6:
            shapes.append((0.5 * child.xyz_m, f'<cylinder radius="0.03" length="{length:.6f}"/>'))
    return [f'  <link name="{link.name}_{label}">', *(
        f'    <visual><origin xyz="{vector_text(at)}" rpy="0 0 0"/><geometry>{shape}</geometry>'
        '</visual>' for at, shape in shapes), '  </link>']


def _limb_links(short, names, parent, at_m, lengths_m, axes, sign) -> List[Link]:
    """Return the five links of an arm or a leg; ``at_m`` (3,) is the first joint in its parent."""
    root, hinge, end = names
    # the link after the third joint has the name of the joint without axis
    links = [f'{short}_y_{root}', f'{short}_p_{root}', f'{short}_{root}', f'{short}_{hinge}']
    joints = [name.format(short, root, hinge) for name in _LIMB]
    positions = [at_m, np.zeros(3), np.zeros(3), np.array([0.0, 0.0, -lengths_m[0]])]
    found = []
    for link, joint, position, (axis, direction, mirrored) in zip(links, joints, positions, axes):
        signed_axis = direction * _axis(axis) * (sign if mirrored else 1.0)
        found.append(Link(link, parent, joint, signed_axis, position))
        parent = link
    tip = f'{short}_{end}'
    return [*found, Link(tip, parent, tip, None, np.array([0.0, 0.0, -lengths_m[1]]))]


def _axis(name: str) -> np.ndarray:
    return np.eye(3)['xyz'.index(name)]
