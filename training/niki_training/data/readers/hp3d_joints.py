"""Rotations from the 28 joints of MPI-INF-3DHP, which has no poses of a body model."""

from __future__ import annotations

from niki_ros.body.rotations import rotvec_from_rotmat
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
from niki_ros.solvers.analytic import local_rotations
import numpy as np

HP3D_28 = (
    'spine3', 'spine4', 'spine2', 'spine', 'pelvis', 'neck', 'head', 'head_top',
    'left_clavicle', 'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand',
    'right_clavicle', 'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand',
    'left_hip', 'left_knee', 'left_ankle', 'left_foot', 'left_toe',
    'right_hip', 'right_knee', 'right_ankle', 'right_foot', 'right_toe')
_OTHER_NAMES = {'spine1': 'spine', 'collar': 'clavicle', 'big_toe': 'toe'}
_TRUNK_SIGMA = 0.15
"""Sigma of the trunk's joints; their places in the body are not those of SMPL."""


def rotvec_of_hp3d(keypoints) -> np.ndarray:
    """
    Return the rotation vectors (F, 24, 3), radians, whose bones have the directions of the joints.

    Twists are not in the data and stay 0, except at pelvis and chest.

    :param keypoints: (F, 28, 3) camera axes, any unit.
    :raises ValueError: for another number of joints.
    """
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.shape[1:] != (28, 3):
        raise ValueError(f'keypoints_cam of shape {keypoints.shape[1:]}; expected the 28 joints '
                         'of the training annotations')
    joints = np.stack([_joint(keypoints, name) for name in JOINTS_29], axis=1)
    sigma = np.asarray([_TRUNK_SIGMA if name.startswith(('spine', 'neck')) else 0.0
                        for name in JOINTS_29])
    sigma = np.broadcast_to(sigma, joints.shape[:2])
    rotmat = local_rotations(joints - joints[:, :1], sigma, np.broadcast_to(
        open_skeleton().offsets(), joints.shape))
    return rotvec_from_rotmat(rotmat)


def _joint(keypoints, name: str) -> np.ndarray:
    """Return one joint of the skeleton (F, 3); fingers continue the line from wrist to hand."""
    side, _, part = name.partition('_')
    if part == 'middle_finger':
        return 2 * _joint(keypoints, f'{side}_hand') - _joint(keypoints, f'{side}_wrist')
    for ours, theirs in _OTHER_NAMES.items():
        name = name.replace(ours, theirs)
    return keypoints[:, HP3D_28.index(name)]
