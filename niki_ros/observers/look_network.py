"""
The project's own network that looks at people: joints, each with its expected error.

Its graph has BlazePose's landmark network, whose outputs it returns as well, and a second trunk
with new heads, trained by ``niki-train look`` on people who are dressed, hidden and cut off.
People are followed by the landmarks.
"""

from dataclasses import dataclass, replace
from typing import Dict, Optional

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINT_IS_JOINT, KeypointRays
from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.body.skeleton import check_trained_for, MIRROR_29
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.view_network import SIZE_PX
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np

KIND = 'look'
MAKER = 'niki-export of a checkpoint of niki-train look'
HEADS = {'uv': (29, 2), 'uv_sigma': (29,), 'joints': (29, 3), 'joints_sigma': (29, 2),
         'visible': (29,), 'twist': (23, 2), 'present': (1,)}
"""Outputs of the new heads and their shapes; the manifest has their meaning."""
OUTPUTS = {**LandmarkNetwork.OUTPUTS, **HEADS}
"""Outputs of the graph and their shapes."""
_MIRROR, _MIRROR_TWISTS = list(MIRROR_29), [joint - 1 for joint in MIRROR_29[1:24]]
# of the last axis of an output, when left and right are exchanged
_SIGNS = {'uv': (-1.0, 1.0), 'joints': (-1.0, 1.0, 1.0), 'twist': (1.0, -1.0)}


@dataclass(frozen=True)
class LookNumbers:
    """Numbers of :class:`LookNetwork`."""

    mean_over_deviation: float = 0.8  # mean absolute error over deviation, of a Gaussian
    min_sigma_200mm: float = 0.02  # of a joint
    hidden_visibility: float = 0.5  # a joint below this has no image position


class LookNetwork(LandmarkNetwork):
    """
    Observes 29 joints with their expected errors; a crop is a :class:`PersonView`.

    :param own_joints: whether joints in metres and sigma are those of the new heads. For joints
        that are lifted those of the landmarks are better: the later stages were adjusted to them
        (Pose2Sim 82.2 instead of 84.2 mm, with a passer-by 86.5 instead of 90.3 mm).
    """

    KIND = KIND
    MAKER = MAKER
    OUTPUTS = OUTPUTS
    PRESENCE = 'present'

    def __init__(self, model, errors: Optional[LandmarkErrors] = None,
                 own_joints: bool = True, look_numbers: LookNumbers = LookNumbers(), **options):
        super().__init__(model, errors, **options)
        self._own_joints, self._look_numbers = own_joints, look_numbers

    def _prepare(self, folder) -> None:
        check_trained_for(folder.manifest)

    def _mirrored(self, row: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        heads = {name: mirrored_output(name, row[name]) for name in HEADS}
        return {**super()._mirrored(row), **heads}

    def _is_mirrored(self, view: PersonView) -> bool:
        return False

    def _estimate(self, row, view: PersonView, camera: Camera, size) -> CropEstimate:
        estimate = super()._estimate(row, view, camera, size)
        one = self._looked(row, view, camera, estimate.observation)
        return replace(estimate, observation=one, presence=float(row[self.PRESENCE][0]))

    def _looked(self, row, view, camera, landmarks: JointObservation) -> JointObservation:
        """
        Return the observation of the landmarks with what the new heads say instead.

        The lengths of bones stay those of the landmarks, and so do depth and visibility for the
        lifter, which was trained on their errors.
        """
        rays = view.rays((row['uv'] + 0.5) * SIZE_PX, SIZE_PX)
        pixels = camera.project(rays)
        inside_lens = np.isfinite(pixels).all(1)
        pixels = np.where(inside_lens[:, None], pixels, landmarks.keypoints_px)
        assert landmarks.keypoint_rays is not None, 'the landmark network returns them'
        one = replace(landmarks, keypoints_px=pixels.astype(np.float32),
                      keypoint_rays=_moved(landmarks.keypoint_rays, rays, inside_lens))
        if not self._own_joints:
            return one
        joints_m, twist = row['joints'] @ view.camera_from_view.T, row['twist']
        return replace(
            one, joints_m=(joints_m - joints_m[0]).astype(np.float32),
            twist_cos_sin=twist / np.maximum(np.linalg.norm(twist, axis=-1, keepdims=True), 1e-6),
            sigma_200mm=self._sigma(row['joints_sigma']).astype(np.float32),
            keypoint_sigma_px=self._keypoint_sigma(row, view, camera).astype(np.float32))

    def _sigma(self, error_m) -> np.ndarray:
        """Return sigma (29,), units of 200 mm, of errors (29, 2) across and in depth, metres."""
        numbers = self._look_numbers
        mean_square = (2 * error_m[:, 0]**2 + error_m[:, 1]**2) / 3
        deviation_m = np.sqrt(mean_square) / numbers.mean_over_deviation
        return np.clip(deviation_m / SIGMA_UNIT_M, numbers.min_sigma_200mm, 1.0)

    def _keypoint_sigma(self, row, view, camera) -> np.ndarray:
        """Return the expected error (29,) of image positions, pixels; inf of hidden joints."""
        numbers = self._look_numbers
        focal_px = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
        error_px = row['uv_sigma'] * view.width * focal_px / numbers.mean_over_deviation
        return np.where(row['visible'] < numbers.hidden_visibility, np.inf, error_px)


def _moved(keypoints: KeypointRays, rays, known) -> KeypointRays:
    """Return the keypoints with those that are joints on the rays (29, 3) that are known."""
    moves = KEYPOINT_IS_JOINT & known[JOINT_OF_KEYPOINT]
    return keypoints._replace(rays=np.where(
        moves[:, None], rays[JOINT_OF_KEYPOINT], keypoints.rays))


def mirrored_output(name: str, values: np.ndarray) -> np.ndarray:
    """
    Return an output of the new heads for mirrored crops as that for the crops.

    :param values: of one crop, or of (N, ...) crops.
    """
    if name == 'present':
        return values
    joints = _MIRROR_TWISTS if name == 'twist' else _MIRROR
    axis = -1 if name in ('uv_sigma', 'visible') else -2
    return values.take(joints, axis) * _SIGNS.get(name, 1.0)
