"""
A small front end of our own: a crop around each person to a posed skeleton.

The graph comes from ``niki-train kinematic`` and ``niki-export``; its joints have gone through the
kinematic layer, so bone lengths are a body's.
"""

from __future__ import annotations

from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.common.errors import ModelError
from niki_ros.observers.crop_view import CropView
from niki_ros.observers.crops import CropNetwork
import numpy as np

_LOG_SCALE = (-3.0, 3.0)


class KinematicNetwork(CropNetwork):
    """29 joints of a posed skeleton of every person."""

    KIND = 'kinematic'
    MAKER = 'niki-export of a checkpoint of niki-train kinematic'
    OUTPUTS = {'joints': (29, 3), 'place': (3,), 'sigma': (29,)}

    def _prepare(self, folder) -> None:
        size = folder.manifest.get('size_px')
        if not isinstance(size, int) or not 16 <= size <= 1024:
            raise ModelError(f'{folder.path}: size_px is {size!r}; expected 16 … 1024')
        self._size_px = size

    def _picture(self, crop, image) -> np.ndarray:
        picture = crop.sample(image, self._size_px).transpose(2, 0, 1)
        return np.ascontiguousarray(picture, dtype=np.float32)

    def _observation(self, row, crop, camera, box) -> JointObservation:
        view = CropView.of(crop, camera)
        log_scale = float(np.clip(row['place'][2], *_LOG_SCALE))
        joints = row['joints'] @ view.camera_from_view.T
        pixels = camera.project(joints + view.root_m(row['place'][:2], log_scale))
        sigma = np.clip(row['sigma'], 0.0, 1.0)
        error_px = np.maximum(sigma * SIGMA_UNIT_M * np.exp(log_scale) * crop.side_px, 1.0)
        return JointObservation(
            joints_m=joints - joints[:1], sigma_200mm=sigma, keypoints_px=pixels,
            box_px=np.asarray(box, np.float64), score=float(1 - np.median(sigma[:24])),
            keypoint_sigma_px=np.where(sigma < 1, error_px, np.inf))
