"""BVH clips in the form of CMU's motion capture as B. Hahne converted it."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import BODY_24
from niki_training.data.readers.bvh import CMU
import numpy as np
from scipy.spatial.transform import Rotation

FRAME_TIME = '.0083333'
# joint, depth, offset; names, order and T-pose are those of the real files
TREE = (
    ('Hips', 0, '0 0 0'), ('LHipJoint', 1, '0 0 0'), ('LeftUpLeg', 2, '1.6 -1.8 0.6'),
    ('LeftLeg', 3, '2.6 -7.1 0'), ('LeftFoot', 4, '2.5 -6.8 0'), ('LeftToeBase', 5, '.2 -.5 2.1'),
    ('RHipJoint', 1, '0 0 0'), ('RightUpLeg', 2, '-1.6 -1.8 0.6'), ('RightLeg', 3, '-2.6 -7.1 0'),
    ('RightFoot', 4, '-2.5 -6.8 0'), ('RightToeBase', 5, '-.2 -.6 2.1'),
    ('LowerBack', 1, '0 0 0'), ('Spine', 2, '0 2 -.1'), ('Spine1', 3, '0 2 0'),
    ('Neck', 4, '0 0 0'), ('Neck1', 5, '0 1.6 .1'), ('Head', 6, '0 1.6 -.1'),
    ('LeftShoulder', 4, '0 0 0'), ('LeftArm', 5, '3.5 .9 -.2'), ('LeftForeArm', 6, '4.9 0 0'),
    ('LeftHand', 7, '3.4 0 0'), ('LeftFingerBase', 8, '0 0 0'), ('LeftHandIndex1', 9, '.7 0 0'),
    ('LThumb', 8, '0 0 0'),
    ('RightShoulder', 4, '0 0 0'), ('RightArm', 5, '-3.5 .8 -.3'), ('RightForeArm', 6, '-5 0 0'),
    ('RightHand', 7, '-3.4 0 0'), ('RightFingerBase', 8, '0 0 0'),
    ('RightHandIndex1', 9, '-.7 0 0'), ('RThumb', 8, '0 0 0'))
# angles about z, y, x of the first frame
T_POSE_DEG = {'LeftUpLeg': (-21, 0, 0), 'RightUpLeg': (21, 0, 0), 'Neck1': (0, 0, -16),
              'Head': (0, 0, 21), 'LeftShoulder': (0, 0, 11), 'LeftArm': (-8, 0, 0),
              'RightArm': (8, 0, 0)}


def _header() -> str:
    lines, open_depth = ['HIERARCHY'], -1
    for i, (name, depth, offset) in enumerate(TREE):
        lines += ['\t' * d + '}' for d in range(open_depth, depth - 1, -1)]
        tab = '\t' * depth
        channels = ('6 Xposition Yposition Zposition ' if i == 0 else '3 ')
        lines += [f'{tab}{"JOINT" if i else "ROOT"} {name}', tab + '{', f'{tab}\tOFFSET {offset}',
                  f'{tab}\tCHANNELS {channels}Zrotation Yrotation Xrotation']
        if i + 1 == len(TREE) or TREE[i + 1][1] <= depth:
            lines += [f'{tab}\tEnd Site', f'{tab}\t{{', f'{tab}\t\tOFFSET 1 0 0', f'{tab}\t}}']
        open_depth = depth
    return '\n'.join(lines + ['\t' * d + '}' for d in range(open_depth, -1, -1)])


def write_cmu_bvh(path, rotvec, repeat=4):
    """
    Write a clip that moves as ``rotvec`` (T, 24, 3), behind a T-pose; at 120 frames a second.

    :param repeat: how often each frame is written; 4 makes 120 of 30.
    """
    rotmat = rotmat_from_rotvec(np.asarray(rotvec, float))
    world = [rotmat[:, 0]]
    parents = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
    for joint in range(1, 24):
        world.append(world[parents[joint]] @ rotmat[:, joint])
    of = {theirs: world[BODY_24.index(ours)] for ours, theirs in CMU.items()}
    above, rows, still, moved = [], [], {}, {}
    for name, depth, _ in TREE:
        above = [*above[:depth], name]
        parent = above[depth - 1] if depth else None
        t_pose = Rotation.from_euler('ZYX', T_POSE_DEG.get(name, (0, 0, 0)), degrees=True)
        base = np.eye(3) if parent is None else still[parent]
        still[name] = base @ t_pose.as_matrix()
        if name in of:
            moved[name] = of[name] @ still[name]
        else:       # goes with what it hangs on
            moved[name] = moved[parent] @ t_pose.as_matrix()
        local = moved[name] if parent is None else moved[parent].swapaxes(1, 2) @ moved[name]
        angles = Rotation.from_matrix(local).as_euler('ZYX', degrees=True)
        rows.append(np.concatenate([[T_POSE_DEG.get(name, (0, 0, 0))],
                                    np.repeat(angles, repeat, axis=0)]))
    rows.insert(0, np.tile([9.3, 17.0, -34.3], (len(rows[0]), 1)))
    values = np.concatenate(rows, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = '\n'.join(' '.join(f'{v:.4f}' for v in row) for row in values)
    path.write_text(f'{_header()}\nMOTION\nFrames: {len(values)}\n'
                    f'Frame Time: {FRAME_TIME}\n{text}\n')
