"""
Pixel-aligned refinement: the image positions are the good evidence, the depth is the guess.

Pose and root together, by Gauss-Newton on the 24 rotations and the root: the keypoints through the
real camera, weighted by their own sharpness, with the solver's answer as prior.
"""

from __future__ import annotations

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat, skew
from niki_ros.body.skeleton import PARENTS_29
from niki_ros.scene.camera import Camera
import numpy as np

ITERATIONS = 2
# a keypoint further off than this many of its sigmas is not believed more and more
HUBER = 2.0
_NEAR_M = 0.2


def _ancestors() -> np.ndarray:
    """(29, 24) True where turning the second joint moves the first."""
    moves = np.zeros((29, 24), dtype=bool)
    for joint in range(1, 29):
        parent = PARENTS_29[joint]
        moves[joint] = moves[parent]
        moves[joint, parent] = True
    return moves


MOVES = _ancestors()


def refine_to_pixels(rotmat, root_m, offsets_m, keypoints_px, sigma_px, camera: Camera,
                     prior_rad, root_sigma_m):
    """
    Turn the joints and move the root so that the body projects onto its keypoints.

    A rotation of joint k by the small world rotation w moves a joint j below it by
    w × (p_j - p_k); through the pinhole (x / z, y / z) that is linear in w, so that each step is
    one linear system of 75 unknowns.

    :param rotmat: (24, 3, 3) local rotations. :param root_m: (3,).
    :param offsets_m: (29, 3) bones at rest.
    :param keypoints_px: (29, 2), NaN = none. :param sigma_px: (29,) inf = none.
    :param prior_rad: (24,) how far the solver's rotations may be off, and ``root_sigma_m`` (3,)
        the root.
    :return: rotmat (24, 3, 3), root_m (3,).
    """
    rays = camera.rays(keypoints_px)[:, :2]
    used = np.isfinite(sigma_px) & np.isfinite(rays).all(-1)
    if used.sum() < 4:
        return rotmat, root_m
    ray = rays[used]
    focal = 0.5 * (camera.matrix[0, 0] + camera.matrix[1, 1])
    spread = np.maximum(np.asarray(sigma_px, dtype=np.float64)[used], 0.5) / focal
    slack = np.concatenate([np.repeat(prior_rad, 3), root_sigma_m])
    stiff = slack**-2.0
    start, root_start = np.asarray(rotmat, dtype=np.float64), np.asarray(root_m, dtype=np.float64)
    rotmat, root = start, root_start
    for _ in range(ITERATIONS):
        joints, turned = forward_kinematics(rotmat, offsets_m)
        place = joints[used] + root
        if (place[:, 2] < _NEAR_M).any():
            return start, root_start
        jacobian = _jacobian(joints, place, used, turned)
        off = ray - place[:, :2] / place[:, 2:]
        ratio = np.linalg.norm(off, axis=1) / spread
        weight = np.minimum(1.0, HUBER / np.maximum(ratio, 1e-9)) / spread**2
        rows = np.repeat(weight, 2)
        moved = rotvec_from_rotmat(np.swapaxes(start, -1, -2) @ rotmat).ravel()
        back = stiff * np.concatenate([moved, root - root_start])
        system = (jacobian * rows[:, None]).T @ jacobian
        system[np.diag_indices(75)] += stiff
        step = np.linalg.solve(system, jacobian.T @ (rows * off.ravel()) - back)
        rotmat = rotmat @ rotmat_from_rotvec(step[:72].reshape(24, 3))
        root = root + step[72:]
    return rotmat, root


def _jacobian(joints, place, used, turned):
    """(2n, 75): change of the n projected joints per local rotation vector, and per root."""
    lever = joints[used][:, None] - joints[None, :24]
    # w_world = R_global · w_local, and w × lever = -[lever]x w
    turn = -skew(lever) @ turned[None]
    turn *= MOVES[used][:, :, None, None]
    x, y, z = place.T
    lens = np.zeros((len(place), 2, 3))
    lens[:, 0, 0] = lens[:, 1, 1] = 1 / z
    lens[:, 0, 2], lens[:, 1, 2] = -x / z**2, -y / z**2
    seen = np.einsum('nab,nkbc->nakc', lens, turn).reshape(len(place), 2, 72)
    return np.concatenate([seen, lens], axis=-1).reshape(-1, 75)
