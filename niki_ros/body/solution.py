"""What a solver is given of one person in one image, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np


class TrackFrame(NamedTuple):
    """
    What one step of a solver's track takes.

    :param joints_m: (29, 3) root-relative, camera axes.
    :param sigma_200mm: (29,) 0 … 1, as in ``JointObservation``.
    :param betas: (10,) the person's shape, where known.
    :param twist_cos_sin: (23, 2) of the bones, where the front end knows them.
    :param errors_last: whether errors are the same from image to image, as of lifted joints,
        which look at one and the same past.
    """

    joints_m: np.ndarray
    sigma_200mm: np.ndarray
    stamp_ns: int
    betas: Optional[np.ndarray] = None
    twist_cos_sin: Optional[np.ndarray] = None
    errors_last: bool = False


@dataclass
class Solution:
    """
    What a solver makes of N people, or of N frames (no leading axis from ``Track.step``).

    :param rotmat: (N, 24, 3, 3) local rotations; joint 0: camera axes from body axes.
    :param joints_m: (N, 29, 3) root-relative joints by forward kinematics of ``rotmat``.
    :param confidence: (N, 24) 0 … 1.
    :param error_z: (N, k) the solver's own account of what did not fit (NIKI's latent error).
    :param betas: (N, 10) the body shape that was used.
    """

    rotmat: np.ndarray
    joints_m: np.ndarray
    confidence: np.ndarray
    error_z: np.ndarray
    betas: np.ndarray

    def __getitem__(self, index) -> Solution:
        """Return the solutions at ``index`` along the leading axis."""
        return Solution(
            self.rotmat[index],
            self.joints_m[index],
            self.confidence[index],
            self.error_z[index],
            self.betas[index],
        )
