"""What the commands write: never in the place of what they read, and whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping

from niki_ros.files.atomic_write import atomic_write
from niki_ros.files.output_paths import check_outputs
from niki_ros.sources.open import source_files

# what data sets, runs and shards consist of; reports may lie beside it and be made anew
_DATA = {'.npz', '.npy', '.tar', '.pt', '.pkl', '.bvh', '.onnx'}
_SETTINGS = {'settings.json', 'manifest.json'}
_READ_BY_NAME = ('video', 'camera')


def check_arguments(args, outputs: Mapping[str, Any]) -> None:
    """
    Refuse outputs that cannot be made, or are among the files that the other arguments name.

    :param outputs: name of the option → path, '-' = stdout, None = not asked for.
    :raises InputError: naming both.
    """
    written = {option.split()[0].lstrip('-').replace('-', '_') for option in outputs}
    inputs = [file for name, value in vars(args).items() if name not in written
              for file in _files(name, value)]
    check_outputs(outputs, inputs)


def write_text(path, text: str) -> None:
    """Write a file that is either whole or not there."""
    with atomic_write(path) as part:
        part.write_text(text, 'utf-8')


def _files(name: str, value) -> Iterator[Path]:
    """Yield the files that an argument names."""
    for one in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(one, str) and name in _READ_BY_NAME:
            yield from source_files(one)
        elif isinstance(one, Path) and one.is_dir():
            yield from (file for file in one.iterdir()
                        if file.suffix in _DATA or file.name in _SETTINGS)
        elif isinstance(one, Path):
            yield one
