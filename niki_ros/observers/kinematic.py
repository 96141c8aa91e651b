"""
A small front end of our own: a crop around each person to a posed skeleton, no MediaPipe.

The graph comes from ``niki-train kinematic`` and ``niki-export``; its joints have gone through the
kinematic layer, so bone lengths are a body's. It does not look for people: boxes come from a
detector (:meth:`KinematicObserver.give_boxes`), else from the joints of the frame before, else the
whole image is taken to show one person, until the box has closed in on somebody.
"""

from __future__ import annotations

from typing import List

from niki_ros.core.crop_view import CropView
from niki_ros.core.errors import ModelError
from niki_ros.core.types import JointObservation, SIGMA_UNIT_M
from niki_ros.observers.crops import CropObserver
import numpy as np

_LOG_SCALE = (-3.0, 3.0)
LOST_SIGMA = 0.9
"""Where half of the body's joints are expected to be off by more, there is nobody."""


class KinematicObserver(CropObserver):
    """
    People at given or followed places, or the one person of the image.

    Parameters as of :class:`niki_ros.observers.crops.CropObserver`.
    """

    KIND = 'kinematic'
    MAKER = 'niki-export of a checkpoint of niki-train kinematic'
    OUTPUTS = {'joints': (29, 3), 'place': (3,), 'sigma': (29,)}

    _detector = False

    def _prepare(self, folder) -> None:
        size = folder.manifest.get('size_px')
        if not isinstance(size, int) or not 16 <= size <= 1024:
            raise ModelError(f'{folder.path}: size_px is {size!r}; expected 16 … 1024')
        self._size_px = size

    def give_boxes(self, boxes_px, scores=None) -> None:
        """Say where people are in the next image; from now on the whole image is not tried."""
        super().give_boxes(boxes_px, scores)
        self._detector = True

    def observe(self, image_rgb, camera, stamp_ns: int) -> List[JointObservation]:
        """Return one observation for every box in which there is somebody."""
        found = super().observe(image_rgb, camera, stamp_ns)
        there = [bool(np.median(o.sigma[:24]) < LOST_SIGMA) for o in found]
        self._boxes = [box for box, kept in zip(self._boxes, there) if kept]
        return [seen for seen, kept in zip(found, there) if kept]

    def reset(self) -> None:
        """Forget the images before."""
        super().reset()
        self._detector = False

    def describe(self):
        """Return what runs, for diagnostics."""
        facts = super().describe()
        if self._finder is None and not self._detector:
            facts['observer_boxes'] = 'followed, at first the whole image'
        return facts

    def _where(self, image, camera, stamp_ns: int) -> list:
        boxes = super()._where(image, camera, stamp_ns)
        if boxes or self._detector or self._finder is not None:
            return boxes
        height, width = image.shape[:2]
        return [(np.array([0.0, 0.0, width, height]), 1.0)]

    def _picture(self, crop, image) -> np.ndarray:
        picture = crop.sample(image, self._size_px).transpose(2, 0, 1)
        return np.ascontiguousarray(picture, dtype=np.float32)

    def _observation(self, row, crop, camera, box, score) -> JointObservation:
        view = CropView.of(crop, camera)
        log_scale = float(np.clip(row['place'][2], *_LOG_SCALE))
        joints = row['joints'] @ view.camera_from_view.T
        pixels = camera.project(joints + view.root_m(row['place'][:2], log_scale))
        sigma = np.clip(row['sigma'], 0.0, 1.0)
        error_px = np.maximum(sigma * SIGMA_UNIT_M * np.exp(log_scale) * crop.side_px, 1.0)
        return JointObservation(
            joints_m=joints - joints[:1], sigma=sigma, keypoints_px=pixels,
            box_px=np.asarray(box, np.float64), score=score * float(1 - np.median(sigma[:24])),
            keypoint_sigma_px=np.where(sigma < 1, error_px, np.inf))
