"""What goes between the steps. Metres, radians, integer nanoseconds, float32."""  # noqa: A005

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

SIGMA_UNIT_M = 0.2
"""A sigma of 1 stands for an expected error of this many metres per coordinate, or more."""

OBSERVED, PREDICTED, UNOBSERVED = 0, 1, 2
STATUS_NAMES = ('observed', 'predicted', 'unobserved')


KEYPOINTS = (
    'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
    'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    'nose', 'left_ear', 'right_ear', 'left_heel', 'right_heel', 'left_toe', 'right_toe',
    'left_knuckles', 'right_knuckles')
"""What the lifter is shown of a person, in this order."""
_OTHER_SIDE = {'left': 'right', 'right': 'left'}
KEYPOINT_SIDES = [KEYPOINTS.index('_'.join(_OTHER_SIDE.get(part, part) for part in
                                           name.split('_'))) for name in KEYPOINTS]


class KeypointRays(NamedTuple):
    """
    Keypoints of one person in one image, as the lifter is given them.

    :param rays: (21, 3) directions in the camera's optical axes, in the order of
        ``KEYPOINTS``. :param seen: (21,) 0 … 1, how well each is seen.
    :param guess_m: (21, 3) a guess of where they are about the hips, the same axes, metres.
    """

    rays: np.ndarray
    seen: np.ndarray
    guess_m: np.ndarray

    def mirrored(self, depth_sign: float) -> KeypointRays:
        """Return them with left and right exchanged, the depth times ``depth_sign``."""
        guess_m = self.guess_m[KEYPOINT_SIDES] * np.array([1.0, 1.0, depth_sign])
        return KeypointRays(self.rays[KEYPOINT_SIDES], self.seen[KEYPOINT_SIDES], guess_m)


@dataclass
class JointObservation:
    """
    What a front end saw of one person in one image.

    :param joints_m: (29, 3) root-relative (pelvis at 0), camera axes (x right, y down, z forward).
    :param sigma: (29,) 0 exact … 1 unobserved: expected error per coordinate over 200 mm.
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
    :param unlifted_sigma: (29,) optional: ``sigma`` before the joints were lifted, which says how
        well each is seen.
    """

    joints_m: np.ndarray
    sigma: np.ndarray
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
    unlifted_sigma: Optional[np.ndarray] = None

    @property
    def own_joints_m(self) -> np.ndarray:
        """Return (29, 3) what the front end itself says, uncorrected."""
        return self.joints_m if self.uncorrected_m is None else self.uncorrected_m

    @property
    def own_sigma(self) -> np.ndarray:
        """Return (29,) how well the front end sees each joint, as a sigma."""
        return self.sigma if self.unlifted_sigma is None else self.unlifted_sigma


class TrackFrame(NamedTuple):
    """
    What one step of a solver's track takes.

    :param joints_m: (29, 3) root-relative, camera axes. :param sigma: (29,) 0 … 1.
    :param betas: (10,) the person's shape, where known.
    :param twist_cos_sin: (23, 2) of the bones, where the front end knows them.
    :param errors_last: whether errors are the same from image to image, as of lifted joints,
        which look at one and the same past.
    """

    joints_m: np.ndarray
    sigma: np.ndarray
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


@dataclass
class Body:
    """
    One person as published.

    :param id: stays the same while the person is tracked.
    :param stamp_ns: of the image, integer nanoseconds.
    :param rotmat: (24, 3, 3) local rotations; joint 0: camera axes from body axes.
    :param betas: (10,) body shape on the open skeleton.
    :param root_m: (3,) pelvis in the camera's optical frame, metres.
    :param joints_m: (29, 3) in the camera's optical frame, metres.
    :param confidence: (24,) 0 … 1: how likely the joint is within 150 mm of where it is,
        relative to the pelvis.
    :param status: (24,) uint8, index into ``STATUS_NAMES``.
    :param angular_velocity_rad_s: (24, 3) of each local rotation, in the joint's own axes.
    :param root_velocity_m_s: (3,) camera's optical frame.
    :param keypoints_px: (29, 2) image positions as observed, NaN where not.
    :param root_source: what fixed the distance, such as ``camera``.
    """

    id: int  # noqa: A003
    stamp_ns: int
    rotmat: np.ndarray
    betas: np.ndarray
    root_m: np.ndarray
    joints_m: np.ndarray
    confidence: np.ndarray
    status: np.ndarray
    angular_velocity_rad_s: np.ndarray
    root_velocity_m_s: np.ndarray
    keypoints_px: np.ndarray
    root_source: str = 'camera'
