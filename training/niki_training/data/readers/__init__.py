"""
Readers of motion files of data sets; each returns a :class:`Motion` with y up.

A data set may be given as the folder in which it is unpacked; clips are found by their names.
"""

from pathlib import Path
from typing import Callable

from niki_ros.common.errors import InputError
import numpy as np
from tqdm import tqdm

from niki_training.data.frame_rate import checked_rate_hz
from niki_training.data.motion import join_motions, Motion
from niki_training.data.store import load_motion

PATTERNS = {
    'archive': ('*.npz',), 'amass': ('*_poses.npz', '*_stageii.npz'), '3dpw': ('*.pkl',),
    '3dpw-occ': ('*.pkl',), 'agora': ('*.pkl',), '3doh': ('annots.json',), 'h36m': ('*.json',),
    '3dhp': ('*.json',), 'hybrik': ('*.json',), 'bvh': ('*.bvh',)}
"""Format → names of clips in a folder. AMASS has other files too, such as ``shape.npz``."""
FORMATS = tuple(PATTERNS)
_FIT_FOLDERS = ('smpl_gt', 'smplx_gt')  # folders of AGORA that hold fits, not scenes


def read_motion(path, kind: str, joint_map: dict | None = None,
                video_fps: float | None = None, first_is_t_pose: bool = False) -> Motion:
    """
    Read one file, or every clip of a folder.

    :param kind: one of ``FORMATS``. :param joint_map: for BVH: our joint → joint of the file.
    :param video_fps: rate of the videos of ``h36m``, ``3dhp``, ``hybrik``; None = 50, 25, 30.
    :param first_is_t_pose: for BVH: the first frame of each clip is a T-pose.
    """
    path = Path(path)
    if kind not in PATTERNS:
        raise InputError(f'{path}: unknown kind {kind!r}; expected one of {", ".join(FORMATS)}')
    read = _reader(kind, joint_map, video_fps, first_is_t_pose)
    if not path.is_dir():
        return _checked(path, read(path))
    parts = []
    for file in tqdm(_clips(path, kind), unit='clip', disable=None, leave=False):
        motion = _checked(file, read(file))
        if kind in ('amass', 'bvh') and file.parent != path:
            folder = file.parent.relative_to(path).as_posix()   # one folder per subject
            motion.names = np.asarray([f'{folder}/{file.stem}'])
        parts.append(motion)
    return join_motions(parts)


def _clips(folder: Path, kind: str) -> list[Path]:
    # archives that were packed on macOS hold a ._name for every file
    found = sorted({file for pattern in PATTERNS[kind] for file in folder.rglob(pattern)
                    if not file.name.startswith('.') and file.is_file()})
    if kind == 'agora':
        found = [file for file in found
                 if not set(_FIT_FOLDERS) & set(file.relative_to(folder).parts)]
    if kind == '3dpw-occ':
        from niki_training.data.readers.threedpw import is_occluded
        found = [file for file in found if is_occluded(file)]
    if not found:
        raise InputError(f'{folder}: no {" or ".join(PATTERNS[kind])} of {kind} in it')
    return found


def _reader(kind: str, joint_map, video_fps, first_is_t_pose) -> Callable[[Path], Motion]:
    """Return the function that reads one file; its module is imported only now."""
    if kind == 'archive':
        return load_motion
    if kind == 'bvh':
        from niki_training.data.readers.bvh import read_bvh
        return lambda path: read_bvh(path, joint_map or {}, first_is_t_pose)
    if kind in ('h36m', '3dhp', 'hybrik'):
        from niki_training.data.readers.hybrik import read_hybrik, VIDEO_FPS
        fps = VIDEO_FPS[kind] if video_fps is None else checked_rate_hz('--fps', video_fps)
        return lambda path: read_hybrik(path, fps)
    from niki_training.data.readers.agora import read_agora
    from niki_training.data.readers.amass import read_amass
    from niki_training.data.readers.threedoh import read_3doh
    from niki_training.data.readers.threedpw import read_3dpw
    readers: dict[str, Callable[[Path], Motion]] = {
        'amass': read_amass, '3dpw': read_3dpw, '3dpw-occ': read_3dpw, 'agora': read_agora,
        '3doh': read_3doh}
    return readers[kind]


def _checked(path: Path, motion: Motion) -> Motion:
    if not len(motion.rotvec) or not len(motion.lengths) or min(motion.lengths) < 1:
        raise InputError(f'{path}: an empty clip; leave it out')
    if not np.isfinite(motion.rotvec).all():
        raise InputError(f'{path}: it has rotations that are not finite; leave it out')
    return motion
