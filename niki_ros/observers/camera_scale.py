"""
Refinement of HybrIK's camera scale by a body with known bone lengths.

As in the evaluation of HybrIK (Li et al. 2021; as released in 2022 and with NIKI): the body of the
betas and twists is fitted to the joints by analytic inverse kinematics, and placed at the distance
at which the fitted joints lie best on the observed rays.
"""

from niki_ros.body.kinematics import CHILDREN, forward_kinematics, LEVELS
from niki_ros.body.rotations import rotmat_from_point_sets, rotmat_from_rotvec, swing_rotmat, unit
from niki_ros.body.skeleton import JOINT, PARENTS_29
import numpy as np

_FIRST_CHILD = np.asarray([children[0] for children in CHILDREN])
_SPINE3 = JOINT['spine3']
# up to this, the error of a joint's position is compensated by the direction of its bone
_MAX_COMPENSATION_M = 0.015
_MIN_DISTANCE_M = 0.05


def adaptive_rotations(joints_m, offsets_m, twist_cos_sin) -> np.ndarray:
    """
    Return local rotations (24, 3, 3) by HybrIK's adaptive inverse kinematics.

    Each bone points from the solved position of its joint to the observed child, so that errors do
    not add up along a limb.

    :param joints_m: (29, 3) observed, camera axes. :param offsets_m: (29, 3) bones at rest.
    :param twist_cos_sin: (23, 2) cosine and sine of the twist of joints 1 … 23.
    """
    joints_m = joints_m - joints_m[0]
    bones = joints_m - joints_m[np.maximum(PARENTS_29, 0)]
    length = np.linalg.norm(offsets_m, axis=-1, keepdims=True)
    plain = unit(bones) * length
    angle = np.arctan2(twist_cos_sin[:, 1], twist_cos_sin[:, 0])
    local, world, solved = np.empty((24, 3, 3)), np.empty((24, 3, 3)), np.zeros((29, 3))
    hips = CHILDREN[0]
    local[0] = world[0] = rotmat_from_point_sets(offsets_m[hips], bones[hips], np.ones(len(hips)))
    for joints, parents in LEVELS:
        solved[joints] = solved[parents] + (world[parents] @ offsets_m[joints, :, None])[..., 0]
        parents, joints = parents[joints < 24], joints[joints < 24]
        if not len(joints):
            continue
        child = _FIRST_CHILD[joints]
        towards = joints_m[child] - solved[joints]
        far = np.linalg.norm(towards - plain[child], axis=-1) > _MAX_COMPENSATION_M
        towards[far] = plain[child[far]]
        observed = np.einsum('jba,jb->ja', world[parents], towards)
        twist = rotmat_from_rotvec(unit(offsets_m[child]) * angle[joints - 1, None])
        local[joints] = swing_rotmat(offsets_m[child], observed) @ twist
        if _SPINE3 in joints:
            above = CHILDREN[_SPINE3]
            to_children = joints_m[above] - solved[_SPINE3]
            observed = to_children @ world[PARENTS_29[_SPINE3]]
            local[_SPINE3] = rotmat_from_point_sets(
                offsets_m[above], observed, np.ones(len(above)))
        world[joints] = world[parents] @ local[joints]
    return local


def fitted_distance(joints_m, rays, sigma, offsets_m, twist_cos_sin) -> float | None:
    """
    Return the offset of the joints along z, metres, with which the body fits the rays best.

    :param joints_m: (29, 3), camera axes, metres; z relative to a plane of unknown distance.
    :param rays: (29, 3) with z = 1, of the joints in the image.
    :param sigma: (29,) expected error per coordinate, units of 200 mm.
    :param offsets_m: (29, 3) bones at rest. :param twist_cos_sin: (23, 2) of joints 1 … 23.
    :return: None where no joint has weight, or the body would be behind the camera.
    """
    rotmat = adaptive_rotations(joints_m, offsets_m, twist_cos_sin)
    body = forward_kinematics(rotmat, offsets_m)[0][:24]
    placed = body + joints_m[0]
    across, deep = placed[:, :2], placed[:, 2:]
    # the weight of the release, squared by least squares; it is 0 at a sigma of 0.2
    weight = (1 - 5 * sigma[:24, None])**2
    ray = rays[:24, :2]
    total = float((weight * ray**2).sum())
    if not total > 0:   # also for NaN
        return None
    distance = float((weight * ray * (across - ray * deep)).sum()) / total
    return distance if np.isfinite(distance) and distance > _MIN_DISTANCE_M else None
