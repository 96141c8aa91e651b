"""The one object for a person in one image, which passes through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from niki_ros.body.body import ROOT_FROM_CAMERA
from niki_ros.body.observation import JointObservation
from niki_ros.common.replace import replace
from niki_ros.scene.camera import Camera
from niki_ros.scene.ground import Ground
import numpy as np


@dataclass(frozen=True)
class ImageContext:
    """The camera of one image and the measurements that came with it."""

    camera: Camera  # of the upright image, at its size
    depth_m: Optional[np.ndarray] = None  # (h, w) aligned with the image, 0 = not measured
    ground: Optional[Ground] = None  # the plane that people stand on


@dataclass(frozen=True)
class PersonFrame:
    """
    One person in one image: the observation, and the results of the stages so far.

    All positions and rotations are in the camera's optical axes (x right, y down, z forward).
    """

    stamp_ns: int  # of the image
    dt_s: float  # since the person's last completed frame
    context: Any = None  # the :class:`ImageContext` of the image
    # of the person in this image; None where there is none, or a stage has rejected it
    observation: Optional[JointObservation] = None
    observed_root_m: Optional[np.ndarray] = None  # (3,) pelvis by the joints of the observation
    unseen_s: float = 0.0  # time since the person was observed last
    seen_s: float = 0.0  # time for which the person has been observed, summed up
    predicted_root_m: Optional[np.ndarray] = None  # (3,) pelvis extrapolated from the last frames
    previous: Optional[PersonFrame] = field(default=None, repr=False)  # the last completed frame
    # the newest observation before this image
    previous_observation: Optional[JointObservation] = None
    # left and right of the observation were exchanged by the stage ``correct_front_back``
    is_front_back_corrected: bool = False
    # filled by stages; the stages after them rely on these fields
    solver_input: Any = None  # observation with hidden joints extrapolated; None = the observation
    betas: Any = None  # (10,) body shape
    # size over that of the mean body by distances measured before; None = by too few
    measured_scale: Optional[float] = None
    solution: Any = None  # the :class:`Solution` of the solver
    rotmat: Any = None  # (24, 3, 3) local rotations
    root_m: Any = None  # (3,) pelvis
    root_source: str = ROOT_FROM_CAMERA  # as in :class:`Body`
    distance_ratio: Optional[float] = None  # distance by depth over that by the person's size
    # (24, 3) of each local rotation, in the joint's own axes
    angular_velocity_rad_s: np.ndarray = field(default_factory=lambda: np.zeros((24, 3)))
    root_velocity_m_s: np.ndarray = field(default_factory=lambda: np.zeros(3))
    confidence: np.ndarray = field(default_factory=lambda: np.zeros(24, np.float32))  # 0 … 1
    status: np.ndarray = field(default_factory=lambda: np.zeros(24, np.uint8))  # of STATUS_NAMES

    @property
    def hidden(self) -> np.ndarray:
        """Return (29,) True where the joint is not seen in this image."""
        return np.ones(29, bool) if self.observation is None else self.observation.hidden

    @property
    def latest_observation(self) -> Optional[JointObservation]:
        """Return the observation of this image, else the last one before it."""
        return self.previous_observation if self.observation is None else self.observation

    def completed(self) -> PersonFrame:
        """Return the frame as ``previous`` of the next one; the chain of older frames ends."""
        return replace(self, previous=None, previous_observation=self.latest_observation)
