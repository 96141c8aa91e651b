"""Files of a bag, by name and by their first bytes: ROS 2 (sqlite3, MCAP) and ROS 1."""

from pathlib import Path
import re
from typing import Dict, List

from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import starts_with

_ROS_2, ROS_1 = ('.mcap', '.db3'), '.bag'
SUFFIXES = (*_ROS_2, ROS_1)
_MCAP_HEAD, _SQLITE_HEAD, _ROS_1_HEAD = b'\x89MCAP0\r\n', b'SQLite format 3\0', b'#ROSBAG V'
_NUMBERED = re.compile(r'(.*)_\d+')  # rosbag2 numbers the files of one recording
_ZSTD, _METADATA = '.zstd', 'metadata.yaml'


def is_bag(path) -> bool:
    """Whether a path is the folder or a file of a bag, complete or not."""
    path = Path(path)
    if path.is_dir():
        return (path / _METADATA).is_file() or bool(_recordings(path))
    return path.is_file() and (_has_bag_name(path) or starts_with(
        path, _MCAP_HEAD, _SQLITE_HEAD, _ROS_1_HEAD))


def bag_files(path) -> List[Path]:
    """Return all files of the bag that has this folder or file."""
    path = Path(path)
    folder = path.parent if path.is_file() else path
    has_metadata = (folder / _METADATA).is_file()
    if path.is_file() and not has_metadata:
        return [path]
    return [folder / _METADATA] * has_metadata + sorted(filter(_has_bag_name, folder.iterdir()))


def paths_for_rosbags(path) -> List[Path]:
    """Return the paths that rosbags opens: the folder, or its files where it has no metadata."""
    path = Path(path)
    if _has_metadata(path):
        return [path]
    if path.is_file() and _has_metadata(path.parent) and path.suffix != ROS_1:
        return [path.parent]
    files = [path] if path.is_file() else _only_recording(path)
    for file in files:
        _check_readable(file)
    return files


def lacks_metadata(path) -> bool:
    """Whether a path is the folder of a ROS 2 bag without a complete metadata.yaml."""
    path = Path(path)
    return path.is_dir() and not _has_metadata(path) and any(
        one.suffix in _ROS_2 for one in path.iterdir())


def _has_metadata(folder: Path) -> bool:
    """Whether metadata.yaml lists the files; a recorder that was killed leaves a part of it."""
    try:
        return b'relative_file_paths' in (folder / _METADATA).read_bytes()
    except OSError:
        return False


def _has_bag_name(path: Path) -> bool:
    """Whether a file has the suffix of a bag, perhaps followed by that of a compressed file."""
    name = path.name.removesuffix(_ZSTD).removesuffix('.active')
    return name.endswith(SUFFIXES) and not name.startswith('.') and path.is_file()


def _recordings(folder: Path) -> Dict[str, List[Path]]:
    """Return the bag files in a folder by recording, in the order of their numbers."""
    found: Dict[str, List[Path]] = {}
    for file in folder.iterdir():
        if _has_bag_name(file):
            stem = file.name.partition('.')[0] if file.suffix == _ZSTD else file.stem
            match = _NUMBERED.fullmatch(stem) if file.suffix != ROS_1 else None
            found.setdefault(match[1] if match else file.name, []).append(file)
    return {name: sorted(files, key=lambda one: (len(one.name), one.name))
            for name, files in found.items()}


def _only_recording(folder: Path) -> List[Path]:
    found = _recordings(folder)
    if not found:
        raise SourceError(f'{folder} holds a damaged {_METADATA}, and no file of a bag '
                          f'({", ".join(SUFFIXES)}); copy it again')
    if len(found) > 1:
        names = ', '.join(sorted(one.name for files in found.values() for one in files))
        raise SourceError(f'{folder} holds {len(found)} recordings and no {_METADATA}; give one '
                          f'of its files: {names}')
    return next(iter(found.values()))


def _check_readable(file: Path) -> None:
    if file.suffix == _ZSTD:
        raise SourceError(f'{file} is compressed, and there is no {_METADATA}; unpack it: '
                          f"zstd -d '{file}'")
    if file.suffix == '.active' or (starts_with(file, _ROS_1_HEAD) and file.suffix != ROS_1):
        stem = file.name.removesuffix('.active').removesuffix(ROS_1)
        raise SourceError(f'{file} is a ROS 1 bag with another suffix; rename it to '
                          f'{stem}{ROS_1}; where its recorder was killed, also: rosbag reindex')
    for head, suffix in ((_MCAP_HEAD, '.mcap'), (_SQLITE_HEAD, '.db3')):
        if starts_with(file, head) and file.suffix not in _ROS_2:
            raise SourceError(f'{file} is a ROS 2 bag; rename it to {file.name}{suffix}')
    if file.is_file() and file.stat().st_size == 0:
        raise SourceError(f'{file} is empty (0 bytes): nothing was recorded, or it was not copied')
