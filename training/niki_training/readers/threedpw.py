"""3DPW: one pickle a sequence, read without running anything that is in it."""

from __future__ import annotations

import pickle

from niki_ros.core.errors import InputError
import numpy as np

from niki_training.data import Motion
from niki_training.readers.amass import from_body_poses

_ALLOWED = {
    (module, name)
    for core in ('numpy.core', 'numpy._core')
    for module, name in ((f'{core}.multiarray', '_reconstruct'), (f'{core}.multiarray', 'scalar'),
                         (f'{core}.numeric', '_frombuffer'))
} | {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode')}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that builds arrays and plain containers, nothing else."""

    def find_class(self, module, name):
        """Allow what arrays need; refuse the rest, because a pickle can run any program."""
        if (module, name) not in _ALLOWED:
            raise InputError(f'the pickle asks for {module}.{name}; only arrays are read')
        return super().find_class(module, name)


def restricted_load(path):
    """Return the content of a pickle made of arrays, lists, dicts, numbers and text."""
    try:
        with open(path, 'rb') as file:
            return _ArraysOnly(file, encoding='latin1').load()
    except (OSError, pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError,
            IndexError, ImportError) as error:
        raise InputError(f'{path}: not a readable pickle ({error})') from error


def read_3dpw(path) -> Motion:
    """Read ``poses`` of every person, a list of (T, 72) at 30 fps; y is up in its world."""
    data = restricted_load(path)
    if not isinstance(data, dict) or 'poses' not in data:
        raise InputError(f'{path}: no "poses" in it; expected a 3DPW sequence file')
    people = []
    for i, poses in enumerate(data['poses']):
        poses = np.asarray(poses, dtype=np.float64)
        if poses.ndim != 2 or poses.shape[1] != 72:
            raise InputError(f'{path}: poses[{i}] has shape {poses.shape}; expected (T, 72)')
        people.append(from_body_poses(poses, 30.0, f'{path.stem}_{i}'))
    return Motion(np.concatenate([p.rotvec for p in people]),
                  np.concatenate([p.lengths for p in people]),
                  np.concatenate([p.names for p in people]))
