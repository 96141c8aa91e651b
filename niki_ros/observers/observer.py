"""The interface of front ends."""

from typing import Dict, FrozenSet, List, Optional, Protocol

from niki_ros.body.observation import JointObservation
from niki_ros.scene.camera import Camera
import numpy as np


class Observer(Protocol):
    """Front end: finds the people in an image and observes their joints."""

    faults: Dict[str, str]  # of the last image, texts by name
    busy_s: float  # that the last image took in all; the pipeline sets it before each image
    waited_s: float  # that the image has waited for the one before, likewise
    # between two images of the camera, set by the pipeline; None = by the stamps that are observed
    period_s: Optional[float]
    # ``follower`` of the people who are in view, and were not observed in the last image because
    # people are observed in turn
    waiting: FrozenSet[int]

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera], stamp_ns: int,
                boxes_px=None) -> List[JointObservation]:
        """
        Return one observation for every person in the image, except ``waiting`` ones.

        :param image_rgb: (H, W, 3) uint8. :param camera: None = a field of view is assumed.
        :param stamp_ns: a stamp that goes back, or 10 s on, starts a new stream.
        :param boxes_px: (n, 4) x0, y0, x1, y1 of people, from another detector.
        :raises InputError: for an image or boxes of another shape or type.
        """

    def reset(self) -> None:
        """Start a new stream of images."""

    def close(self) -> None:
        """Free graphs and threads."""

    def describe(self) -> Dict[str, str]:
        """Return model, library, device and precision, for diagnostics."""
