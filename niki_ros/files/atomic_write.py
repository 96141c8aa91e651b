"""Writing of files that are either complete or absent."""

from contextlib import contextmanager, suppress
import os
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Callable, Iterator, Sequence

from niki_ros.common.errors import InputError, OutputError
from niki_ros.files.devices import is_device_or_pipe, open_device_or_pipe
from niki_ros.files.output_paths import target_and_temporary

# a disk that takes this many more bytes was not full before
_MIN_FREE_BYTES = 4096


@contextmanager
def atomic_write(path, suffixes: Sequence[str] = ()) -> Iterator[Path]:
    """
    Yield a temporary path; its file is renamed to ``path`` when the block ends without an error.

    The target of a symbolic link is replaced; a device or a pipe receives the bytes.

    :param suffixes: file name endings that the writer supports; devices and pipes need none.
    :raises InputError: when ``path`` cannot be written.
    :raises OutputError: when writing failed, for example because the disk is full.
    """
    if is_device_or_pipe(path):
        with TemporaryDirectory(prefix='niki_') as folder:
            temporary = Path(folder, 'out').with_suffix(suffixes[0] if suffixes else '')
            yield temporary
            with (os_error_as_output_error(path), open_device_or_pipe(path) as stream,
                  temporary.open('rb') as file):
                shutil.copyfileobj(file, stream)
        return
    target, temporary = target_and_temporary(path, suffixes)
    try:
        yield temporary
        with os_error_as_output_error(path):
            _flush_to_disk(temporary)
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    except BrokenPipeError as error:
        raise OutputError(f'{path} is not written: the reader of another output has closed it'
                          ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def line_writer(path) -> Iterator[Callable[[str], Any]]:
    """Yield a function that writes one line of UTF-8; errors are those of :func:`atomic_write`."""
    if is_device_or_pipe(path):
        with os_error_as_output_error(path):
            stream = open_device_or_pipe(path)
        with _lines_to(stream, path, flush=True) as write:
            yield write
        return
    with atomic_write(path) as temporary:
        with os_error_as_output_error(path):
            stream = temporary.open('wb')
        with _lines_to(stream, path, flush=False) as write:
            yield write


def make_folder(path) -> Path:
    """Create the folder ``path`` where it is missing; return it, or raise an InputError."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f'the folder {path} cannot be made: {error.strerror}; choose another'
                         ) from error
    return Path(path)


def check_free_space(file: Path) -> None:
    """Write past the end of a file and truncate it again; an OSError means a full disk."""
    with file.open('ab') as stream:
        length = stream.tell()
        stream.write(bytes(_MIN_FREE_BYTES))
        stream.flush()
        stream.truncate(length)


@contextmanager
def os_error_as_output_error(path):
    """Convert an OSError to an OutputError that names ``path``; a closed pipe is no failure."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f'{path} could not be written to its end: {error.strerror}; nothing of '
                          'it is kept') from error


@contextmanager
def _lines_to(stream: BinaryIO, path, flush: bool) -> Iterator[Callable[[str], Any]]:
    def write(line: str):
        with os_error_as_output_error(path):
            stream.write(line.encode('utf-8') + b'\n')
            if flush:
                stream.flush()
    try:
        yield write
    except BaseException:
        with suppress(OSError):  # the first error is reported, not that of closing
            stream.close()
        raise
    with os_error_as_output_error(path):
        stream.close()


def _flush_to_disk(file: Path):
    """Write a file from the cache to the disk; encoders do not report that a disk is full."""
    check_free_space(file)
    with file.open('rb') as stream:
        os.fsync(stream.fileno())
