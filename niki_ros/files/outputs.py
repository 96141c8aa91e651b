"""
Files that are either whole or not there: text lines, and a video of the overlay.

No output takes the place of an input. A link stays, and what it leads to is replaced; a device or
a pipe stays, and gets the bytes.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import count
import os
from pathlib import Path
import shutil
import stat
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

import cv2
from niki_ros.common.errors import InputError, OutputError
from niki_ros.files import mp4_times
from niki_ros.files.file_kinds import name_for_opencv
import numpy as np

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv')
"""Containers in which the encoder's pictures were found whole again."""
# a part's name is longer than that of the file, and file systems allow 255 bytes
_STEM_LENGTH = 40
_PART_NUMBERS = count()
_MOST_LINKS = 40
# a disk on which so much can still be written was not full before
_ROOM_BYTES = 4096
# frames that are off by less are meant to be steady; longer than that nobody waits for one
# of MPEG-4 part 2
_SIZES_PX = (2, 8191)
_UNEVEN_NS, _LONGEST_NS = 1_000_000, 3_600_000_000_000


@contextmanager
def whole_file(path, suffixes=()) -> Iterator[Path]:
    """
    Hand out a temporary path; what is there when the block ends well gets the name ``path``.

    :param suffixes: endings that the writer knows; a device or pipe needs none of them.
    :raises InputError: where ``path`` cannot be written.
    :raises OutputError: where it could not be written to its end.
    """
    if _is_stream(path):
        with TemporaryDirectory(prefix='niki_') as folder:
            part = Path(folder, 'out').with_suffix(suffixes[0] if suffixes else '')
            yield part
            with _named_failure(path), _open_stream(path) as stream, part.open('rb') as file:
                shutil.copyfileobj(file, stream)
        return
    target, part = _target_and_part(path, suffixes)
    try:
        yield part
        with _named_failure(path):
            _to_disk(part)
            if target.exists():
                shutil.copymode(target, part)
            os.replace(part, target)
    except BrokenPipeError as error:
        raise OutputError(f'{path} is not written: who reads the other output has ended'
                          ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def line_writer(path) -> Iterator[Callable[[str], Any]]:
    """
    Hand out a function that writes a line of UTF-8; a device or pipe gets each one at once.

    :raises InputError: where ``path`` cannot be written.
    :raises OutputError: where it could not be written to its end.
    """
    if _is_stream(path):
        with _named_failure(path):
            stream = _open_stream(path)
        with _lines_to(stream, path) as write:
            yield write
        return
    with whole_file(path) as part:
        with _named_failure(path):
            stream = part.open('wb')
        with _lines_to(stream, path) as write:
            yield write


def check_outputs(outputs: Mapping[str, Any], inputs: Iterable,
                  suffixes: Optional[Mapping[str, Tuple[str, ...]]] = None) -> None:
    """
    Refuse outputs that cannot be made, or would take the place of an input or another output.

    :param outputs: name of the option → path, '-' = stdout, None = not asked for.
    :param inputs: files that are read, by whatever path or link.
    :param suffixes: name of the option → endings that its writer knows.
    :raises InputError: naming both.
    """
    read = {_identity(path): path for path in inputs if path and os.path.exists(path)}
    taken: Dict[Any, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        one = _identity(path)
        if one in read:
            raise InputError(f'{option} {path} is the input {read[one]}, which it would replace; '
                             'give another name')
        if one in taken and not _is_character_device(path):
            raise InputError(f'{option} {path} is {taken[one]} too; give each a name of its own')
        taken[one] = option
        if str(path) != '-' and not _is_stream(path):
            _target_and_part(path, (suffixes or {}).get(option, ()))


def make_folder(path) -> Path:
    """
    Return the folder ``path``, made where it was not there.

    :raises InputError: where it is a file, or cannot be made.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'the folder {path} cannot be made: {error.strerror}; choose another'
                         ) from error
    return Path(path)


class VideoWriter:
    """
    A video of RGB images, MPEG-4 part 2: the one encoder that every build of OpenCV has.

    :ivar remark: after the end, why frames do not have the times that they were given; else ''.
    """

    def __init__(self, path, rate_hz: float, width: int, height: int):
        """
        Open the file.

        :raises InputError: where OpenCV cannot write such a file.
        :raises OutputError: where the disk has no room for it.
        """
        # the codec halves the colour's resolution, so an odd row or column is left out
        self._size = (width - width % 2, height - height % 2)
        self._path, self._count = path, 0
        self._times_ns: List[int] = []
        self.remark = ''
        self._shift_ns = 0
        code = cv2.VideoWriter.fourcc(*'mp4v')
        self._writer = cv2.VideoWriter()
        rate_hz = self._rate_hz = _encodable(rate_hz)
        name = name_for_opencv(path)
        if min(self._size) == 0 or not self._writer.open(name, code, rate_hz, self._size):
            try:
                _need_room(Path(path))
            except OSError as error:
                raise OutputError(f'the video could not be written: {error.strerror}; is the disk '
                                  'full? See: df -h') from error
            raise InputError(
                f'{Path(path).suffix or "a file"} of {width}x{height} at {rate_hz:g} Hz cannot be '
                f'written as a video: the encoder takes {_SIZES_PX[0]} to {_SIZES_PX[1]} pixels '
                'a side and up to 65535 Hz, and the file must end in .mp4')

    def write(self, image_rgb: np.ndarray, stamp_ns: Optional[int] = None):
        """
        Append an image (height, width, 3) uint8; a video has one size, so others are scaled.

        :param stamp_ns: its time, which mp4 and mov can hold; None = a period after the last.
        """
        width, height = self._size
        if image_rgb.shape[0] - height not in (0, 1) or image_rgb.shape[1] - width not in (0, 1):
            image_rgb = cv2.resize(image_rgb, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb[:height, :width], cv2.COLOR_RGB2BGR))
        self._count += 1
        self._times_ns.append(self._time_ns(stamp_ns))

    def close(self):
        """
        Finish the file.

        :raises OutputError: where not all of it has reached the disk.
        """
        self._writer.release()
        if self._count and not _holds(self._path, self._count):
            raise OutputError(f'the video could not be written to its end ({self._count} images); '
                              'is the disk full? See: df -h')
        # last: frames are looked for by their number times the period
        with _named_failure(self._path):
            self._write_times()

    def _time_ns(self, stamp_ns: Optional[int]) -> int:
        """Return when a frame is shown: a clock that was set is no time that passed."""
        if stamp_ns is None or not self._times_ns:
            stamp_ns = stamp_ns or 0
            self._shift_ns = self._end_ns() - stamp_ns
        time_ns = stamp_ns + self._shift_ns
        if self._times_ns and not 0 < time_ns - self._times_ns[-1] < _LONGEST_NS:
            time_ns = self._end_ns()
            self._shift_ns = time_ns - stamp_ns
        return time_ns

    def _end_ns(self) -> int:
        return self._times_ns[-1] + round(1e9 / self._rate_hz) if self._times_ns else 0

    def _write_times(self):
        """Put the times into the file, where they are not those that it has by its rate."""
        steady_ns = np.arange(len(self._times_ns)) * (1e9 / self._rate_hz)
        if np.abs(steady_ns - self._times_ns).max(initial=0.0) < _UNEVEN_NS:
            return
        if Path(self._path).suffix.lower() in mp4_times.SUFFIXES:
            mp4_times.write_times(self._path, [*self._times_ns, self._end_ns()])
        else:
            self.remark = (f'the overlay has {self._rate_hz:g} frames a second, and the source no '
                           'fixed rate; mp4 and mov hold the times of frames')

    def __enter__(self):
        """Return the writer itself."""
        return self

    def __exit__(self, kind, *_):
        """Finish the file; after an error that is no video to judge."""
        if kind is None:
            self.close()
        else:
            self._writer.release()


def _encodable(rate_hz: float) -> float:
    """Return the rate with as many digits as the encoder's clock takes: 16 bits in all."""
    digits = next((n for n in (3, 2, 1) if round(rate_hz * 10 ** n) < 1 << 16), 0)
    return round(rate_hz, digits)


def _holds(path, images: int) -> bool:
    """Whether a video states so many images and has the last one; the encoder reports nothing."""
    capture = cv2.VideoCapture(str(path))
    try:
        # what follows a failed write is lost too, so the end of the file tells of all
        stated = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        capture.set(cv2.CAP_PROP_POS_FRAMES, images - 1)
        return abs(stated - images) <= 1 and capture.read()[0]
    finally:
        capture.release()


def _target_and_part(path, suffixes):
    """Return the file that ``path`` leads to, and an unused name in its folder for meanwhile."""
    target = Path(os.path.realpath(path))
    if os.path.isdir(target):
        raise InputError(f'{path} is a folder; give the name of a file in it')
    if os.path.islink(target):
        raise InputError(f'{path} cannot be written: it is a link that leads to itself')
    if suffixes and target.suffix.lower() not in suffixes:
        raise InputError(f'{path} has an ending that cannot be written; give a name that ends in '
                         f'{suffixes[0]}' + ''.join(f', {one}' for one in suffixes[1:]))
    if suffixes:
        name_for_opencv(path)
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise InputError(f'{path} is there already and may not be written; give another name')
    # the suffix stays at the end: writers take the format from it
    part = target.with_name(f'.{target.stem[:_STEM_LENGTH]}.{os.getpid()}-{next(_PART_NUMBERS)}'
                            f'.part{target.suffix}')
    try:
        target.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise InputError(f'{path} cannot be written: {error.strerror}') from error
    try:
        part.touch(exist_ok=False)
        part.unlink()
    except OSError as error:
        raise InputError(f'{path} cannot be written ({error.strerror}): make the folder '
                         f'{target.parent} first, or choose one that you may write to') from error
    return target, part


def _is_stream(path) -> bool:
    """Whether bytes go straight into it: a device, a pipe, a descriptor such as /dev/stdout."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    if stat.S_ISBLK(mode):
        raise InputError(f'{path} is a disk; give the name of a file')
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _descriptor(path) is not None


def _descriptor(path) -> Optional[int]:
    """Return the descriptor of this process that the name leads to, as /dev/stdout to 1."""
    here = Path(os.path.abspath(path))
    for _ in range(_MOST_LINKS):
        parent = os.path.realpath(here.parent)
        if parent == f'/proc/{os.getpid()}/fd' and here.name.isdecimal():
            return int(here.name)
        if not here.is_symlink():
            break
        here = Path(parent, os.readlink(here))
    return None


def _open_stream(path):
    """Open what is there, never make or cut it; what a shell redirects is written on."""
    number = _descriptor(path)
    return os.fdopen(os.open(path, os.O_WRONLY) if number is None else os.dup(number), 'wb')


@contextmanager
def _lines_to(stream, path) -> Iterator[Callable[[str], Any]]:
    """Hand out the function that writes a line, and close the stream."""
    at_once = _is_stream(path)

    def write(line: str):
        with _named_failure(path):
            stream.write(line.encode('utf-8') + b'\n')
            if at_once:
                stream.flush()
    try:
        yield write
    except BaseException:
        # the first error is the one to tell; what cannot be closed is dropped
        try:
            stream.close()
        except OSError:
            pass
        raise
    with _named_failure(path):
        stream.close()


@contextmanager
def _named_failure(path):
    """Say which file could not be written; the end of a reader (head, less) is no failure."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'{path} could not be written to its end: {error.strerror}; nothing of '
                          'it is kept') from error


def _to_disk(part: Path):
    """Wait for the disk, and see that it has room left: encoders do not say when it is full."""
    _need_room(part)
    with part.open('rb') as file:
        os.fsync(file.fileno())


def _need_room(part: Path):
    """Raise OSError where nothing more can be written; the file stays as it is."""
    with part.open('ab') as file:
        length = file.tell()
        file.write(bytes(_ROOM_BYTES))
        file.flush()
        file.truncate(length)


def _identity(path):
    """Return what two names of one file have in common."""
    try:
        found = os.fstat(1) if str(path) == '-' else os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _is_character_device(path) -> bool:
    """Whether it is /dev/null or a terminal, where nothing is lost."""
    try:
        return stat.S_ISCHR((os.fstat(1) if str(path) == '-' else os.stat(path)).st_mode)
    except OSError:
        return False
