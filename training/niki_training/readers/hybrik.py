"""Human3.6M annotations in HybrIK's form: one JSON with ``annotations`` that have ``theta``."""

from __future__ import annotations

import json

from niki_ros.core.errors import InputError
from niki_ros.core.rotations import rotmat_from_rotvec, rotvec_from_rotmat
import numpy as np

from niki_training.data import CAMERA_FROM_UPRIGHT, Motion


def read_hybrik(path) -> Motion:
    """Read single frames: ``theta`` (72) axis angles or (24, 3, 3) matrices, camera axes."""
    try:
        with open(path, encoding='utf-8') as file:
            rows = json.load(file)['annotations']
        theta = [np.asarray(row['theta' if 'theta' in row else 'thetas'], float) for row in rows]
        names = [str(row.get('image_id', i)) for i, row in enumerate(rows)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path}: not annotations with theta ({error!r})') from error
    if not theta or any(t.size not in (72, 216) for t in theta):
        raise InputError(f'{path}: theta must have 72 or 216 numbers in every annotation')
    rotvec = np.stack([
        t.reshape(24, 3) if t.size == 72 else rotvec_from_rotmat(t.reshape(24, 3, 3))
        for t in theta])
    rotvec[:, 0] = rotvec_from_rotmat(CAMERA_FROM_UPRIGHT @ rotmat_from_rotvec(rotvec[:, 0]))
    return Motion(rotvec.astype(np.float32), np.ones(len(rotvec), dtype=np.int64),
                  np.asarray(names))
