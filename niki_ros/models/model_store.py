"""Models by name: those that ship with the package, and folders at a path."""

import os
from pathlib import Path
from typing import List, Optional, Tuple

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import MANIFEST, ModelFolder, read_model_folder

LANDMARK_SIZES = ('lite', 'full', 'heavy')
LIFTED_OBSERVERS = ('landmarks', 'look')
"""Front ends with keypoints for the lifter."""


def shipped_models() -> Path:
    return Path(__file__).parent


def shipped_names() -> List[str]:
    """Return the names of the models that ship, in alphabetical order."""
    return sorted(file.parent.name for file in shipped_models().glob(f'*/{MANIFEST}'))


def shipped_folders() -> List[ModelFolder]:
    """Return the model folders that ship, in alphabetical order."""
    return [read_model_folder(shipped_models() / name) for name in shipped_names()]


def folder_of(name: str) -> Optional[Path]:
    """Return the folder of a model that ships, or the one at a path; None where there is none."""
    if name in shipped_names():
        return shipped_models() / name
    folder = Path(os.path.expanduser(name))
    return folder if name and folder.is_dir() else None


def find_model(name: str) -> ModelFolder:
    """Return the model folder of a model that ships, or the one at a path."""
    folder = folder_of(name)
    if folder is not None:
        return read_model_folder(folder)
    raise ModelError(f'no model {name!r}: it is neither one that ships '
                     f'({", ".join(shipped_names())}) nor a model folder: there is no such '
                     'directory')


def graphs_of(config) -> List[Tuple[str, ModelFolder]]:
    """
    Return (role, folder) of every graph that these settings (PipelineConfig) run.

    The roles are ``detector``, ``landmarks`` (any network that follows one person), ``lifter`` and
    ``solver``.
    """
    observer, found = config.observer, []
    if observer.detector:
        found.append(('detector', find_model(observer.detector)))
    found += [('landmarks', folder) for folder in _followers(observer)]
    if config.lifter.name and observer.name in LIFTED_OBSERVERS:
        found.append(('lifter', find_model(config.lifter.name)))
    if config.solver.name != 'analytic':
        found.append(('solver', find_model(config.solver.name)))
    return found


def _followers(observer) -> List[ModelFolder]:
    """Return the networks that follow one person, by the settings of the front end."""
    sizes = LANDMARK_SIZES if observer.model == 'auto' else (observer.model,)
    if observer.name == 'landmarks':
        return [find_model(f'landmarks-{size}') for size in sizes]
    if observer.name == 'look' and not observer.path:
        return [find_look(size) for size in sizes]
    return [find_model(observer.path)]


def find_look(size: str) -> ModelFolder:
    """Return the model folder look-<size> that ships; a ModelError names the remedy."""
    name = f'look-{size}'
    if name in shipped_names():
        return find_model(name)
    raise ModelError(f'no model {name} ships with this version; train one with niki-train look '
                     f'--size {size}, export it with niki-export CHECKPOINT {name}, and set '
                     f'observer.path to that folder; or set observer.name to landmarks')
