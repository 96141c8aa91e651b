"""Input and output of a solver for one person in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np


class TrackFrame(NamedTuple):
    """
    Input of one step of a solver's track.

    :param joints_m: (29, 3) relative to the pelvis, camera's optical axes.
    :param sigma_200mm: (29,) expected error per coordinate, 0 exact … 1 unobserved.
    :param stamp_ns: of the image.
    :param betas: (10,) shape of the person; None = estimated from the joints.
    :param twist_cos_sin: (23, 2) cosine and sine of the twist of joints 1 … 23; None = unknown.
    :param has_correlated_errors: errors are correlated from image to image, as for lifted joints,
        which are computed from overlapping windows of images.
    """

    joints_m: np.ndarray
    sigma_200mm: np.ndarray
    stamp_ns: int
    betas: Optional[np.ndarray] = None
    twist_cos_sin: Optional[np.ndarray] = None
    has_correlated_errors: bool = False


@dataclass
class Solution:
    """
    Output of a solver for N people or N frames; without leading axis from ``Track.step``.

    :param rotmat: (N, 24, 3, 3) local rotations; joint 0: camera's optical axes from body axes.
    :param joints_m: (N, 29, 3) relative to the pelvis, by forward kinematics of ``rotmat``.
    :param confidence: (N, 24) 0 … 1.
    :param error_z: (N, k) latent error of NIKI, or residual of the solver.
    :param betas: (N, 10) shape that was used.
    """

    rotmat: np.ndarray
    joints_m: np.ndarray
    confidence: np.ndarray
    error_z: np.ndarray
    betas: np.ndarray

    def __getitem__(self, index) -> Solution:
        return Solution(self.rotmat[index], self.joints_m[index], self.confidence[index],
                        self.error_z[index], self.betas[index])
