"""Readers of motion files: each returns a :class:`~niki_training.data.Motion` with y up."""

from __future__ import annotations

from pathlib import Path

from niki_ros.core.errors import InputError

from niki_training.data import load_motion, Motion

FORMATS = ('archive', 'amass', '3dpw', 'hybrik', 'bvh')


def read_motion(path, kind: str, joint_map: dict | None = None) -> Motion:
    """
    Read one file.

    :param kind: one of ``FORMATS``. :param joint_map: for BVH: our joint names to the file's.
    :raises InputError: when the file is not of that kind.
    """
    path = Path(path)
    if kind == 'archive':
        return load_motion(path)
    if kind == 'amass':
        from niki_training.readers.amass import read_amass
        return read_amass(path)
    if kind == '3dpw':
        from niki_training.readers.threedpw import read_3dpw
        return read_3dpw(path)
    if kind == 'hybrik':
        from niki_training.readers.hybrik import read_hybrik
        return read_hybrik(path)
    if kind == 'bvh':
        from niki_training.readers.bvh import read_bvh
        return read_bvh(path, joint_map or {})
    raise InputError(f'{path}: unknown kind {kind!r}; expected one of {", ".join(FORMATS)}')
