"""Reader of AGORA: data frames of scenes, and an SMPL or SMPL-X fit of every person."""

from pathlib import Path

from niki_ros.body.rotations import rotvec_from_rotmat
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import Motion
from niki_training.data.readers.amass import from_body_poses
from niki_training.files.data_frames import read_frame
from niki_training.files.pickles import dense, restricted_load

_FITS = ('gt_path_smpl', 'gt_path_smplx')
_ROOTS, _BODIES = ('root_pose', 'global_orient'), ('body_pose',)


def read_agora(path) -> Motion:
    """Read the poses of all valid people; the frame names their fits, in its folder or above."""
    frame = read_frame(path)
    kinds = [kind for kind in _FITS if kind in frame]
    if not kinds:
        raise InputError(f'{path}: not a data frame of AGORA: no {" and no ".join(_FITS)} in it')
    valid = frame.get('isValid', [None] * len(frame[kinds[0]]))
    poses, names = [], []
    for scene, (fits, good) in enumerate(zip(frame[kinds[0]], valid)):
        for person, fit in enumerate(fits):
            if good is None or good[person]:
                poses.append(_pose(_fit_file(Path(path), str(fit))))
                # the scan is the subject: the same person is in many scenes
                names.append(f'{Path(str(fit)).stem}/{Path(path).stem}-{scene}-{person}')
    if not poses:
        raise InputError(f'{path}: none of its people is valid')
    motion = from_body_poses(np.stack(poses), 30.0, '')
    return Motion(motion.rotvec, np.ones(len(poses), dtype=np.int64), np.asarray(names))


def _fit_file(path: Path, named: str) -> Path:
    """Return the pickle of a fit; the frame gives the name of its mesh."""
    relative = Path(named).with_suffix('.pkl')
    for folder in path.resolve().parents:
        if not relative.is_absolute() and (folder / relative).is_file():
            return folder / relative
    raise InputError(f'{path}: unpack the fit {relative} in its folder or in one above')


def _pose(path: Path) -> np.ndarray:
    """Return the rotation vectors (66,) of the root and 21 joints of one fit, radians."""
    fit = restricted_load(path)
    parts = []
    for names, size in ((_ROOTS, 3), (_BODIES, 63)):
        name = next((name for name in names if isinstance(fit, dict) and name in fit), None)
        if name is None:
            raise InputError(f'{path}: no {" or ".join(names)} in it; expected a fit of AGORA')
        try:
            value = dense(fit[name]).astype(np.float64)
        except ValueError as error:
            raise InputError(f'{path}: {name}: {error}') from error
        if value.shape[-2:] == (3, 3):
            value = rotvec_from_rotmat(value)
        if value.size < size or value.size % 3:
            raise InputError(f'{path}: {name} has shape {value.shape}; expected {size} angles')
        parts.append(value.ravel()[:size])
    return np.concatenate(parts)
