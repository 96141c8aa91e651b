"""
A body as REP-155 (ROS4HRI) has it: the 20 revolute joints of the package human_description.

That model has a waist that only bends forward, a rigid chest, hinges for elbows and knees, and no
hands or feet. What it can express is exact: the directions of upper arms, forearms, thighs and
shanks in the body's frame, and the rotation of the head. What it cannot is lost: leaning and
turning of the chest against the pelvis, shrugged shoulders, wrists, ankles, and the twist of a
forearm. Where the whole limb is nearly straight its twist is the solver's own.

Angles are true, never clamped; :func:`beyond_limits` says which ones the model would not allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

from niki_ros.body.skeleton import JOINT
from niki_ros.robot_model.urdf import about, link_poses, wrapped, xyz_text
import numpy as np

_LIMB = ('{0}_y_{1}', '{0}_p_{1}', '{0}_r_{1}', '{0}_{2}')
JOINT_NAMES = ('waist', 'r_head', 'y_head', 'p_head') + tuple(
    name.format(side, root, hinge) for root, hinge in (('shoulder', 'elbow'), ('hip', 'knee'))
    for side in ('l', 'r') for name in _LIMB)
"""The 20 joints; in messages each is followed by ``_<id>``."""

_ARM_LIMITS = ((-1.1, 1.9), (-0.4, 3.3), (-1.7, 1.5), (0.0, 2.5))
_LEG_LIMITS = ((-0.1, 0.6), (-0.4, 3.3), (-0.4, 0.7), (-2.5, 0.0))
LIMITS_RAD = np.array([(-0.2, 1.0), (-1.0, 1.0), (-1.4, 1.4), (-1.5, 1.5),
                       *_ARM_LIMITS, *_ARM_LIMITS, *_LEG_LIMITS, *_LEG_LIMITS])
"""Lower and upper limit (20, 2) that human_description gives its joints."""

# axes of a limb's four joints; the mirrored ones change their sign on the right
_ARM_AXES = (('z', -1, True), ('x', 1, True), ('z', 1, True), ('y', -1, False))
_LEG_AXES = (('z', -1, False), ('x', 1, True), ('y', -1, False), ('y', -1, False))
_SIDES = (('l', 'left', 1.0), ('r', 'right', -1.0))
# sine of the bend below which a limb is straight: its plane would be noise
_STRAIGHT = 2e-3
_CLEARLY_BENT_RAD = 0.35
_SINGULAR = 1e-6
# of two triples that give one rotation: a radian outside the limits weighs as much as this many
# radians of change since the last frame
_LOYALTY = 0.1


class Link(NamedTuple):
    """
    One link of the model, without the id.

    :ivar joint: name of the joint that carries it; ``axis`` None = that joint is fixed.
    :ivar xyz_m: (3,) where it sits in its parent's frame.
    """

    name: str
    parent: str
    joint: str
    axis: Optional[np.ndarray]
    xyz_m: np.ndarray


@dataclass(frozen=True)
class HumanModel:
    """
    The model with the lengths of one person.

    :ivar hips_m: (3,) midway between the hips from the pelvis, REP-103 axes: where REP-155 has the
        body's frame.
    :ivar upright_rad: by how much the shoulders lie before the hips in the T-pose, as an angle.
    """

    links: Tuple[Link, ...]
    hips_m: np.ndarray
    offsets_m: np.ndarray
    upright_rad: float

    def angles(self, rotmat, previous=None) -> np.ndarray:
        """
        Return the 20 angles of a pose, radians.

        :param rotmat: (24, 3, 3) local rotations as in ``Body``.
        :param previous: (20,) of the last frame, for continuity where an angle is not determined.
        """
        points, turned = link_poses(rotmat, self.offsets_m)
        before = np.zeros(20) if previous is None else np.asarray(previous, dtype=np.float64)
        loyal = 0.0 if previous is None else _LOYALTY
        out = np.empty(20)
        out[0] = wrapped(_pitch(_chest(points)) - self.upright_rad)
        torso = about(1, out[0])
        out[1:4] = _head(torso.T @ turned[JOINT['head']], before[1:4], loyal)
        for index, (_, side, sign) in enumerate(_SIDES):
            arm = slice(4 + 4 * index, 8 + 4 * index)
            chain = [JOINT[f'{side}_{name}'] for name in ('shoulder', 'elbow', 'wrist')]
            # with the arm out to the side the elbow bends about the vertical
            hinge = torso.T @ turned[chain[0]] @ np.array([0.0, 0.0, sign])
            out[arm] = _limb(points[chain] @ torso, hinge, sign, 'arm', before[arm], loyal)
            leg = slice(12 + 4 * index, 16 + 4 * index)
            chain = [JOINT[f'{side}_{name}'] for name in ('hip', 'knee', 'ankle')]
            hinge = turned[chain[0]] @ np.array([0.0, 1.0, 0.0])
            out[leg] = _limb(points[chain], hinge, sign, 'leg', before[leg], loyal)
        return out

    def transforms(self, angles):
        """Return translations (n, 3) and quaternions (n, 4) xyzw of the links in their parents."""
        value = dict(zip(JOINT_NAMES, angles))
        quats = np.zeros((len(self.links), 4))
        quats[:, 3] = 1.0
        for row, link in zip(quats, self.links):
            if link.axis is not None:
                half = 0.5 * value[link.joint]
                row[:3], row[3] = np.sin(half) * link.axis, np.cos(half)
        return np.array([link.xyz_m for link in self.links]), quats


def human_model(offsets_m) -> HumanModel:
    """
    Return the model of a person.

    :param offsets_m: (29, 3) ``Skeleton.offsets(betas)``, body axes; the first is not used.
    """
    offsets_m = np.array(offsets_m, dtype=np.float64)
    offsets_m[0] = 0.0
    rest, _ = link_poses(np.tile(np.eye(3), (24, 1, 1)), offsets_m)
    hips = 0.5 * (rest[JOINT['left_hip']] + rest[JOINT['right_hip']])
    chest = _chest(rest)
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
    for short, side, sign in _SIDES:
        lengths = size[[JOINT[f'{side}_elbow'], JOINT[f'{side}_wrist']]]
        at = rest[JOINT[f'{side}_shoulder']] - hips - chest
        links += _limb_links(short, ('shoulder', 'elbow', 'wrist'), 'torso', at, lengths,
                             _ARM_AXES, sign)
        lengths = size[[JOINT[f'{side}_knee'], JOINT[f'{side}_ankle']]]
        links += _limb_links(short, ('hip', 'knee', 'ankle'), 'body',
                             rest[JOINT[f'{side}_hip']] - hips, lengths, _LEG_AXES, sign)
    return HumanModel(tuple(links), hips, offsets_m, _pitch(chest))


def offsets_from_hips(offsets_m) -> np.ndarray:
    """
    Return the bones (29, 3) of a body whose root link is where REP-155 has it.

    Midway between the hips; the first of the offsets is then the pelvis from there, body axes.
    """
    offsets_m = np.array(offsets_m, dtype=np.float64)
    offsets_m[0] = -0.5 * (offsets_m[JOINT['left_hip']] + offsets_m[JOINT['right_hip']])
    return offsets_m


def human_urdf(model: HumanModel, label: str, name: str = 'human') -> str:
    """Return the URDF of a person: names, axes and limits of human_description, own lengths."""
    limits = dict(zip(JOINT_NAMES, LIMITS_RAD))
    lines = ['<?xml version="1.0"?>', f'<robot name="{name}">', f'  <link name="body_{label}"/>']
    for link in model.links:
        kind = 'fixed' if link.axis is None else 'revolute'
        lines += [f'  <joint name="{link.joint}_{label}" type="{kind}">',
                  f'    <origin xyz="{xyz_text(link.xyz_m)}" rpy="0 0 0"/>',
                  f'    <parent link="{link.parent}_{label}"/>',
                  f'    <child link="{link.name}_{label}"/>']
        if link.axis is not None:
            low, high = limits[link.joint]
            # the template's own 0.5 rad/s is slower than anybody moves
            lines += [f'    <axis xyz="{xyz_text(link.axis)}"/>',
                      f'    <limit lower="{low:g}" upper="{high:g}" effort="1000" '
                      'velocity="100"/>']
        lines += ['  </joint>', *_visual(link, model, label)]
    return '\n'.join([*lines, '</robot>', ''])


def beyond_limits(angles) -> Dict[str, float]:
    """Return the angles, by the names of their joints, that human_description does not allow."""
    angles = np.asarray(angles)
    outside = (angles < LIMITS_RAD[:, 0]) | (angles > LIMITS_RAD[:, 1])
    return {JOINT_NAMES[index]: float(angles[index]) for index in np.flatnonzero(outside)}


def joint_names(label: str) -> List[str]:
    """Return the names in a JointState of the body with this id."""
    return [f'{name}_{label}' for name in JOINT_NAMES]


def _visual(link: Link, model: HumanModel, label: str) -> List[str]:
    """Return a link with a cylinder to what hangs below it, and a sphere for the head."""
    shapes = []
    if link.name == 'head':
        shapes.append((np.zeros(3), f'<sphere radius="{max(link.xyz_m[2], 0.01):.4f}"/>'))
    for child in model.links:
        length = -float(child.xyz_m[2])
        if child.parent == link.name and link.name != 'torso' and length > 1e-6:
            shapes.append((0.5 * child.xyz_m, f'<cylinder radius="0.03" length="{length:.6f}"/>'))
    return [f'  <link name="{link.name}_{label}">', *(
        f'    <visual><origin xyz="{xyz_text(at)}" rpy="0 0 0"/><geometry>{shape}</geometry>'
        '</visual>' for at, shape in shapes), '  </link>']


def _limb_links(short, names, parent, at_m, lengths_m, axes, sign) -> List[Link]:
    """Return the five links of an arm or a leg."""
    root, hinge, end = names
    # the model calls the link after the last joint of the ball by the limb's name alone
    links = [f'{short}_y_{root}', f'{short}_p_{root}', f'{short}_{root}', f'{short}_{hinge}']
    joints = [name.format(short, root, hinge) for name in _LIMB]
    places = [at_m, np.zeros(3), np.zeros(3), np.array([0.0, 0.0, -lengths_m[0]])]
    found = []
    for link, joint, place, (axis, direction, mirrored) in zip(links, joints, places, axes):
        turn = direction * _axis(axis) * (sign if mirrored else 1.0)
        found.append(Link(link, parent, joint, turn, place))
        parent = link
    tip = f'{short}_{end}'
    return [*found, Link(tip, parent, tip, None, np.array([0.0, 0.0, -lengths_m[1]]))]


def _limb(points, hinge_axis, sign, kind, before, loyal) -> np.ndarray:
    """Return the four angles of a limb from its three joints (3, 3) in its parent's axes."""
    upper, lower = (_unit(points[1] - points[0]), _unit(points[2] - points[1]))
    normal = np.cross(lower, upper)
    sine = float(np.linalg.norm(normal))
    if sine > _STRAIGHT:
        # a limb that is clearly bent is bent the way it can be; a straight one may give a little
        clearly = np.arctan2(sine, upper @ lower) > _CLEARLY_BENT_RAD
        forward = kind == 'arm' if clearly else normal @ hinge_axis >= 0.0
        axis = normal / sine * (1.0 if forward else -1.0)
    else:
        axis = _unit(hinge_axis - (hinge_axis @ upper) * upper)
    link = np.stack([np.cross(upper, axis), axis, -upper], axis=1)
    flexion = np.arctan2(normal @ axis, upper @ lower)
    return np.append(_ball(link, sign, kind, before[:3], loyal), flexion)


