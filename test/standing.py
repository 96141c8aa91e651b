"""A person who stands with hanging arms, as tests observe them."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT
import numpy as np
from scenes import FACING, observe_body

ROOT = np.array([0.0, 0.0, 3.0])
LEGS = [JOINT[f'{side}_{part}'] for side in ('left', 'right')
        for part in ('knee', 'ankle', 'foot', 'big_toe')]
ARM = [JOINT[f'left_{part}'] for part in ('elbow', 'wrist', 'hand', 'middle_finger')]


def standing(bend_rad=0.0):
    rotvec = np.zeros((24, 3))
    rotvec[16, 2], rotvec[17, 2] = -1.2, 1.2
    rotvec[18, 1] = -bend_rad
    rotmat = rotmat_from_rotvec(rotvec)
    rotmat[0] = FACING @ rotmat[0]
    return rotmat


def seen_at(camera, root=ROOT, bend_rad=0.3, sigma=0.2):
    return observe_body(standing(bend_rad), root, camera, sigma=sigma)


def without(seen, joints, guess_m=None):
    """Return the observation with ``joints`` hidden, and guessed elsewhere."""
    seen.sigma_200mm[joints], seen.keypoint_sigma_px[joints] = 1.0, np.inf
    if guess_m is not None:
        seen.joints_m[joints] += np.asarray(guess_m, np.float32)
    return seen
