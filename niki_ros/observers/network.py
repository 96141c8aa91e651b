"""What a network offers that looks at one person at a time, in crops of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Protocol

from niki_ros.body.observation import JointObservation
from niki_ros.scene.camera import Camera
import numpy as np


@dataclass(frozen=True)
class Look:
    """
    What a network said of one crop.

    :param present: 0 … 1, how likely a person is in it.
    :param place: where to look in the next image; only the network knows what is in it.
    :param points_px: (n, 2) points of the body in the image, to be compared with another look.
    """

    observation: JointObservation
    present: float
    place: Any
    points_px: Optional[np.ndarray] = None


class PersonNetwork(Protocol):
    """
    One graph that measures people, each in a crop of its own.

    :ivar looks: how often a new box is looked at until crop and person fit.
    :ivar patience: searches in a row that may miss a person of whom the network is unsure.
    """

    looks: int
    patience: int

    def place_of(self, box_px: np.ndarray, camera: Camera) -> Any:
        """
        Return where to look for a person in a box (4,) x0, y0, x1, y1, pixels.

        :raises InputError: where there is nothing to look at.
        """

    def look(self, image_rgb: np.ndarray, camera: Camera, places: List[Any]) -> List[Look]:
        """Return what is at every place of the image (H, W, 3) uint8; one batch of the graph."""

    def disagreement(self, image_rgb: np.ndarray, camera: Camera, looks: List[Look]) -> np.ndarray:
        """
        Return by how much other crops show other people than those that were seen (n,).

        0: the same; from about 0.5 on what was seen depends on the crop, and nothing is as seen.
        """

    def keep_up(self, period_s: float, people: int) -> None:
        """Take note of the camera's period and of how many people there are."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics; keys begin with ``observer``."""

    def close(self) -> None:
        """Free the graph."""
