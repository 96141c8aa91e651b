"""Input and output of a solver for one person in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np


class TrackFrame(NamedTuple):
    """Input of one step of a solver's track."""

    joints_m: np.ndarray  # (29, 3) relative to the pelvis, camera's optical axes
    sigma_200mm: np.ndarray  # (29,) expected error per coordinate, 0 exact … 1 unobserved
    stamp_ns: int  # of the image
    betas: Optional[np.ndarray] = None  # (10,) shape; None = estimated from the joints
    twist_cos_sin: Optional[np.ndarray] = None  # (23, 2) of joints 1 … 23; None = unknown
    # from image to image, as for joints lifted from overlapping windows of images
    has_correlated_errors: bool = False


@dataclass
class Solution:
    """Output of a solver for N people or N frames; without leading axis from ``Track.step``."""

    rotmat: np.ndarray  # (N, 24, 3, 3) local; joint 0: camera's optical axes from body axes
    joints_m: np.ndarray  # (N, 29, 3) relative to the pelvis, by forward kinematics of ``rotmat``
    confidence: np.ndarray  # (N, 24) 0 … 1
    error_z: np.ndarray  # (N, k) latent error of NIKI, or residual of the solver
    betas: np.ndarray  # (N, 10) shape that was used

    def __getitem__(self, index) -> Solution:
        return Solution(self.rotmat[index], self.joints_m[index], self.confidence[index],
                        self.error_z[index], self.betas[index])
