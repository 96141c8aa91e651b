"""The interface of networks that observe one person in a crop of the image."""

from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence

from niki_ros.body.observation import JointObservation
from niki_ros.scene.camera import Camera
import numpy as np


@dataclass(frozen=True)
class CropEstimate:
    """Output of a network for one crop."""

    observation: JointObservation
    presence: float  # probability that a person is in the crop, 0 … 1
    next_crop: Any  # of the same person in the next image; the network determines the type
    points_px: Optional[np.ndarray] = None  # (n, 2) points of the body, for ``disagreement``


class Workload(NamedTuple):
    """The load by a stream of images, known before each image."""

    stamp_ns: int  # of the image
    people: int  # who are followed
    period_s: Optional[float]  # between two images of the camera; None = not known yet
    busy_s: float  # that the image before took in all, 0 = not known
    waited_s: float = 0.0  # that the image has waited for the one before
    # of the network for each person: 2 = also on the mirror image of the crop, 4 = and both again
    # in the crop that follows from them
    runs: int = 1


LARGER_CROPS = (0, 1)
"""Numbers of the larger crops in which an estimate is checked."""


class PersonNetwork(Protocol):
    """One graph that observes people, each in a crop of their own."""

    passes: int  # estimates until the crop of a person fits, each in the crop of the one before
    max_missed_searches: int  # searches in a row that may miss a person of low presence

    def crop_of(self, box_px: np.ndarray, camera: Camera) -> Any:
        """Return the crop of a person in a box (4,) x0, y0, x1, y1, or raise an InputError."""

    def estimate(self, image_rgb: np.ndarray, camera: Camera,
                 crops: List[Any]) -> List[CropEstimate]:
        """Return one estimate for every crop of the image (H, W, 3) uint8, in one batch."""

    def disagreement(self, image_rgb: np.ndarray, camera: Camera, estimates: List[CropEstimate],
                     larger_crops: Sequence[int] = LARGER_CROPS) -> np.ndarray:
        """
        Return by how much estimates in larger crops differ from ``estimates`` (n, crops).

        0 = they are the same; from a sum of about 0.5 over all ``LARGER_CROPS`` on the estimate
        depends on the crop and is wrong.
        """

    def set_workload(self, workload: Workload) -> None:
        """Report the load before each image."""

    def describe(self) -> Dict[str, str]:
        """Return model and engine, for diagnostics; keys begin with ``observer``."""

    def close(self) -> None:
        """Free the graph."""
