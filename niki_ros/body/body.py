"""Published state of one person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OBSERVED, PREDICTED, UNOBSERVED = 0, 1, 2
STATUS_NAMES = ('observed', 'predicted', 'unobserved')


@dataclass
class Body:
    """
    Published state of one person in one image.

    :param id: positive, the same in all images in which the person is tracked.
    :param stamp_ns: of the image, nanoseconds.
    :param rotmat: (24, 3, 3) local rotations; joint 0: camera's optical axes from body axes.
    :param betas: (10,) body shape on the open skeleton.
    :param root_m: (3,) pelvis in the camera's optical frame, metres.
    :param joints_m: (29, 3) in the camera's optical frame, metres.
    :param confidence: (24,) probability that the joint is within 150 mm of its true position,
        relative to the pelvis.
    :param status: (24,) uint8, index into ``STATUS_NAMES``.
    :param angular_velocity_rad_s: (24, 3) of each local rotation, in the joint's own axes.
    :param root_velocity_m_s: (3,) in the camera's optical frame.
    :param keypoints_px: (29, 2) observed image positions, NaN where there is none.
    :param root_source: source of the distance: ``camera`` (size in the image), ``depth``,
        ``ground`` or ``predicted``.
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
