"""The interface of solvers, and the track of solvers without memory."""

from typing import Dict, List, Optional, Protocol, Sequence

from niki_ros.body.skeleton import check_trained_for, open_skeleton, Skeleton
from niki_ros.body.solution import Solution, TrackFrame
import numpy as np


class Track(Protocol):
    """Causal state of one person."""

    def step(self, joints_m: np.ndarray, sigma: np.ndarray, stamp_ns: int,
             betas: Optional[np.ndarray] = None,
             twist_cos_sin: Optional[np.ndarray] = None) -> Solution:
        """Return the solution of one image; arguments are a row of those of ``Solver.solve``."""


class Solver(Protocol):
    """Inverse kinematics: joints with expected errors to rotations."""

    name: str
    skeleton: Skeleton
    # tracks use the frames before: a solved hidden joint is better than the guess of a front end
    temporal: bool
    # run the kinematic refinement, where there is one; may be assigned between two frames
    refine: bool

    def solve(self, joints_m, sigma, twist_cos_sin=None, betas=None) -> Solution:
        """
        Return the solution of N people, or of N independent frames.

        :param joints_m: (N, 29, 3) relative to the pelvis, camera's optical axes, metres.
        :param sigma: (N, 29) expected error per coordinate, units of 200 mm; 1 = unobserved.
        :param twist_cos_sin: (N, 23, 2) cosine and sine of the twist of joints 1 … 23, or None.
        :param betas: (N, 10) shape; None = from the joints.
        :raises InputError: with the name of the argument and its value.
        """

    def start_track(self) -> Track:
        """Return the causal state of one person."""

    def step_tracks(self, tracks: Sequence[Track],
                    frames: Sequence[TrackFrame]) -> List[Solution]:
        """Return the solution of one frame of each track, in one batch where the solver can."""

    def describe(self) -> Dict[str, str]:
        """Return ``solver``, ``backend`` and what the engine reports, for diagnostics."""


class IndependentTrack:
    """Track of a solver without memory, which gets the betas of frames if it ``uses_betas``."""

    def __init__(self, solver, uses_betas: bool = True):
        self._solver, self._uses_betas = solver, uses_betas

    def step(self, joints_m, sigma, stamp_ns: int, betas=None, twist_cos_sin=None) -> Solution:
        """Return the solution of one frame; see :meth:`Track.step`."""
        twist, betas = (None if one is None else np.asarray(one)[None] for one in (
            twist_cos_sin, betas if self._uses_betas else None))
        return self._solver.solve(
            np.asarray(joints_m)[None], np.asarray(sigma)[None], twist, betas)[0]


class IndependentSolver:
    """Base of solvers without memory, which gain nothing by a batch of tracks."""

    temporal = False
    tracks_use_betas = True

    def start_track(self) -> IndependentTrack:
        """Return a track without memory."""
        return IndependentTrack(self, self.tracks_use_betas)

    def step_tracks(self, tracks: Sequence[Track],
                    frames: Sequence[TrackFrame]) -> List[Solution]:
        """Return the solution of one frame of each track."""
        return [track.step(frame.joints_m, frame.sigma_200mm, frame.stamp_ns, frame.betas,
                           frame.twist_cos_sin) for track, frame in zip(tracks, frames)]


def skeleton_of(manifest: dict) -> Skeleton:
    """Return the skeleton in a manifest of a solver, or the open one where it has none."""
    check_trained_for(manifest)
    data = manifest.get('skeleton')
    return Skeleton.from_dict(data) if isinstance(data, dict) else open_skeleton()


def describe_engine(name: str, engine) -> Dict[str, str]:
    """Return model, library, device and precision of a solver with an engine."""
    facts = {key: str(value) for key, value in engine.describe().items()}
    return {'solver': name, 'backend': facts['library'], **facts}