def _ball(link, sign, kind, before, loyal) -> np.ndarray:
    """Return the three angles before the hinge."""
    if kind == 'arm':
        to_joint = np.array([-sign, sign, sign])
        triples = _zxz(link, before * to_joint)
        limits = LIMITS_RAD[4:7]
    else:
        to_joint = np.array([-1.0, sign, -1.0])
        triples = _tait_bryan(link, 'zxy', before * to_joint)
        limits = LIMITS_RAD[12:15]
    return _best([triple * to_joint for triple in triples], limits, before, loyal)


def _head(rotation, before, loyal) -> np.ndarray:
    """Return roll, yaw and pitch of the head."""
    to_joint = np.array([1.0, 1.0, -1.0])
    triples = _tait_bryan(rotation, 'xzy', before * to_joint)
    return _best([triple * to_joint for triple in triples], LIMITS_RAD[1:4], before, loyal)


def _best(triples, limits, before, loyal) -> np.ndarray:
    """Return the triple that is least outside the limits, and near the last frame's."""
    centre = limits.mean(axis=1)
    costs, inside = [], [centre + wrapped(triple - centre) for triple in triples]
    for triple in inside:
        outside = np.maximum(limits[:, 0] - triple, 0.0) + np.maximum(triple - limits[:, 1], 0.0)
        costs.append(outside.sum() + loyal * np.abs(triple - before).sum())
    return inside[int(np.argmin(costs))]


