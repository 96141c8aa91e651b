"""Base of networks that observe one person in an upright square of the image."""

from typing import List

from niki_ros.body.observation import JointObservation
from niki_ros.images.boxes import checked_box
from niki_ros.observers.crop import Crop
from niki_ros.observers.graph_network import GraphNetwork
from niki_ros.observers.person_network import CropEstimate, LARGER_CROPS
from niki_ros.scene.camera import Camera
import numpy as np

# no person is in a crop in which half of the body joints have a larger sigma
_MAX_MEDIAN_SIGMA_200MM = 0.9
# change of the size of a box from image to image: without a detector it could grow or shrink on
_SIZE_CHANGE_RATIOS = (0.8, 1.25)
_BOX_MARGIN_RATIO = 1.1  # size of a box over the size of the box around its joints


class CropNetwork(GraphNetwork):
    """
    Observes people in squares of the image; a crop is a box (4,) x0, y0, x1, y1, pixels.

    A subclass has the members that :class:`GraphNetwork` names, and ``_network_input`` and
    ``_observation``; ``_prepare`` where its manifest has facts about them.
    """

    passes = 1
    max_missed_searches = 3

    def _network_input(self, crop: Crop, image_rgb) -> np.ndarray:
        """Return the input (3, S, S) float32 of one crop."""
        raise NotImplementedError

    def _observation(self, outputs, crop: Crop, camera: Camera, box_px) -> JointObservation:
        """Return the observation of one crop; ``outputs`` are its rows by name, float64."""
        raise NotImplementedError

    def crop_of(self, box_px, camera: Camera) -> np.ndarray:
        """Return the box (4,) itself, checked by :func:`niki_ros.images.boxes.checked_box`."""
        return checked_box(box_px)

    def estimate(self, image_rgb, camera: Camera, crops: List[np.ndarray]) -> List[CropEstimate]:
        """Return one estimate for every box (4,), in one batch."""
        if not crops:
            return []
        squares = [Crop.around(box) for box in crops]
        batch = np.stack([self._network_input(square, image_rgb) for square in squares])
        outputs = self.engine.run({'image': batch})
        rows = [{name: outputs[name][i].astype(np.float64) for name in self.OUTPUTS}
                for i in range(len(crops))]
        return [self._estimate(row, square, camera, box)
                for row, square, box in zip(rows, squares, crops)]

    def disagreement(self, image_rgb, camera: Camera, estimates,
                     larger_crops=LARGER_CROPS) -> np.ndarray:
        """Return zeros (n, crops): these networks are not run on larger crops."""
        return np.zeros((len(estimates), len(larger_crops)))

    def _estimate(self, row, square, camera, box_px) -> CropEstimate:
        observation = self._observation(row, square, camera, box_px)
        is_person = float(np.median(observation.sigma_200mm[:24])) < _MAX_MEDIAN_SIGMA_200MM
        return CropEstimate(observation, float(is_person), _next_box(observation, box_px))


def _next_box(observation: JointObservation, box_px) -> np.ndarray:
    """Return the box (4,) of the next image: around the joints, of about the same size."""
    low, high = observation.keypoints_px.min(axis=0), observation.keypoints_px.max(axis=0)
    before = np.asarray(box_px[2:]) - np.asarray(box_px[:2])
    size = np.clip((high - low) * _BOX_MARGIN_RATIO, _SIZE_CHANGE_RATIOS[0] * before,
                   _SIZE_CHANGE_RATIOS[1] * before)
    center = (low + high) / 2
    return np.concatenate([center - size / 2, center + size / 2])
