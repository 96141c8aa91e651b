"""Rotations from the 28 joints of MPI-INF-3DHP: the data set has no body model's pose."""

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
_ROUGH_SIGMA = 0.15
"""Of the trunk's joints, which the data set puts elsewhere in the body than SMPL does."""


def rotvec_of_hp3d(keypoints) -> np.ndarray:
    """
    Return rotation vectors (F, 24, 3) whose bones point as the joints (F, 28, 3) say.

    Turns about the bones' own axes are not in the data and stay 0, except at pelvis and chest.

    :raises ValueError: for another number of joints.
    """
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.shape[1:] != (28, 3):
        raise ValueError(f'keypoints_cam of shape {keypoints.shape[1:]}; expected 28 joints, the '
                         'training annotations')
    joints = np.stack([_joint(keypoints, name) for name in JOINTS_29], axis=1)
    sigma = np.asarray([_ROUGH_SIGMA if name.startswith(('spine', 'neck')) else 0.0
                        for name in JOINTS_29])
    sigma = np.broadcast_to(sigma, joints.shape[:2])
    rotmat = local_rotations(joints - joints[:, :1], sigma, np.broadcast_to(
        open_skeleton().offsets(), joints.shape))
    return rotvec_from_rotmat(rotmat)


def _joint(keypoints, name: str) -> np.ndarray:
    """Return one of our joints (F, 3); hands go on as the forearm's end does."""
    side, _, part = name.partition('_')
    if part == 'middle_finger':
        return 2 * _joint(keypoints, f'{side}_hand') - _joint(keypoints, f'{side}_wrist')
    for ours, theirs in _OTHER_NAMES.items():
        name = name.replace(ours, theirs)
    return keypoints[:, HP3D_28.index(name)]
