"""Observation of one person in one image by a front end."""

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.keypoints import KeypointRays
import numpy as np

# unit of every ``sigma_200mm``: 1 is an expected error of 0.2 m or more per coordinate
SIGMA_UNIT_M = 0.2
HIDDEN_SIGMA = 0.95  # a joint is hidden (not seen by the front end) from this sigma on


@dataclass
class JointObservation:
    """Observation of one person in one image by a front end; camera's optical axes."""

    joints_m: np.ndarray  # (29, 3) relative to the pelvis
    sigma_200mm: np.ndarray  # (29,) expected error per coordinate, 0 exact … 1 unobserved
    keypoints_px: np.ndarray  # (29, 2) image positions; NaN where there is none
    box_px: np.ndarray  # (4,) x0, y0, x1, y1 around the person
    score: float  # probability that this is a person, 0 … 1
    keypoint_sigma_px: np.ndarray  # (29,) expected error of the image positions; inf = none
    twist_cos_sin: Optional[np.ndarray] = None  # (23, 2) of the twist of joints 1 … 23
    betas: Optional[np.ndarray] = None  # (10,) shape on the front end's body model
    # (34,) distances between the joints of ``shape.PAIRS`` without the average error of this front
    # end, None = those of ``joints_m``; and their expected errors (34,)
    lengths_m: Optional[np.ndarray] = None
    length_sigma_m: Optional[np.ndarray] = None
    # (29, 3) ``joints_m`` before the learned correction; None = no correction
    uncorrected_m: Optional[np.ndarray] = None
    follower: Optional[int] = None  # number of the crop that follows this person; None = no crop
    keypoint_rays: Optional[KeypointRays] = None  # input of the lifter; None = not lifted
    # (29,) ``sigma_200mm`` before lifting, the visibility of each joint; None = not lifted
    unlifted_sigma_200mm: Optional[np.ndarray] = None

    @property
    def hidden(self) -> np.ndarray:
        """Return (29,) bool, True where the front end does not see the joint."""
        return np.asarray(self.own_sigma_200mm) >= HIDDEN_SIGMA

    @property
    def own_joints_m(self) -> np.ndarray:
        """Return (29, 3) the joints of the front end without the learned correction, metres."""
        return self.joints_m if self.uncorrected_m is None else self.uncorrected_m

    @property
    def own_sigma_200mm(self) -> np.ndarray:
        """Return (29,) the sigma of the front end itself, before lifting, units of 200 mm."""
        return self.sigma_200mm if self.unlifted_sigma_200mm is None else self.unlifted_sigma_200mm
