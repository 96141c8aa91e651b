"""
Reader of Human3.6M in HybrIK's annotations of subjects 9 and 11.

Protocol 1 has all four cameras, protocol 2 the frontal one (60457274, ``ca_04``), both with every
fifth frame of the videos at 50 fps (HMR, Kanazawa et al. 2018; SPIN's
``datasets/preprocess/h36m.py``), or those of them that HybrIK's test files hold. Three recordings
with wrong annotations are left out, as HybrIK does. The joints are measured; 14 of 17 count
(Human3.6M's order, head and neck included), or all 17.
"""

from pathlib import Path
from typing import Iterator

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.readers.hybrik import rows_of, videos_of
from niki_training.evaluate.datasets.annotations import (
    AnnotatedImage,
    PersonTruth,
    pinhole,
    root_of,
    Sequence,
)
from niki_training.files.archives import reason

_FPS, _FRAME_STEP = 50.0, 5
_FRONTAL = '_ca_04'
_SUBJECTS = ('s_09_', 's_11_')
_EXCLUDED = ('s_09_act_05_subact_02', 's_09_act_10_subact_02', 's_09_act_13_subact_01')
_MAX_METRES = 20.0  # joints about the pelvis with larger numbers than this are in millimetres


def sequences(folder: Path, protocol: int = 2) -> Iterator[Sequence]:
    """Yield the videos of a folder with ``annotations`` and ``images``, or of the JSON itself."""
    file = _annotations(Path(folder))
    root, rows, found = root_of(file.parent, 'images'), rows_of(file), False
    for (_, video), numbered in sorted(videos_of(rows).items()):
        frames = []
        for number, i in sorted(numbered):
            name = str(rows[i].get('file_name', ''))
            if _counts(name, protocol) and (number - 1) % _FRAME_STEP == 0:
                frames.append(_frame(file, root, name, number, rows[i]))
        if frames:
            found = True
            yield Sequence(frames[0].file.parent.name or video, frames)
    if not found:
        raise InputError(f'{file}: no frame of subjects 9 and 11 that counts in protocol '
                         f'{protocol}; give the annotations of the test set')


def _annotations(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob('annotations/*test*.json')) or sorted(path.glob('*test*.json'))
    if len(found) != 1:
        raise InputError(f"{path}: {len(found)} annotations of a test set; give HybrIK's JSON, "
                         'such as annotations/Sample_20_test_Human36M_smpl_protocol_2.json')
    return found[0]


def _counts(name: str, protocol: int) -> bool:
    return (any(subject in name for subject in _SUBJECTS)
            and not any(excluded in name for excluded in _EXCLUDED)
            and (protocol == 1 or _FRONTAL in name))


def _frame(file: Path, root: Path, name: str, number: int, row: dict) -> AnnotatedImage:
    try:
        matrix = np.eye(3)
        matrix[[0, 1], [0, 1]] = row['cam_param']['f']
        matrix[:2, 2] = row['cam_param']['c']
        joints17 = np.asarray(row['h36m_joints'], float).reshape(17, 3)
        body = np.asarray(row['smpl_joints'], float).reshape(-1, 3)[:24]
        if body.shape != (24, 3):
            raise ValueError(f'smpl_joints of shape {body.shape}')
        x, y, width, height = np.asarray(row['bbox'], float)
        theta = np.asarray(row['thetas'], float).reshape(24, 3)
        betas = np.asarray(row['betas'], float).ravel()[:10]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: {name}: HybrIK's annotations have cam_param, h36m_joints, "
                         f'smpl_joints, bbox, thetas, betas ({reason(error)})') from error
    if np.abs(joints17 - joints17[0]).max() > _MAX_METRES:
        joints17, body = joints17 / 1000, body / 1000
    flat = body @ matrix.T
    truth = PersonTruth(body, flat[:, :2] / flat[:, 2:], np.asarray([x, y, x + width, y + height]),
                        rotmat_from_rotvec(theta), betas, 'neutral', joints17)
    return AnnotatedImage(root / 'images' / name, pinhole(matrix), [truth], number / _FPS)
