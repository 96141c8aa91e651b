"""Devices, pipes and open descriptors of this process, which receive bytes directly."""

import os
from pathlib import Path
import stat
from typing import BinaryIO, Optional, Tuple, Union

from niki_ros.common.errors import InputError

_MAX_SYMLINKS = 40  # as many as Linux follows


def is_device_or_pipe(path) -> bool:
    """Whether ``path`` is a device, a pipe or a descriptor of this process such as /dev/stdout."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    if stat.S_ISBLK(mode):  # writing to it would destroy a file system
        raise InputError(f'{path} is a disk; give the name of a file')
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _descriptor(path) is not None


def is_character_device(path) -> bool:
    """Whether ``path`` ('-' = stdout) is /dev/null or a terminal, which two outputs may share."""
    try:
        return stat.S_ISCHR(_stat(path).st_mode)
    except OSError:
        return False


def open_device_or_pipe(path) -> BinaryIO:
    """Open ``path`` for writing, neither created nor truncated: a redirected file is continued."""
    number = _descriptor(path)
    return os.fdopen(os.open(path, os.O_WRONLY) if number is None else os.dup(number), 'wb')


def file_identity(path) -> Union[str, Tuple[int, int]]:
    """Return device and inode, equal for all names of one file; without a file, the real path."""
    try:
        found = _stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _stat(path) -> os.stat_result:
    return os.fstat(1) if str(path) == '-' else os.stat(path)


def _descriptor(path) -> Optional[int]:
    """Return the descriptor of this process that a path leads to: 1 for /dev/stdout."""
    here = Path(os.path.abspath(path))
    for _ in range(_MAX_SYMLINKS):
        parent = os.path.realpath(here.parent)
        if parent == f'/proc/{os.getpid()}/fd' and here.name.isdecimal():
            return int(here.name)
        if not here.is_symlink():
            break
        here = Path(parent, os.readlink(here))
    return None
