"""
Reader of BVH files with a joint map, such as ``{"left_hip": "LeftUpLeg", …}``.

Few skeletons are in a T-pose where all angles are 0. Clips made for retargeting begin with a frame
in a T-pose and are read relative to it.
"""

import re

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import BODY_24, PARENTS_29
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.frame_rate import at_30_fps, checked_rate_hz
from niki_training.data.motion import Motion
from niki_training.files.archives import reason

CMU = {
    'pelvis': 'Hips', 'left_hip': 'LeftUpLeg', 'right_hip': 'RightUpLeg', 'spine1': 'LowerBack',
    'left_knee': 'LeftLeg', 'right_knee': 'RightLeg', 'spine2': 'Spine',
    'left_ankle': 'LeftFoot', 'right_ankle': 'RightFoot', 'spine3': 'Spine1',
    'left_foot': 'LeftToeBase', 'right_foot': 'RightToeBase', 'neck': 'Neck1',
    'left_collar': 'LeftShoulder', 'right_collar': 'RightShoulder', 'head': 'Head',
    'left_shoulder': 'LeftArm', 'right_shoulder': 'RightArm', 'left_elbow': 'LeftForeArm',
    'right_elbow': 'RightForeArm', 'left_wrist': 'LeftHand', 'right_wrist': 'RightHand'}
"""CMU's motion as BVH by B. Hahne ("MotionBuilder-friendly"); the clips begin in a T-pose."""
_MOTION = re.compile(r'^\s*MOTION\s*$', re.MULTILINE | re.IGNORECASE)
_FRAMES = re.compile(r'^\s*Frames\s*:\s*(\d+)\s*^\s*Frame\s+Time\s*:\s*(\S+)',
                     re.MULTILINE | re.IGNORECASE)
_CHANNEL = re.compile('[XYZ](rotation|position|scale)', re.IGNORECASE)
_AXES = {'X': (1.0, 0, 0), 'Y': (0, 1.0, 0), 'Z': (0, 0, 1.0)}


def read_bvh(path, joint_map: dict, first_is_t_pose: bool = False) -> Motion:
    """
    Read one clip; joints that are not in the map have no rotation.

    The T-pose has y up, x to the person's left and z forward. It is the pose of zero angles, or
    the first frame, which is then left out.

    :param joint_map: joint of the skeleton → joint of the file.
    """
    try:
        text = path.read_text('utf-8', errors='replace')
    except OSError as error:
        raise InputError(f'{path}: {error}') from error
    head, *rest = _MOTION.split(text, maxsplit=1)
    if not rest or 'HIERARCHY' not in head.upper():
        raise InputError(f'{path}: not a BVH file: it needs HIERARCHY and MOTION')
    channels = _channels(path, head)
    values, frame_s = _frames(path, rest[0], sum(len(c) for c in channels.values()))
    if not joint_map:
        raise InputError(f'{path}: BVH needs --joint-map FILE, JSON such as {{"left_hip": '
                         f'"LeftUpLeg"}}; the file has {", ".join(channels)}')
    unknown = [n for n in joint_map if n not in BODY_24]
    absent = [n for n in joint_map.values() if n not in channels]
    if unknown or absent:
        raise InputError(f'{path}: joint map: not in the skeleton {unknown}, not in the file '
                         f'{absent}; the file has {", ".join(channels)}')
    ends = np.cumsum([len(kinds) for kinds in channels.values()])
    turns = {name: _turn(values[:, end - len(kinds):end], kinds)
             for (name, kinds), end in zip(channels.items(), ends)}
    if first_is_t_pose:
        if len(values) < 2:
            raise InputError(f'{path}: it has no frame after its T-pose')
        rotvec = _from_t_pose(turns, _parents(head), joint_map)
    else:
        rotvec = np.zeros((len(values), 24, 3))
        for joint, name in joint_map.items():
            rotvec[:, BODY_24.index(joint)] = rotvec_from_rotmat(turns[name])
    rotvec = at_30_fps(rotvec, checked_rate_hz(path, 1 / frame_s)).astype(np.float32)
    return Motion(rotvec, np.asarray([len(rotvec)]), np.asarray([path.stem]))


def _channels(path, head: str) -> dict:
    """Return joint → channels, in file order."""
    channels: dict = {}
    name = None
    for line in head.splitlines():
        words = line.split()
        if words and words[0] in ('ROOT', 'JOINT'):
            name = ' '.join(words[1:])
            if name in channels:
                raise InputError(f'{path}: two joints have the name {name}; rename one of them')
        elif words and words[0] == 'CHANNELS':
            if name is None:
                raise InputError(f'{path}: channels of no joint; the file is cut off or damaged')
            channels[name] = words[2:]
            strange = [w for w in words[2:] if not _CHANNEL.fullmatch(w)]
            if strange:
                raise InputError(f'{path}: channels {", ".join(strange)} of {name}; expected '
                                 'Xrotation, Yposition and the like')
    return channels


def _parents(head: str) -> dict:
    """Return joint → parent, in file order; the root has None."""
    parents: dict = {}
    above: list = []
    name = None
    for line in head.splitlines():
        words = line.split()
        if words and words[0] in ('ROOT', 'JOINT'):
            name = ' '.join(words[1:])
            parents[name] = above[-1] if above else None
        elif words[:1] == ['End']:
            name = None
        if '{' in words:
            above.append(name)
        elif '}' in words and above:
            above.pop()
    return parents


def _from_t_pose(turns: dict, parents: dict, joint_map: dict) -> np.ndarray:
    """Return rotation vectors (T - 1, 24, 3) relative to the first frame."""
    world: dict = {}
    for name, turn in turns.items():    # parents are before their children
        parent = parents[name]
        world[name] = turn if parent is None else world[parent] @ turn
    still = np.broadcast_to(np.eye(3), next(iter(turns.values()))[1:].shape)
    moved: list = []
    rotvec = np.zeros((len(still), 24, 3))
    for joint, ours in enumerate(BODY_24):
        above = moved[PARENTS_29[joint]] if joint else still
        theirs = joint_map.get(ours)
        # rotation of this part of the body since the T-pose
        moved.append(above if theirs is None else world[theirs][1:] @ world[theirs][0].T)
        rotvec[:, joint] = rotvec_from_rotmat(np.swapaxes(above, -1, -2) @ moved[-1])
    return rotvec


def _frames(path, tail: str, width: int):
    """Return the channels' values (T, width) and the frame time in seconds."""
    facts = _FRAMES.search(tail)
    try:
        if facts is None:
            raise ValueError('no "Frames:" followed by "Frame Time:"')
        count, frame_s = int(facts[1]), float(facts[2])
        values = np.asarray([[float(x) for x in line.split()]
                             for line in tail[facts.end():].splitlines() if line.strip()])
    except ValueError as error:
        raise InputError(f'{path}: the MOTION part cannot be read ({reason(error)})') from error
    if values.shape != (count, width) or not count or not frame_s > 0:
        raise InputError(f'{path}: {values.shape} numbers for {count} frames of {width} channels, '
                         f'{frame_s} s per frame; the file is cut off or damaged')
    if not np.isfinite(values).all():
        raise InputError(f'{path}: it has numbers that are not finite')
    return values, frame_s


def _turn(values, kinds) -> np.ndarray:
    """Return the product (T, 3, 3) of a joint's rotation channels in their order."""
    out = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    for column, kind in enumerate(kinds):
        if kind.lower().endswith('rotation'):
            axis = np.asarray(_AXES[kind[0].upper()])
            out = out @ rotmat_from_rotvec(np.radians(values[:, column:column + 1]) * axis)
    return out