def _zxz(m, before):
    """Return both triples a, b, c of m = Rz(a) Rx(b) Rz(c)."""
    sine = np.hypot(m[2, 0], m[2, 1])
    if sine < _SINGULAR:
        # only a sum is determined: what turned before stays where it was
        up = 1.0 if m[2, 2] > 0 else -1.0
        a = before[0]
        c = up * (np.arctan2(m[1, 0], m[0, 0]) - a)
        return [np.array([a, 0.0 if up > 0 else np.pi, c])]
    first = np.array([np.arctan2(m[0, 2], -m[1, 2]), np.arctan2(sine, m[2, 2]),
                      np.arctan2(m[2, 0], m[2, 1])])
    return [first, first * (1.0, -1.0, 1.0) + (np.pi, 0.0, np.pi)]


def _tait_bryan(m, order, before):
    """Return both triples of m = R(first) R(middle) R(last) about three different axes."""
    places = ['xyz'.index(axis) for axis in order]
    sign = float(np.linalg.det(np.eye(3)[places]))
    q = m[np.ix_(places, places)]
    cosine = np.hypot(q[0, 0], q[0, 1])
    b = np.arctan2(q[0, 2], cosine)
    if cosine < _SINGULAR:
        up = np.sign(b)
        a = before[0] * sign
        return [np.array([a, b, np.arctan2(q[1, 0], q[1, 1]) - up * a]) * sign]
    first = np.array([np.arctan2(-q[1, 2], q[2, 2]), b, np.arctan2(-q[0, 1], q[0, 0])])
    return [first * sign, (first * (1.0, -1.0, 1.0) + np.pi) * sign]


def _chest(points) -> np.ndarray:
    """Return midway between the shoulders, from midway between the hips."""
    left, right = points[JOINT['left_shoulder']], points[JOINT['right_shoulder']]
    return 0.5 * (left + right - points[JOINT['left_hip']] - points[JOINT['right_hip']])


def _pitch(vector) -> float:
    """Return by how much a vector leans forward, radians."""
    return float(np.arctan2(vector[0], vector[2]))


def _axis(name: str) -> np.ndarray:
    return np.eye(3)['xyz'.index(name)]


def _unit(vector) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
