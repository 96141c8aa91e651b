"""Solvers: 29 joints with their uncertainty in, 24 rotations and the error out."""

from __future__ import annotations

from typing import Dict, List, Optional, Protocol, Sequence

from niki_ros.body.skeleton import Skeleton
from niki_ros.body.solution import Solution, TrackFrame
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import (
    folder_of,
    MANIFEST,
    read_model_folder,
    shipped_folders,
    shipped_models,
)
import numpy as np

__all__ = ['load_solver', 'shipped_models', 'Solver', 'step_one_by_one', 'Track']


NIKI_KINDS = ('two_stage', 'one_stage', 'temporal', 'mlp')
"""Kinds of model folders that :class:`niki_ros.solvers.niki.NikiSolver` runs."""


class Track(Protocol):
    """Causal state of one person."""

    def step(self, joints_m: np.ndarray, sigma: np.ndarray, stamp_ns: int,
             betas: Optional[np.ndarray] = None,
             twist_cos_sin: Optional[np.ndarray] = None) -> Solution:
        """
        Solve one frame: (29, 3), (29,), and where known (10,) and (23, 2).

        :return: a Solution without leading axis.
        """


class Solver(Protocol):
    """
    Inverse kinematics: joints with expected errors to rotations.

    :ivar temporal: the tracks of this solver use the frames before; its answer for a hidden joint
        is then worth more than the guess of a front end.
    :ivar refine: the kinematic refinement runs after the network; may be changed between two
        frames. Without effect on solvers that have none.
    """

    name: str
    skeleton: Skeleton
    temporal: bool
    refine: bool

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """Solve N people, or N independent frames: (N, 29, 3) and (N, 29)."""

    def start_track(self) -> Track:
        """Return the causal state for one person."""

    def step_tracks(self, tracks: Sequence[Track],
                    frames: Sequence[TrackFrame]) -> List[Solution]:
        """Step several people's tracks by one frame each, at once where the solver can."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics: ``solver``, ``backend`` and what the engine says."""


def step_one_by_one(tracks: Sequence[Track], frames: Sequence[TrackFrame]) -> List[Solution]:
    """Step tracks one after the other, for solvers that gain nothing by doing it at once."""
    return [track.step(frame.joints_m, frame.sigma_200mm, frame.stamp_ns, frame.betas,
                       frame.twist_cos_sin) for track, frame in zip(tracks, frames)]


def load_solver(name: str, **options) -> Solver:
    """
    Return a solver by name, or from a path to a model folder.

    :param options: passed on to the solver, such as ``refine`` and ``backend``.
    :raises ModelError: when there is none of that name, or its files are damaged.
    """
    if name == 'analytic':
        from niki_ros.solvers.analytic import AnalyticSolver
        return AnalyticSolver()
    folder = folder_of(name)
    if folder is None or not (folder / MANIFEST).is_file():
        shipped = [f.name for f in shipped_folders() if f.manifest['kind'] in NIKI_KINDS]
        raise ModelError(
            f'no solver {name!r}: it is neither analytic, nor one that ships '
            f'({", ".join(shipped) or "none"}), nor a folder with a {MANIFEST}')
    if read_model_folder(folder).manifest['kind'].startswith('released_'):
        from niki_ros.solvers.released import ReleasedSolver
        return ReleasedSolver.from_folder(folder, **options)
    from niki_ros.solvers.niki import NikiSolver
    return NikiSolver.from_folder(folder, **options)
