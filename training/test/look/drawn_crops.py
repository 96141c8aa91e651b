"""Crops of dots at the joints of random poses, with the truth of the batch renderer."""

import cv2
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.images.pixels import jpeg_from_rgb
from niki_training.networks.kinematic import BODY_LAYER
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.render.shards import shard_path, start_run
import numpy as np
import torch

_DISTANCE_M, _FOCAL = 5.0, 2.2


class DrawnCrops:
    """A sequence of ``count`` crops; rows are dicts of arrays."""

    def __init__(self, count: int, seed: int = 0, facts=None):
        rng, skeleton = np.random.default_rng(seed), open_skeleton()
        rotmat = rotmat_from_rotvec(0.3 * rng.normal(size=(count, 24, 3)))
        rotmat[:, 0] = np.diag([1.0, -1.0, -1.0]) @ rotmat[:, 0]
        betas = 0.5 * rng.normal(size=(count, 10))
        joints_m = posed_joints_m(rotmat, betas)
        uv = _FOCAL * joints_m[..., :2] / (joints_m[..., 2:] + _DISTANCE_M)
        inside = (np.abs(uv) < 0.5).all(-1)
        axes = torch.tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)
        twist = swing_twist(torch.tensor(rotmat, dtype=torch.float32), axes)[1].numpy()
        self.facts = facts or {'crops': 'dots'}
        self.arrays = {
            'image': np.stack([_dots(one) for one in uv]), 'uv': np.float32(uv),
            'joints_m': np.float32(joints_m), 'rotmat': np.float32(rotmat),
            'root_m': np.float32([[0.0, 0.0, _DISTANCE_M]] * count),
            'focal': np.full(count, _FOCAL, np.float32),
            'betas': np.float32(betas), 'twist': twist, 'visible': inside, 'in_image': inside,
            'present': np.ones(count, np.float32), 'hidden_percent': np.zeros(count, np.float32)}

    def __len__(self):
        return len(self.arrays['uv'])

    def __getitem__(self, rows):
        return {name: value[rows] for name, value in self.arrays.items()}


def posed_joints_m(rotmat, betas):
    """Return joints (n, 29, 3) about the pelvis of rotations (n, 24, 3, 3) and betas (n, 10)."""
    offsets = torch.tensor(open_skeleton().offsets(np.float64(betas)), dtype=torch.float32)
    joints_m = BODY_LAYER(torch.as_tensor(rotmat, dtype=torch.float32), offsets).numpy()
    return joints_m - joints_m[:, :1]


def _dots(uv):
    image = np.full((256, 256, 3), 90, np.uint8)
    for joint, point in enumerate(uv):
        at = tuple(int(value) for value in (point + 0.5) * 256)
        cv2.circle(image, at, 6, (8 * joint, 255 - 8 * joint, (60 * joint) % 255), -1)
    return image


def write_shards(folder, split: str, count: int, seed: int) -> None:
    """Write ``count`` crops as one shard of niki-data crops."""
    own = DrawnCrops(count, seed).arrays
    jpegs = [jpeg_from_rgb(image, 93) for image in own.pop('image')]
    start_run(folder, {'split': split, 'seed': seed, 'shard_crops': count,
                       'bank': {'split': split, 'bodies': 1, 'credits': ['a dot by an author']}})
    np.savez(shard_path(folder, split, 0), jpeg=np.frombuffer(b''.join(jpegs), np.uint8),
             jpeg_at=np.cumsum([0, *map(len, jpegs)]), **own)
