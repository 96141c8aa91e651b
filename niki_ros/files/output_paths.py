"""Checks of the paths of output files, made before any of the files is opened."""

from itertools import count
import os
from pathlib import Path
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from niki_ros.common.errors import InputError
from niki_ros.files.devices import file_identity, is_character_device, is_device_or_pipe
from niki_ros.files.file_kinds import name_for_opencv

# a temporary name is longer than that of the file, and file systems allow 255 bytes
_MAX_STEM_CHARACTERS = 40
_TEMPORARY_NUMBERS = count()


def check_outputs(outputs: Mapping[str, Any], inputs: Iterable,
                  suffixes: Optional[Mapping[str, Sequence[str]]] = None) -> None:
    """
    Check that outputs can be written and replace neither an input nor another output.

    :param outputs: name of the option → path; '-' = stdout, None = option not given.
    :param suffixes: name of the option → file name endings that its writer supports.
    :raises InputError: with the option and the path; in a conflict, also the other path.
    """
    input_paths = {file_identity(path): path for path in inputs if path and os.path.exists(path)}
    options: Dict[Any, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        identity = file_identity(path)
        if identity in input_paths:
            raise InputError(f'{option} {path} is the input {input_paths[identity]}, which it '
                             'would replace; give another name')
        if identity in options and not is_character_device(path):
            raise InputError(f'{option} {path} is the same file as that of {options[identity]}; '
                             'give each option a different name')
        options[identity] = option
        if str(path) != '-' and not is_device_or_pipe(path):
            target_and_temporary(path, (suffixes or {}).get(option, ()))


def target_and_temporary(path, suffixes: Sequence[str] = ()) -> Tuple[Path, Path]:
    """Return the file that ``path`` leads to, and an unused temporary name in the same folder."""
    target = Path(os.path.realpath(path))
    _check_target(path, target, suffixes)
    # the suffix stays at the end: writers derive the format from it
    temporary = target.with_name(
        f'.{target.stem[:_MAX_STEM_CHARACTERS]}.{os.getpid()}-{next(_TEMPORARY_NUMBERS)}'
        f'.part{target.suffix}')
    try:
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise InputError(f'{path} cannot be written ({error.strerror}): make the folder '
                         f'{target.parent} first, or choose one that you may write to') from error
    return target, temporary


def _check_target(path, target: Path, suffixes: Sequence[str]):
    if os.path.isdir(target):
        raise InputError(f'{path} is a folder; give the name of a file in it')
    if os.path.islink(target):
        raise InputError(f'{path} cannot be written: it is a link that leads to itself')
    if suffixes and target.suffix.lower() not in suffixes:
        raise InputError(f'{path} has an ending that is not supported; give a name that ends in '
                         f'{", ".join(suffixes)}')
    if suffixes:
        name_for_opencv(path)
    try:
        target.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f'{path} cannot be written: {error.strerror}') from error
    if not os.access(target, os.W_OK):
        raise InputError(f'{path} exists and is write-protected; give another name')
