"""
The project's own network that looks at people: joints, each with its expected error.

It has the trunk of BlazePose, whose landmarks it returns as well, and new heads, trained by
``niki-train look`` on people who are dressed, hidden and cut off. Crops and following are those of
:mod:`niki_ros.observers.view_network`.
"""

from dataclasses import dataclass, replace

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINT_IS_JOINT
from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.body.skeleton import check_trained_for, JOINT
from niki_ros.observers import landmark_network
from niki_ros.observers.landmark_joints import joints_from_landmarks
from niki_ros.observers.landmark_keypoints import keypoint_rays
from niki_ros.observers.landmark_observation import visible_box
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.view_network import SIZE_PX, ViewNetwork
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np

KIND = 'look'
MAKER = 'niki-export of a checkpoint of niki-train look'
OUTPUTS = {
    **landmark_network.OUTPUTS, 'uv': (29, 2), 'uv_sigma': (29,), 'joints': (29, 3),
    'joints_sigma': (29, 2), 'visible': (29,), 'twist': (23, 2), 'present': (1,)}
"""Outputs of the graph and their shapes; the manifest has their meaning."""
_HIPS = [JOINT['left_hip'], JOINT['right_hip']]
_SHOULDERS = [JOINT['left_shoulder'], JOINT['right_shoulder']]
_TRUNK = [*_HIPS, *_SHOULDERS]
# compared in larger crops
_COMPARED = [*_TRUNK, *(JOINT[f'{side}_{name}'] for side in ('left', 'right')
                        for name in ('knee', 'ankle', 'elbow')), JOINT['head_top']]


@dataclass(frozen=True)
class LookNumbers:
    """Numbers of :class:`LookNetwork`."""

    mean_over_deviation: float = 0.8  # mean absolute error over deviation, of a Gaussian
    min_sigma_200mm: float = 0.02  # of a joint
    hidden_visibility: float = 0.5  # a joint below this has no image position
    # reach of the body as the landmark network says it, over the distance of the farthest joint
    # from the middle of the hips (Pose2Sim, median)
    reach_ratio: float = 1.05
    outside_lens_ratio: float = 2.0  # image position of joints where the lens has no rays


class LookNetwork(ViewNetwork):
    """Observes 29 joints with their expected errors; a crop is a :class:`PersonView`."""

    KIND = KIND
    MAKER = MAKER
    OUTPUTS = OUTPUTS
    PRESENCE = 'present'

    def _prepare(self, folder) -> None:
        check_trained_for(folder.manifest)

    def __init__(self, model, numbers: LookNumbers = LookNumbers(), **engine_options):
        super().__init__(model, **engine_options)
        self._numbers = numbers

    def _compared_px(self, row) -> np.ndarray:
        return (row['uv'][_COMPARED] + 0.5) * SIZE_PX

    def _estimate(self, row, view: PersonView, camera: Camera, size) -> CropEstimate:
        rays = view.rays((row['uv'] + 0.5) * SIZE_PX, SIZE_PX)
        pixels = camera.project(rays)
        one = self._observation(row, view, camera, pixels, size)
        one = replace(one, keypoint_rays=_keypoint_rays(row, view, camera, one))
        middle_ray, top_ray = self._reach(row['uv'], view)
        following = self._next_view(middle_ray, top_ray, view, camera)
        return CropEstimate(one, float(row['present'][0]), following, pixels[_COMPARED])

    def _observation(self, row, view, camera, pixels, size) -> JointObservation:
        numbers, visible = self._numbers, row['visible']
        normalized = pixels / size
        normalized = np.where(np.isfinite(normalized), normalized, numbers.outside_lens_ratio)
        joints_m = row['joints'] @ view.camera_from_view.T
        twist = row['twist']
        return JointObservation(
            joints_m=(joints_m - joints_m[0]).astype(np.float32),
            sigma_200mm=self._sigma(row['joints_sigma']).astype(np.float32),
            keypoints_px=pixels.astype(np.float32),
            box_px=visible_box(normalized * size, normalized, visible, size).astype(np.float32),
            score=float(visible[_TRUNK].mean()),
            keypoint_sigma_px=self._keypoint_sigma(row, view, camera).astype(np.float32),
            twist_cos_sin=twist / np.maximum(np.linalg.norm(twist, axis=-1, keepdims=True), 1e-6))

    def _sigma(self, error_m) -> np.ndarray:
        """Return sigma (29,), units of 200 mm, of errors (29, 2) across and in depth, metres."""
        mean_square = (2 * error_m[:, 0]**2 + error_m[:, 1]**2) / 3
        deviation_m = np.sqrt(mean_square) / self._numbers.mean_over_deviation
        return np.clip(deviation_m / SIGMA_UNIT_M, self._numbers.min_sigma_200mm, 1.0)

    def _keypoint_sigma(self, row, view, camera) -> np.ndarray:
        """Return the expected error (29,) of image positions, pixels; inf of hidden joints."""
        focal_px = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
        error_px = row['uv_sigma'] * view.width * focal_px / self._numbers.mean_over_deviation
        return np.where(row['visible'] < self._numbers.hidden_visibility, np.inf, error_px)

    def _reach(self, uv, view: PersonView) -> tuple:
        """Return the rays (3,) to the middle of the hips, and to the reach of the body above."""
        middle = uv[_HIPS].mean(0)
        reach = self._numbers.reach_ratio * np.linalg.norm(uv - middle, axis=1).max()
        up = uv[_SHOULDERS].mean(0) - middle
        top = middle + reach * up / max(float(np.linalg.norm(up)), 1e-6)
        return tuple(view.rays((point + 0.5) * SIZE_PX, SIZE_PX) for point in (middle, top))


def _keypoint_rays(row, view: PersonView, camera: Camera, one: JointObservation):
    """Return the keypoints: joints by the new heads, other landmarks by the old ones."""
    seen = landmark_network.SeenLandmarks.of(row, view)
    landmarks_m = seen.world_m @ view.camera_from_view.T
    # landmarks move with the joints next to them, from the old heads' joints to the new ones
    moved = replace(one, uncorrected_m=joints_from_landmarks(landmarks_m))
    keypoints = keypoint_rays(seen.rays[:landmark_network.LANDMARKS], seen.visible, landmarks_m,
                              moved, camera)
    return keypoints._replace(seen=np.where(
        KEYPOINT_IS_JOINT & (keypoints.seen > 0), row['visible'][JOINT_OF_KEYPOINT],
        keypoints.seen))
