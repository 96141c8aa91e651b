"""Which files are a bag, by name and by what they begin with: ROS 2 (sqlite3, MCAP), ROS 1."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Dict, List

from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import starts_with

_ROS_2, ROS_1 = ('.mcap', '.db3'), '.bag'
SUFFIXES = (*_ROS_2, ROS_1)
_MCAP, _SQLITE, _ROS_1_START = b'\x89MCAP0\r\n', b'SQLite format 3\0', b'#ROSBAG V'
# rosbag2 numbers the files of one recording
_NUMBERED = re.compile(r'(.*)_\d+')
_ZSTD, _ABOUT = '.zstd', 'metadata.yaml'


def is_bag(path) -> bool:
    """Whether this is the folder or a file of a bag, whole or not."""
    path = Path(path)
    if path.is_dir():
        return (path / _ABOUT).is_file() or bool(_recordings(path))
    return path.is_file() and (_named(path) or starts_with(path, _MCAP, _SQLITE, _ROS_1_START))


def bag_files(path) -> List[Path]:
    """Return the files of the bag that this is the folder or a file of."""
    path = Path(path)
    if path.is_file() and not (path.parent / _ABOUT).is_file():
        return [path]
    folder = path.parent if path.is_file() else path
    about = [folder / _ABOUT] if (folder / _ABOUT).is_file() else []
    return about + sorted(one for one in folder.iterdir() if _named(one))


def parts_to_open(path) -> List[Path]:
    """
    Return what rosbags is to open: the folder, or the files where no metadata.yaml describes it.

    :raises SourceError: where several recordings are there, or a file must be mended first.
    """
    path = Path(path)
    if _described(path):
        return [path]
    if path.is_file() and _described(path.parent) and path.suffix != ROS_1:
        return [path.parent]
    if path.is_file():
        files = [path]
    else:
        found = _recordings(path)
        if len(found) > 1:
            names = ', '.join(sorted(one.name for files in found.values() for one in files))
            raise SourceError(f'{path} holds {len(found)} recordings and no metadata.yaml; give '
                              f'one of its files: {names}')
        files = next(iter(found.values()), [])
        if not files:
            raise SourceError(f'{path} holds a {_ABOUT} that is damaged, and no file of a bag '
                              f'({", ".join(SUFFIXES)}); copy it again')
    for file in files:
        _refuse_unreadable(file)
    return files


def lacks_description(path) -> bool:
    """Whether it is the folder of a bag of ROS 2 without a whole metadata.yaml."""
    path = Path(path)
    return path.is_dir() and not _described(path) and any(
        one.suffix in _ROS_2 for one in path.iterdir())


def _described(folder: Path) -> bool:
    """Whether its metadata.yaml says which files it has; a recorder that dies leaves a part."""
    try:
        return b'relative_file_paths' in (folder / _ABOUT).read_bytes()
    except OSError:
        return False


def _named(path: Path) -> bool:
    """Whether a file is called as one of a bag; a compressed one has its ending after that."""
    name = path.name.removesuffix(_ZSTD).removesuffix('.active')
    return name.endswith(SUFFIXES) and not name.startswith('.') and path.is_file()


def _recordings(folder: Path) -> Dict[str, List[Path]]:
    """Return the files of bags in a folder by recording, in the order of their numbers."""
    found: Dict[str, List[Path]] = {}
    for file in folder.iterdir():
        if _named(file):
            stem = file.name.partition('.')[0] if file.suffix == _ZSTD else file.stem
            match = _NUMBERED.fullmatch(stem) if file.suffix != ROS_1 else None
            found.setdefault(match[1] if match else file.name, []).append(file)
    return {name: sorted(files, key=lambda one: (len(one.name), one.name))
            for name, files in found.items()}


def _refuse_unreadable(file: Path) -> None:
    """Name the command that makes readable what a recorder has left compressed or unfinished."""
    if file.suffix == _ZSTD:
        raise SourceError(f'{file} is compressed, and no metadata.yaml is beside it; unpack it: '
                          f"zstd -d '{file}'")
    if file.suffix == '.active' or (starts_with(file, _ROS_1_START) and file.suffix != ROS_1):
        whole = file.name.removesuffix('.active').removesuffix(ROS_1)
        raise SourceError(f'{file} is a bag of ROS 1 under another name; rename it to '
                          f'{whole}{ROS_1}; where its recorder was killed, also: rosbag reindex')
    for start, suffix in ((_MCAP, '.mcap'), (_SQLITE, '.db3')):
        if starts_with(file, start) and file.suffix not in _ROS_2:
            raise SourceError(f'{file} is a bag of ROS 2 under another name; rename it to '
                              f'{file.name}{suffix}')
    if file.is_file() and file.stat().st_size == 0:
        raise SourceError(f'{file} is empty (0 bytes): nothing was recorded, or it was not copied')
