"""
A small front end: a posed skeleton of each person from a crop, see ``niki-train kinematic``.

The graph contains a kinematic layer, so that the bone lengths are those of a body.
"""

from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.common.errors import ModelError
from niki_ros.observers.crop_network import CropNetwork
from niki_ros.observers.crop_view import CropView
import numpy as np

_LOG_SCALES = (-3.0, 3.0)  # range of the logarithm of the crops per metre


class KinematicNetwork(CropNetwork):
    """Observes 29 joints of a posed skeleton."""

    KIND = 'kinematic'
    MAKER = 'niki-export of a checkpoint of niki-train kinematic'
    OUTPUTS = {'joints': (29, 3), 'place': (3,), 'sigma': (29,)}

    def _prepare(self, folder) -> None:
        size = folder.manifest.get('size_px')
        if not isinstance(size, int) or not 16 <= size <= 1024:
            raise ModelError(f'{folder.path}: size_px is {size!r}; expected 16 … 1024')
        self._size_px = size

    def _network_input(self, crop, image_rgb) -> np.ndarray:
        image = crop.sample(image_rgb, self._size_px).transpose(2, 0, 1)
        return np.ascontiguousarray(image, dtype=np.float32)

    def _observation(self, outputs, crop, camera, box_px) -> JointObservation:
        view = CropView.of(crop, camera)
        log_scale = float(np.clip(outputs['place'][2], *_LOG_SCALES))
        joints = outputs['joints'] @ view.camera_from_view.T
        pixels = camera.project(joints + view.root_m(outputs['place'][:2], log_scale))
        sigma = np.clip(outputs['sigma'], 0.0, 1.0)
        error_px = np.maximum(sigma * SIGMA_UNIT_M * np.exp(log_scale) * crop.side_px, 1.0)
        return JointObservation(
            joints_m=joints - joints[:1], sigma_200mm=sigma, keypoints_px=pixels,
            box_px=np.asarray(box_px, np.float64), score=float(1 - np.median(sigma[:24])),
            keypoint_sigma_px=np.where(sigma < 1, error_px, np.inf))
