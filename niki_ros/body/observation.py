"""Observation of one person in one image by a front end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from niki_ros.body.keypoints import KeypointRays
import numpy as np

SIGMA_UNIT_M = 0.2
"""Unit of every ``sigma_200mm``: 1 is an expected error of 0.2 m or more per coordinate."""
HIDDEN_SIGMA = 0.95
"""A joint is hidden, that is not seen by the front end, from this sigma on."""


@dataclass
class JointObservation:
    """
    Observation of one person in one image by a front end.

    :param joints_m: (29, 3) relative to the pelvis, camera's optical axes.
    :param sigma_200mm: (29,) expected error per coordinate in units of 200 mm, 0 exact … 1
        unobserved.
    :param keypoints_px: (29, 2) image positions, pixels; NaN where there is none.
    :param box_px: (4,) x0, y0, x1, y1 around the person, pixels.
    :param score: probability that this is a person, 0 … 1.
    :param keypoint_sigma_px: (29,) expected error of the image positions, pixels; inf = none.
    :param twist_cos_sin: (23, 2) cosine and sine of the twist of joints 1 … 23.
    :param betas: (10,) shape on the front end's body model.
    :param lengths_m: (34,) distances between the joints of ``shape.PAIRS`` without the average
        error of this front end; None = the distances of ``joints_m``.
    :param length_sigma_m: (34,) expected errors of ``lengths_m``.
    :param uncorrected_m: (29, 3) ``joints_m`` before the learned correction; None = no correction.
    :param follower: number of the crop in which the front end follows this person, constant from
        image to image; None = the front end does not follow.
    :param keypoint_rays: input of the lifter; None = the joints are not lifted.
    :param unlifted_sigma_200mm: (29,) ``sigma_200mm`` before lifting, the visibility of each
        joint; None = the joints were not lifted.
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
