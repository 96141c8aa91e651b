"""
HybrIK as a front end, imported from weights that the user has downloaded (``niki-import hybrik``).

Where the folder has SMPL's skeleton, the camera scale is refined by it, as in HybrIK's evaluation.
"""

from typing import Dict

from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import ModelError
from niki_ros.observers.camera_scale import fitted_distance
from niki_ros.observers.crop import joints_from_uvd
from niki_ros.observers.crop_network import CropNetwork
import numpy as np

_SCALES_PER_M = (0.05, 20.0)  # range of the camera scale, crops per metre


class HybrikNetwork(CropNetwork):
    """Observes 29 joints in metres, sigma, twist and shape."""

    KIND = 'hybrik'
    MAKER = 'niki-import hybrik'
    OUTPUTS = {'uvd': (29, 3), 'sigma': (29,), 'twist_cos_sin': (23, 2), 'betas': (10,),
               'camera_scale': (1,)}

    def _prepare(self, folder) -> None:
        self._mean, self._std, self._depth_m = _normalisation(folder)
        body = folder.manifest.get('skeleton')
        self._skeleton = Skeleton.from_dict(body) if isinstance(body, dict) else None

    def _network_input(self, crop, image_rgb) -> np.ndarray:
        image = (crop.sample(image_rgb) / 255 - self._mean) / self._std
        return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)

    def _observation(self, outputs, crop, camera, box_px) -> JointObservation:
        scale = float(np.clip(outputs['camera_scale'][0], *_SCALES_PER_M))
        sigma = np.clip(outputs['sigma'], 0, 1)
        scale = self._refined_scale(scale, outputs, sigma, crop, camera)
        joints, pixels = joints_from_uvd(outputs['uvd'], crop, camera, scale, self._depth_m)
        # the crop is 1 / scale metres wide
        error_px = np.maximum(sigma * SIGMA_UNIT_M * scale * crop.side_px, 1.0)
        return JointObservation(
            joints_m=joints - joints[:1], sigma_200mm=sigma, keypoints_px=pixels,
            box_px=np.asarray(box_px, np.float64), score=float(1 - np.median(sigma[:24])),
            keypoint_sigma_px=np.where(sigma < 1, error_px, np.inf),
            twist_cos_sin=outputs['twist_cos_sin'], betas=outputs['betas'])

    def _refined_scale(self, scale: float, outputs, sigma, crop, camera) -> float:
        """Return the camera scale, crops per metre, that fits the body; the network's without."""
        if self._skeleton is None:
            return scale
        joints, pixels = joints_from_uvd(outputs['uvd'], crop, camera, scale, self._depth_m)
        focal = np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1])
        volume_middle = np.array([0.0, 0.0, focal / (crop.side_px * scale)])
        distance = fitted_distance(
            joints - volume_middle, camera.rays(pixels), sigma,
            self._skeleton.offsets(outputs['betas']), outputs['twist_cos_sin'])
        if distance is None:
            return scale
        return float(np.clip(focal / (crop.side_px * distance), *_SCALES_PER_M))

    def describe(self) -> Dict[str, str]:
        refined = "the network's" if self._skeleton is None else 'refined by the body'
        return {**super().describe(), 'observer_camera_scale': refined}


def _normalisation(folder) -> tuple:
    """Return mean (3,) and deviation (3,) of pixels 0 … 1, and the volume's depth, metres."""
    facts = folder.manifest.get('normalisation')
    try:
        mean, std = (np.asarray(facts[n], dtype=np.float32) for n in ('mean', 'std'))
        depth = float(facts['depth_m'])
        if mean.shape != (3,) or std.shape != (3,) or not (std > 0).all() or not depth > 0:
            raise ValueError('not three numbers each, or not above zero')
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{folder.path}: normalisation is {facts!r} ({error}); expected mean, '
                         'std and depth_m') from error
    return mean, std, depth
