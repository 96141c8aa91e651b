"""The one object for a person in one image, which passes through the stages."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.scene.camera import Camera
from niki_ros.scene.ground import Ground
import numpy as np


@dataclass(frozen=True)
class Scene:
    """
    The camera of one image and the measurements that came with it.

    :param camera: of the upright image, at the size of that image.
    :param depth_m: (h, w) metres, 0 = not measured, aligned with the image; or None.
    :param ground: the plane that people stand on, or None.
    """

    camera: Camera
    depth_m: Optional[np.ndarray] = None
    ground: Optional[Ground] = None


@dataclass(frozen=True)
class PersonFrame:
    """
    One person in one image: the observation, and the results of the stages so far.

    All positions and rotations are in the camera's optical axes (x right, y down, z forward).

    :param stamp_ns: of the image. :param dt_s: since the person's last completed frame.
    :param scene: :class:`Scene` of the image.
    :param observation: of the person in this image; None where there is none, or where a stage
        has rejected it.
    :param observed_root_m: (3,) pelvis by the joints of the observation, or None.
    :param unseen_s: time since the person was observed last.
    :param seen_s: time for which the person has been observed, summed up.
    :param predicted_root_m: (3,) pelvis extrapolated from the last frames, or None.
    :param previous: the person's last completed frame, or None.
    :param is_mirrored: the observation had left and right exchanged, and was corrected.
    :param solver_input: the :class:`JointObservation` with hidden joints extrapolated; None =
        ``observation``.
    :param betas: (10,) body shape. :param solution: :class:`Solution` of the solver.
    :param rotmat: (24, 3, 3) local rotations. :param root_m: (3,) pelvis.
    :param root_source: the measurement of the distance: ``camera`` (size in the image),
        ``depth``, ``ground`` or ``predicted``.
    :param angular_velocity_rad_s: (24, 3) of each local rotation, in the joint's own axes.
    :param root_velocity_m_s: (3,). :param confidence: (24,) 0 … 1.
    :param status: (24,) uint8, index into ``STATUS_NAMES``.
    """

    stamp_ns: int
    dt_s: float
    scene: Any = None
    observation: Optional[JointObservation] = None
    observed_root_m: Optional[np.ndarray] = None
    unseen_s: float = 0.0
    seen_s: float = 0.0
    predicted_root_m: Optional[np.ndarray] = None
    previous: Optional[PersonFrame] = field(default=None, repr=False)
    is_mirrored: bool = False
    # filled by stages; those behind them rely on it
    solver_input: Any = None
    betas: Any = None
    solution: Any = None
    rotmat: Any = None
    root_m: Any = None
    root_source: str = 'camera'
    angular_velocity_rad_s: np.ndarray = field(default_factory=lambda: np.zeros((24, 3)))
    root_velocity_m_s: np.ndarray = field(default_factory=lambda: np.zeros(3))
    confidence: np.ndarray = field(default_factory=lambda: np.zeros(24, np.float32))
    status: np.ndarray = field(default_factory=lambda: np.zeros(24, np.uint8))
    last_observation: Optional[JointObservation] = None

    @property
    def hidden(self) -> np.ndarray:
        """Return (29,) True where the joint is not seen in this image."""
        return np.ones(29, bool) if self.observation is None else self.observation.hidden

    @property
    def latest_observation(self) -> Optional[JointObservation]:
        """Return the observation of this image, else the last one before it."""
        return self.last_observation if self.observation is None else self.observation

    def completed(self) -> PersonFrame:
        """Return the frame as ``previous`` of the next one; the chain of older frames ends."""
        return replace(self, previous=None, last_observation=self.latest_observation)
