"""
Reader of 3DOH50K: single images of people behind objects, with SMPL fits (Zhang et al., 2020).

The joints are regressed from the mesh of the fit; ``extri`` turns its root into camera axes.
``smpl_joints_3d`` are in the world and larger by ``scale``, as the data set's viewer draws them.
"""

import json
from pathlib import Path
from typing import Iterator

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.evaluate.datasets.annotations import (
    AnnotatedImage,
    box_around,
    PersonTruth,
    pinhole,
    Sequence,
)
from niki_training.files.archives import reason


def sequences(folder: Path) -> Iterator[Sequence]:
    """Yield the images of ``testset``, or of the folder that holds it, as one set."""
    folder = Path(folder)
    found = [one / 'annots.json' for one in (folder, folder / 'testset')
             if (one / 'annots.json').is_file()]
    if not found:
        raise InputError(f'{folder}: no testset/annots.json of 3DOH50K')
    file = found[0]
    try:
        rows = json.loads(file.read_text('utf-8'))
        frames = [_frame(file.parent, row)
                  for row in (rows.values() if isinstance(rows, dict) else rows)]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError(f'{file}: the rows of 3DOH50K have img_path, pose, betas, scale, intri, '
                         f'extri, smpl_joints_3d ({reason(error)})') from error
    yield Sequence('3doh', frames, video=False)


def _frame(root: Path, row: dict) -> AnnotatedImage:
    extrinsic, matrix = np.asarray(row['extri'], float), np.asarray(row['intri'], float)
    if matrix.shape != (3, 3) or extrinsic.shape[1:] != (4,):
        raise ValueError(f'intri {matrix.shape}, extri {extrinsic.shape}')
    world = np.asarray(row['smpl_joints_3d'], float).reshape(24, 3)
    scale = float(np.ravel(row['scale'])[0])
    camera = world @ extrinsic[:3, :3].T + extrinsic[:3, 3]
    flat = camera @ matrix.T
    joints_px = flat[:, :2] / flat[:, 2:]
    rotmat = rotmat_from_rotvec(np.asarray(row['pose'], float).reshape(24, 3))
    rotmat[0] = extrinsic[:3, :3] @ rotmat[0]
    truth = PersonTruth(camera / scale, joints_px, box_around(joints_px), rotmat,
                        np.asarray(row['betas'], float).ravel()[:10])
    return AnnotatedImage(root / str(row['img_path']).replace('\\', '/'), pinhole(matrix), [truth])
