"""3DPW: one pickle a sequence, read without running anything that is in it."""

from __future__ import annotations

from niki_ros.core.errors import InputError
import numpy as np

from niki_training.data import Motion
from niki_training.pickles import restricted_load
from niki_training.readers.amass import from_body_poses


def read_3dpw(path) -> Motion:
    """Read ``poses`` of every person, a list of (T, 72) at 30 fps; y is up in its world."""
    data = restricted_load(path)
    if not isinstance(data, dict) or 'poses' not in data:
        raise InputError(f'{path}: no "poses" in it; expected a 3DPW sequence file')
    people = []
    for i, poses in enumerate(data['poses']):
        poses = np.asarray(poses, dtype=np.float64)
        if poses.ndim != 2 or poses.shape[1] != 72:
            raise InputError(f'{path}: poses[{i}] has shape {poses.shape}; expected (T, 72)')
        people.append(from_body_poses(poses, 30.0, f'{path.stem}_{i}'))
    return Motion(np.concatenate([p.rotvec for p in people]),
                  np.concatenate([p.lengths for p in people]),
                  np.concatenate([p.names for p in people]))
