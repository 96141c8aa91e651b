"""Solvers from 29 joints to 24 rotations. May import lifters, backends, models, scene and body."""

from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import MANIFEST, read_model_folder
from niki_ros.models.model_store import folder_of, shipped_folders, shipped_models
from niki_ros.solvers.solver import Solver, Track

__all__ = ['load_solver', 'shipped_models', 'Solver', 'Track']

NIKI_KINDS = ('two_stage', 'one_stage', 'temporal', 'mlp')
"""Kinds of model folders of :class:`niki_ros.solvers.niki.NikiSolver`."""


def load_solver(name: str, **options) -> Solver:
    """
    Return a solver by name, or by the path of a model folder.

    :param options: of the solver's ``from_folder``, such as ``refine`` and ``backend``.
    :raises ModelError: when there is no solver of that name, or its files are damaged.
    """
    if name == 'analytic':
        from niki_ros.solvers.analytic import AnalyticSolver
        return AnalyticSolver()
    folder = folder_of(name)
    if folder is None or not (folder / MANIFEST).is_file():
        shipped = [f.name for f in shipped_folders() if f.manifest['kind'] in NIKI_KINDS]
        raise ModelError(f'no solver {name!r}: it is neither analytic, nor one that ships '
                         f'({", ".join(shipped) or "none"}), nor a folder with a {MANIFEST}')
    if read_model_folder(folder).manifest['kind'].startswith('released_'):
        from niki_ros.solvers.released import ReleasedSolver
        return ReleasedSolver.from_folder(folder, **options)
    from niki_ros.solvers.niki import NikiSolver
    return NikiSolver.from_folder(folder, **options)
