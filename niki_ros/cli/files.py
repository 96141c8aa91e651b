"""What a verb reads and what it writes must be different files; looked at before any is opened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, List, Mapping, Optional


def check_files(outputs: Mapping[str, Any], source, camera: Optional[str],
                settings: Mapping[str, Any], **suffixes) -> None:
    """
    Refuse outputs that cannot be made, or would take the place of a file that the verb reads.

    :param outputs: name of the option → path, None where it was not given.
    :param source: video, folder of images or bag; None where there is none.
    :param suffixes: name of the option without dashes = endings that can be written.
    :raises InputError: naming both.
    """
    from niki_ros.files.output_paths import check_outputs
    from niki_ros.models.model_store import shipped_models
    from niki_ros.sources.open import source_files
    read = [] if source is None else source_files(source)
    read += shipped_models().glob('*/*')
    for value in settings.values():
        read += _model_files(value)
    check_outputs(outputs, [*read, camera],
                  {f'--{name}': endings for name, endings in suffixes.items()})


def _model_files(value) -> List[Path]:
    """
    Return the files of a model folder, or of a graph, that a setting names.

    Also of the model folders beside it: one may be a part of another.
    """
    if not isinstance(value, str) or not value:
        return []
    path = Path(os.path.expanduser(value))
    if (path / 'manifest.json').is_file():
        return [file for folder in path.resolve().parent.iterdir()
                if (folder / 'manifest.json').is_file()
                for file in folder.iterdir() if file.is_file()]
    return [path] if path.is_file() else []
