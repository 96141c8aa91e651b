"""BVH files with a joint map, such as ``{"left_hip": "LeftUpLeg", …}``."""

from __future__ import annotations

from niki_ros.core.errors import InputError
from niki_ros.core.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.core.skeleton import BODY_24
import numpy as np

from niki_training.data import Motion
from niki_training.frame_rate import at_30_fps, checked_rate_hz

_AXES = {'X': (1.0, 0, 0), 'Y': (0, 1.0, 0), 'Z': (0, 0, 1.0)}


def read_bvh(path, joint_map: dict) -> Motion:
    """
    Read local rotations; joints that the map leaves out stay unturned.

    The file's rest pose must be a T-pose with y up and z forward.

    :param joint_map: our joint's name → the file's joint's name.
    """
    try:
        text = path.read_text('utf-8', errors='replace')
    except OSError as error:
        raise InputError(f'{path}: {error}') from error
    head, found, tail = text.partition('MOTION')
    if not found or 'HIERARCHY' not in head:
        raise InputError(f'{path}: not a BVH file: HIERARCHY and MOTION are not both there')
    channels = _channels(path, head)
    values, frame_s = _frames(path, tail, sum(len(c) for c in channels.values()))
    if not joint_map:
        raise InputError(f'{path}: BVH needs --joint-map FILE, JSON such as {{"left_hip": '
                         f'"LeftUpLeg"}}; the file has {", ".join(channels)}')
    unknown = [n for n in joint_map if n not in BODY_24]
    absent = [n for n in joint_map.values() if n not in channels]
    if unknown or absent:
        raise InputError(f'{path}: joint map: not our joints {unknown}, not in the file {absent}; '
                         f'the file has {", ".join(channels)}')
    rotvec = np.zeros((len(values), 24, 3))
    ends = np.cumsum([len(kinds) for kinds in channels.values()])
    column = {name: end - len(channels[name]) for name, end in zip(channels, ends)}
    for ours, theirs in joint_map.items():
        part = values[:, column[theirs]:column[theirs] + len(channels[theirs])]
        rotvec[:, BODY_24.index(ours)] = rotvec_from_rotmat(_turn(part, channels[theirs]))
    rotvec = at_30_fps(rotvec, checked_rate_hz(path, 1 / frame_s)).astype(np.float32)
    return Motion(rotvec, np.asarray([len(rotvec)]), np.asarray([path.stem]))


def _channels(path, head: str) -> dict:
    """Return the channels of each joint in file order."""
    channels, name = {}, None
    for line in head.splitlines():
        words = line.split()
        if words and words[0] in ('ROOT', 'JOINT'):
            name = words[-1]
        elif words and words[0] == 'CHANNELS':
            channels[name] = words[2:]
            strange = [w for w in words[2:] if w[:1].upper() not in _AXES]
            if strange:
                raise InputError(f'{path}: channels {", ".join(strange)} of {name}; expected '
                                 'Xrotation, Yposition and the like')
    return channels


def _frames(path, tail: str, width: int):
    """Return the numbers (T, width) and the frame time in seconds."""
    lines = tail.strip().splitlines()
    try:
        frame_s = float(next(line for line in lines if line.startswith('Frame Time')).split()[-1])
        count = int(next(line for line in lines if line.startswith('Frames')).split()[-1])
        begin = 1 + max(i for i, line in enumerate(lines) if line.startswith('Frame'))
        values = np.asarray([[float(x) for x in line.split()] for line in lines[begin:] if line])
    except (StopIteration, ValueError, IndexError) as error:
        raise InputError(f'{path}: the MOTION part cannot be read ({error!r})') from error
    if values.shape != (count, width) or not count or not frame_s > 0:
        raise InputError(f'{path}: numbers {values.shape} for {count} frames of {width} channels, '
                         f'{frame_s} s a frame; the file is cut off or damaged')
    if not np.isfinite(values).all():
        raise InputError(f'{path}: it has numbers that are not finite')
    return values, frame_s


def _turn(values, kinds) -> np.ndarray:
    """Multiply a joint's rotation channels in their order: (T, 3, 3)."""
    out = np.broadcast_to(np.eye(3), (len(values), 3, 3))
    for column, kind in enumerate(kinds):
        if kind.endswith('rotation'):
            axis = np.asarray(_AXES[kind[0].upper()])
            out = out @ rotmat_from_rotvec(np.radians(values[:, column:column + 1]) * axis)
    return out
