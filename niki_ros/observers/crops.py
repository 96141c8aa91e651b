"""Networks that look at one person in an upright square of the image."""

from __future__ import annotations

from typing import Dict, List

from niki_ros.body.observation import JointObservation
from niki_ros.observers.crop import Crop
from niki_ros.observers.network import Look
from niki_ros.scene.camera import Camera
import numpy as np

LOST_SIGMA = 0.9
"""Where half of the body's joints are expected to be off by more, there is no person."""

# a box made from joints may not run away from the one before while no detector confirms it
_GROWTH = (0.8, 1.25)


class CropNetwork:
    """
    One graph that looks at squares of the image; a place is a box x0, y0, x1, y1 in pixels.

    A kind of model is a subclass: ``KIND`` as in the manifest, ``MAKER`` that writes such folders,
    ``OUTPUTS`` of the graph with their shapes, ``_prepare``, ``_picture`` and ``_observation``.

    :param model: folder of the model. :param engine_options: of
        :func:`niki_ros.backends.load_engine`.
    """

    looks = 1
    patience = 3

    KIND = ''
    MAKER = ''
    OUTPUTS: Dict[str, tuple] = {}

    def __init__(self, model, **engine_options):
        """Load the graph; :class:`ModelError` when the folder holds another kind of model."""
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        folder.check_kind(self.KIND, self.MAKER)
        self._prepare(folder)
        self.engine = load_folder_engine(folder, self.OUTPUTS, **engine_options)
        self._name = folder.manifest['name']

    def _prepare(self, folder) -> None:
        """Read from the manifest what a picture and an observation need."""

    def _picture(self, crop: Crop, image) -> np.ndarray:
        """Return the network's input (3, S, S) float32 of one crop."""
        raise NotImplementedError

    def _observation(self, row, crop: Crop, camera, box) -> JointObservation:
        """Return what the outputs ``row`` of one crop mean."""
        raise NotImplementedError

    def place_of(self, box_px, camera: Camera) -> np.ndarray:
        """Return the box itself; :class:`niki_ros.common.errors.InputError` when it is none."""
        Crop.around(box_px)
        return np.asarray(box_px, dtype=np.float64)

    def look(self, image_rgb, camera: Camera, places: List[np.ndarray]) -> List[Look]:
        """Return what is in every box; all in one batch."""
        if not places:
            return []
        crops = [Crop.around(box) for box in places]
        pictures = np.stack([self._picture(crop, image_rgb) for crop in crops])
        outputs = self.engine.run({'image': pictures})
        rows = [{name: outputs[name][i].astype(np.float64) for name in self.OUTPUTS}
                for i in range(len(places))]
        return [self._look(row, crop, camera, box)
                for row, crop, box in zip(rows, crops, places)]

    def disagreement(self, image_rgb, camera: Camera, looks: List[Look]) -> np.ndarray:
        """Return zeros: these networks are not shown larger crops."""
        return np.zeros(len(looks))

    def keep_up(self, period_s: float, people: int) -> None:
        """Do nothing: there is one graph."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        facts = {f'observer_{name}': str(value) for name, value in self.engine.describe().items()}
        return {'observer': self.KIND, 'observer_model': self._name, **facts}

    def close(self) -> None:
        """Free the engine."""
        self.engine.close()

    def _look(self, row, crop, camera, box) -> Look:
        seen = self._observation(row, crop, camera, box)
        there = float(np.median(seen.sigma_200mm[:24])) < LOST_SIGMA
        return Look(seen, float(there), _followed(seen, box))


def _followed(seen: JointObservation, box) -> np.ndarray:
    """Return the box for the next frame: around the joints, near the size of the one before."""
    low, high = seen.keypoints_px.min(axis=0), seen.keypoints_px.max(axis=0)
    before = np.asarray(box[2:]) - np.asarray(box[:2])
    size = np.clip((high - low) * 1.1, _GROWTH[0] * before, _GROWTH[1] * before)
    center = (low + high) / 2
    return np.concatenate([center - size / 2, center + size / 2])
