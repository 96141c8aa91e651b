"""Reader of 3DOH50K: one JSON of single images with SMPL poses, ``annots.json``."""

import json
from pathlib import PureWindowsPath

from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT
from niki_training.data.motion import Motion
from niki_training.files.archives import reason


def read_3doh(path) -> Motion:
    """Read single poses: ``pose`` (72,) rotation vectors, rotated into the camera by ``extri``."""
    try:
        with open(path, encoding='utf-8-sig') as file:
            found = json.load(file)
        rows = list(found.values() if isinstance(found, dict) else found)
        poses = np.stack([np.asarray(row['pose'], float).reshape(24, 3) for row in rows])
        turns = np.stack([np.asarray(row.get('extri', np.eye(4)), float)[:3, :3] for row in rows])
        # the published file has backslashes; slashes are read as well
        images = [PureWindowsPath(str(row.get('img_path', i))) for i, row in enumerate(rows)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f'{path}: not the annots.json of 3DOH50K, whose rows have a pose of 72 '
                         f'numbers ({reason(error)})') from error
    root = CAMERA_FROM_UPRIGHT @ turns @ rotmat_from_rotvec(poses[:, 0])
    poses[:, 0] = rotvec_from_rotmat(root)
    # the file does not name people: the whole set is one subject and is never split
    names = np.asarray([f'3doh/{image.stem}' for image in images])
    return Motion(poses.astype(np.float32), np.ones(len(poses), dtype=np.int64), names)
