"""Checks of the commands' outputs: they replace no input and are complete or absent."""

from pathlib import Path
from typing import Any, Iterator, Mapping

from niki_ros.files.atomic_write import atomic_write
from niki_ros.files.output_paths import check_outputs
from niki_ros.sources.open import source_files

# files of data sets, runs and shards; reports in the same folder may be replaced
_DATA_SUFFIXES = {'.npz', '.npy', '.tar', '.pt', '.pkl', '.bvh', '.onnx'}
_SETTINGS_NAMES = {'settings.json', 'manifest.json'}
_SOURCE_ARGUMENTS = ('video', 'camera')


def check_arguments(args, outputs: Mapping[str, Any]) -> None:
    """
    Check that outputs can be written and are not among the files of the other arguments.

    :param outputs: name of the option → path; '-' = stdout, None = no output.
    """
    written = {option.split()[0].lstrip('-').replace('-', '_') for option in outputs}
    inputs = [file for name, value in vars(args).items() if name not in written
              for file in _files(name, value)]
    check_outputs(outputs, inputs)


def write_text(path, text: str) -> None:
    """Write a text file; after an error the file is as before."""
    with atomic_write(path) as part:
        part.write_text(text, 'utf-8')


def _files(name: str, value) -> Iterator[Path]:
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, str) and name in _SOURCE_ARGUMENTS:
            yield from source_files(one)
        elif isinstance(one, Path) and one.is_dir():
            yield from (file for file in one.iterdir()
                        if file.suffix in _DATA_SUFFIXES or file.name in _SETTINGS_NAMES)
        elif isinstance(one, Path):
            yield one
