"""
Make ``niki_ros/body/skeleton.json``, the open 29-joint skeleton and its shape space.

Source: 24 joints of 2,000 adults of the Anny body model (Apache-2.0, MakeHuman assets CC0), given
as mean and principal components in an A-pose. They are moved to the joint centres of people
(niki_training/data/anatomy.py), the bone lengths are kept, and the limbs are turned into a T-pose.
The first shape direction is the exact uniform scale (beta 1 = one standard deviation of adult
size), so that a body that is merely larger lies inside the space; the others are Anny's components
with that direction removed, ordered by variance.

Usage: python tools/make_skeleton.py anny_adult_skeleton24.npz niki_ros/body/skeleton.json
"""

import json
import sys

from niki_ros.body.skeleton import OPEN_SKELETON
from niki_training.data.anatomy import joint_centres
import numpy as np

PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
LEAF_PARENTS = [15, 22, 23, 10, 11]
# joint -> the T-pose direction of the bone that ends in it; all other bones keep Anny's direction
STRAIGHT = {4: (0, -1, 0), 5: (0, -1, 0), 7: (0, -1, 0), 8: (0, -1, 0)}
STRAIGHT.update(dict.fromkeys((18, 20, 22), (1, 0, 0)))
STRAIGHT.update(dict.fromkeys((19, 21, 23), (-1, 0, 0)))
# leaves: (direction, share of the length of the bone that ends in the leaf's parent).
# Anthropometry: vertex above the skull's pivot, fingertip beyond the knuckle, big toe's tip
# beyond its ball.
LEAVES = [((0, 0.995, 0.1), 1.85), ((1, 0, 0), 0.87), ((-1, 0, 0), 0.87),
          ((0, -0.17, 0.985), 0.42), ((0, -0.17, 0.985), 0.42)]


def tpose_offsets(joints_apose_m):
    """Return (29, 3) bone offsets of the T-pose for joints (24, 3) in the A-pose."""
    offsets = np.zeros((29, 3))
    for joint in range(1, 24):
        bone = joints_apose_m[joint] - joints_apose_m[PARENTS[joint]]
        if joint in STRAIGHT:
            bone = np.linalg.norm(bone) * np.asarray(STRAIGHT[joint], float)
        offsets[joint] = bone
    for leaf, parent in enumerate(LEAF_PARENTS):
        direction, share = LEAVES[leaf]
        direction = np.asarray(direction) / np.linalg.norm(direction)
        offsets[24 + leaf] = share * np.linalg.norm(offsets[parent]) * direction
    return offsets


def symmetric(offsets):
    """Make left and right exact mirror images, so that mirrored motion fits the same body."""
    mirror = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22,
              24, 26, 25, 28, 27]
    return (offsets + offsets[mirror] * [-1, 1, 1]) / 2


def main(source, target):
    """Read Anny's components, write the skeleton file."""
    z = np.load(source, allow_pickle=False)
    mean, shapes = joint_centres(z['mean'].astype(float)), joint_centres(z['basis'].astype(float))
    mean_offsets = symmetric(tpose_offsets(mean))
    shape = np.stack([
        (symmetric(tpose_offsets(mean + b)) - symmetric(tpose_offsets(mean - b))) / 2
        for b in shapes])
    parents = np.asarray(PARENTS + LEAF_PARENTS)

    def joints(offsets):
        rest = np.zeros_like(offsets)
        for joint in range(1, 29):
            rest[..., joint, :] = rest[..., parents[joint], :] + offsets[..., joint, :]
        return rest

    rest, basis = joints(mean_offsets), joints(shape)
    flat, scale = basis.reshape(10, -1), rest.ravel() / np.linalg.norm(rest)
    size_sd = np.linalg.norm(flat @ scale) / np.linalg.norm(rest)
    _, s, vt = np.linalg.svd(flat - np.outer(flat @ scale, scale), full_matrices=False)
    basis = np.concatenate([[size_sd * rest], (s[:, None] * vt)[:9].reshape(9, 29, 3)])
    with open(target, 'w') as f:
        json.dump({
            'name': OPEN_SKELETON, 'source': str(z['source']), 'parents': parents.tolist(),
            'rest_joints_m': np.round(rest, 6).tolist(),
            'shape_basis_m': np.round(basis, 7).tolist(),
        }, f)
    print(f'size sd {size_sd:.4f}; other components (mm, whole body): {np.round(s[:9] * 1e3, 1)}')
    print(np.round(rest, 3))


if __name__ == '__main__':
    main(*sys.argv[1:])
