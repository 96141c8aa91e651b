"""The body of a person, as it is published."""

from dataclasses import dataclass

import numpy as np

OBSERVED, PREDICTED, UNOBSERVED = 0, 1, 2
STATUS_NAMES = ('observed', 'predicted', 'unobserved')
# source of the distance: size in the image, depth image, contact with the ground, or prediction
ROOT_FROM_CAMERA, ROOT_FROM_DEPTH, ROOT_FROM_GROUND, ROOT_PREDICTED = (
    'camera', 'depth', 'ground', 'predicted')


@dataclass
class Body:
    """Published state of one person in one image; positions are in the camera's optical frame."""

    id: int  # noqa: A003  positive, the same in all images in which the person is tracked
    stamp_ns: int  # of the image
    rotmat: np.ndarray  # (24, 3, 3) local; joint 0: camera's optical axes from body axes
    betas: np.ndarray  # (10,) shape on the open skeleton
    root_m: np.ndarray  # (3,) pelvis
    joints_m: np.ndarray  # (29, 3)
    # (24,) probability that the joint is within 150 mm of its true position relative to the pelvis
    confidence: np.ndarray
    status: np.ndarray  # (24,) uint8, index into ``STATUS_NAMES``
    angular_velocity_rad_s: np.ndarray  # (24, 3) of each local rotation, in the joint's own axes
    root_velocity_m_s: np.ndarray  # (3,)
    keypoints_px: np.ndarray  # (29, 2) observed image positions, NaN where there is none
    root_source: str = ROOT_FROM_CAMERA  # source of the distance
