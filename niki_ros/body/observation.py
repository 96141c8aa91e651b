"""What a front end has seen of one person in one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.keypoints import KeypointRays
import numpy as np

SIGMA_UNIT_M = 0.2
"""A sigma of 1 stands for an expected error of this many metres per coordinate, or more."""
HIDDEN_SIGMA = 0.95
"""A joint with this sigma, or more, is hidden: the front end does not see it."""


@dataclass
class JointObservation:
    """
    What a front end saw of one person in one image.

    :param joints_m: (29, 3) root-relative (pelvis at 0), camera axes (x right, y down, z forward).
    :param sigma_200mm: (29,) expected error per coordinate in units of 200 mm, 0 exact … 1
        unobserved.
    :param keypoints_px: (29, 2) image positions, pixels; NaN where there is none.
    :param box_px: (4,) x0, y0, x1, y1 around the person.
    :param score: 0 … 1, how sure the front end is that this is a person.
    :param keypoint_sigma_px: (29,) expected error of the image positions, pixels; inf = none.
    :param twist_cos_sin: (23, 2) optional twist of each bone.
    :param betas: (10,) optional shape.
    :param lengths_m: (34,) optional distances between the joints of ``shape.PAIRS``, free of what
        this front end makes too short or too long on average; else they are ``joints_m``'s own.
    :param length_sigma_m: (34,) their expected errors.
    :param uncorrected_m: (29, 3) optional: ``joints_m`` before what this front end gets wrong on
        average was taken off; for comparison.
    :param follower: number of the crop in which a front end follows this person, the same from
        image to image; None where it does not follow.
    :param keypoint_rays: what the lifter is given; None where the joints are not to be lifted.
    :param unlifted_sigma_200mm: (29,) optional: ``sigma_200mm`` before the joints were lifted,
        which says how well each is seen.
    """

    joints_m: np.ndarray
    sigma_200mm: np.ndarray
    keypoints_px: np.ndarray
    box_px: np.ndarray
    score: float
    keypoint_sigma_px: np.ndarray
    twist_cos_sin: Optional[np.ndarray] = None
    betas: Optional[np.ndarray] = None
    lengths_m: Optional[np.ndarray] = None
    length_sigma_m: Optional[np.ndarray] = None
    uncorrected_m: Optional[np.ndarray] = None
    follower: Optional[int] = None
    keypoint_rays: Optional[KeypointRays] = None
    unlifted_sigma_200mm: Optional[np.ndarray] = None

    @property
    def hidden(self) -> np.ndarray:
        """Return (29,) True where the front end does not see the joint."""
        return np.asarray(self.own_sigma_200mm) >= HIDDEN_SIGMA

    @property
    def own_joints_m(self) -> np.ndarray:
        """Return (29, 3) what the front end itself says, uncorrected."""
        return self.joints_m if self.uncorrected_m is None else self.uncorrected_m

    @property
    def own_sigma_200mm(self) -> np.ndarray:
        """Return (29,) how well the front end sees each joint, as a sigma."""
        return self.sigma_200mm if self.unlifted_sigma_200mm is None else self.unlifted_sigma_200mm
