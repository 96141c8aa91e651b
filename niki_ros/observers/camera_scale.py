"""
How large a crop is where the person stands, by a body whose bones have their own lengths.

HybrIK's network guesses that size. In evaluation its code then fits the body of the betas and
twists to the joints by analytic inverse kinematics, and takes the distance at which the fitted
joints lie best on the observed rays (HybrIK, Li et al. 2021; as released in 2022 and with NIKI).
"""

from __future__ import annotations

from niki_ros.body.kinematics import forward_kinematics, LEVELS
from niki_ros.body.rotations import rotmat_from_point_sets, rotmat_from_rotvec, swing_rotmat, unit
from niki_ros.body.skeleton import JOINT, PARENTS_29
import numpy as np

_CHILDREN = tuple([c for c in range(29) if PARENTS_29[c] == joint] for joint in range(24))
_FIRST_CHILD = np.asarray([children[0] for children in _CHILDREN])
_SPINE3 = JOINT['spine3']
_ADAPT_M = 0.015
"""Errors of the joints before are made up for up to this; beyond it the bone's own direction."""
_LEAST_DISTANCE_M = 0.05


def adaptive_rotations(joints_m, offsets_m, twist_cos_sin) -> np.ndarray:
    """
    Return local rotations (24, 3, 3) by HybrIK's adaptive inverse kinematics.

    Each bone points from where its joint has come to lie towards the observed child, so that
    errors do not add up along a limb.

    :param joints_m: (29, 3) observed. :param offsets_m: (29, 3) bones at rest.
    :param twist_cos_sin: (23, 2) of the bones that begin in joints 1 … 23.
    """
    joints_m = joints_m - joints_m[0]
    bones = joints_m - joints_m[np.maximum(PARENTS_29, 0)]
    length = np.linalg.norm(offsets_m, axis=-1, keepdims=True)
    plain = unit(bones) * length
    angle = np.arctan2(twist_cos_sin[:, 1], twist_cos_sin[:, 0])
    local, turned, solved = np.empty((24, 3, 3)), np.empty((24, 3, 3)), np.zeros((29, 3))
    hips = _CHILDREN[0]
    local[0] = turned[0] = rotmat_from_point_sets(offsets_m[hips], bones[hips], np.ones(len(hips)))
    for joints, parents in LEVELS:
        solved[joints] = solved[parents] + (turned[parents] @ offsets_m[joints, :, None])[..., 0]
        parents, joints = parents[joints < 24], joints[joints < 24]
        if not len(joints):
            continue
        child = _FIRST_CHILD[joints]
        towards = joints_m[child] - solved[joints]
        far = np.linalg.norm(towards - plain[child], axis=-1) > _ADAPT_M
        towards[far] = plain[child[far]]
        inside = np.einsum('jba,jb->ja', turned[parents], towards)
        twist = rotmat_from_rotvec(unit(offsets_m[child]) * angle[joints - 1, None])
        local[joints] = swing_rotmat(offsets_m[child], inside) @ twist
        if _SPINE3 in joints:
            above = _CHILDREN[_SPINE3]
            inside = (joints_m[above] - solved[_SPINE3]) @ turned[PARENTS_29[_SPINE3]]
            local[_SPINE3] = rotmat_from_point_sets(offsets_m[above], inside, np.ones(len(above)))
        turned[joints] = turned[parents] @ local[joints]
    return local


def fitted_distance(joints_m, rays, sigma, offsets_m, twist_cos_sin) -> float | None:
    """
    Return by how much the joints must move along z, in metres, so that the body fits the rays.

    :param joints_m: (29, 3) in the camera's axes, depths from the plane whose distance is asked.
    :param rays: (29, 3) with z = 1, towards the joints in the image. :param sigma: (29,).
    :param offsets_m: (29, 3) the bones of the body's betas. :param twist_cos_sin: (23, 2).
    :return: None where there is none: nothing has weight, or the body would be behind.
    """
    rotmat = adaptive_rotations(joints_m, offsets_m, twist_cos_sin)
    body = forward_kinematics(rotmat, offsets_m)[0][:24]
    placed = body + joints_m[0]
    across, deep = placed[:, :2], placed[:, 2:]
    # the release's weight, squared by the least squares: a joint with a sigma of 0.2 has none
    weight = (1 - 5 * sigma[:24, None])**2
    ray = rays[:24, :2]
    total = float((weight * ray**2).sum())
    if not total > 0:   # also for NaN
        return None
    distance = float((weight * ray * (across - ray * deep)).sum()) / total
    return distance if np.isfinite(distance) and distance > _LEAST_DISTANCE_M else None
