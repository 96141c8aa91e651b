"""
BlazePose's landmark network, the default front end (Bazarevsky et al., BlazePose, 2020).

Its outputs for an upright crop are the image positions of 33 landmarks, their visibility, their
positions in metres relative to the hips, and the presence of a person. Two more points, the middle
of the hips and the point above it at the reach of the body, give the next crop. Unlike those of
the authors, crops are images of a virtual camera, see :mod:`niki_ros.scene.person_view`.
"""

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Tuple

from niki_ros.images.pixels import network_input, rgb_of_view
from niki_ros.observers.graph_network import GraphNetwork
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.observers.landmark_keypoints import keypoint_rays
from niki_ros.observers.landmark_observation import observation_of
from niki_ros.observers.person_network import CropEstimate
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView, view_of_body
import numpy as np
from scipy.special import expit

SIZE_PX = 256
POINTS, LANDMARKS = 39, 33
# points that give the next crop
_HIPS_MIDDLE, _BODY_TOP = 33, 34
MARGIN = 1.25  # width of a crop over the size of the person
# compared in larger crops: nose, ears, shoulders, elbows, hips, knees, ankles
_COMPARED = [0, 7, 8, 11, 12, 13, 14, 23, 24, 25, 26, 27, 28]


@dataclass(frozen=True)
class LandmarkNumbers:
    """Numbers of :class:`LandmarkNetwork`."""

    min_crop_px: float = 20.0  # width of a crop in the image; narrower ones show single pixels
    # smaller changes of the width of a crop are smoothed: the size of a person varies by some
    # percent from image to image, and the outputs vary with it
    steady_width_ratio: float = 0.2
    width_weight: float = 0.4  # of the newest width then (Pose2Sim, 4 cameras, 104.1 to 103.3 mm)
    larger_width_ratio: float = 1.5  # width of the larger crops over that of the person's crop
    larger_up_ratios: Tuple[float, ...] = (0.0, 0.3)  # their middles above its middle, the same
    absence_ratio: float = 0.3  # shift for which a larger crop without a person counts
    outside_lens_ratio: float = 2.0  # image position of landmarks where the lens has no rays


class LandmarkNetwork(GraphNetwork):
    """BlazePose's landmarks, corrected by ``errors``; a crop is a :class:`PersonView`."""

    passes = 3
    max_missed_searches = 5

    KIND = 'landmarks'
    MAKER = 'niki-import blazepose'
    OUTPUTS = {'landmarks': (POINTS * 5,), 'world': (POINTS * 3,), 'flag': (1,)}

    def __init__(self, model, errors: Optional[LandmarkErrors] = None,
                 numbers: LandmarkNumbers = LandmarkNumbers(), **engine_options):
        super().__init__(model, **engine_options)
        self._errors, self._numbers = errors, numbers

    def crop_of(self, box_px, camera: Camera) -> PersonView:
        """Return the view of a box (4,) without roll, which the next estimate gives."""
        return PersonView.around(box_px, camera, MARGIN)

    def estimate(self, image_rgb, camera: Camera, crops: List[PersonView]) -> List[CropEstimate]:
        """Return one estimate for every view, in one batch."""
        if not crops:
            return []
        points, outputs = self._run(image_rgb, camera, crops)
        world_m = outputs['world'].reshape(-1, POINTS, 3).astype(np.float64)
        size = (image_rgb.shape[1], image_rgb.shape[0])
        return [self._estimate(points[i], world_m[i], float(outputs['flag'][i, 0]), view, camera,
                               size) for i, view in enumerate(crops)]

    def disagreement(self, image_rgb, camera: Camera, estimates: List[CropEstimate]) -> np.ndarray:
        """
        Return by how much estimates in larger crops differ from ``estimates`` (n,).

        That is the sum over two crops of the median shift of the landmarks, over the size of the
        body, and of the weighted probability that no person is there.
        """
        numbers, count = self._numbers, len(self._numbers.larger_up_ratios)
        crops = [one.next_crop.enlarged(numbers.larger_width_ratio, up_ratio)
                 for one in estimates for up_ratio in numbers.larger_up_ratios]
        points, outputs = self._run(image_rgb, camera, crops)
        total = np.zeros(len(estimates))
        for row, crop in enumerate(crops):
            before = np.asarray(estimates[row // count].points_px)[_COMPARED]
            now = camera.project(crop.rays(points[row, _COMPARED, :2], SIZE_PX))
            size = max(float(np.ptp(before, axis=0).max()), 1.0)
            shift = float(np.median(np.linalg.norm(now - before, axis=1))) / size
            absence = 1.0 - float(outputs['flag'][row, 0])
            total[row // count] += (np.nan_to_num(shift, nan=1.0)
                                    + numbers.absence_ratio * absence)
        return total

    def _run(self, image_rgb, camera, crops):
        """Return the points (n, 39, 5) in pixels of every view, and all outputs."""
        images = [rgb_of_view(image_rgb, view, SIZE_PX, camera) for view in crops]
        outputs = self.engine.run({'image': network_input(images)})
        return outputs['landmarks'].reshape(-1, POINTS, 5).astype(np.float64), outputs

    def describe(self) -> Dict[str, str]:
        correction = self._errors.sha256 if self._errors else 'none'
        return {**super().describe(), 'observer_correction_sha256': correction}

    def _estimate(self, points, world_m, presence, view, camera, size) -> CropEstimate:
        rays = view.rays(points[:, :2], SIZE_PX)
        pixels = camera.project(rays[:LANDMARKS])
        normalized = pixels / size
        normalized = np.where(np.isfinite(normalized), normalized,
                              self._numbers.outside_lens_ratio)
        # logits of visibility (not occluded) and of presence inside the crop
        visible = expit(points[:LANDMARKS, 3:].min(axis=1))
        roll = view.camera_from_upright.T @ view.camera_from_view
        upright_m = world_m[:LANDMARKS] @ roll.T
        one = self.observation(normalized, upright_m, visible, size, view.camera_from_upright)
        one = replace(one, keypoint_rays=keypoint_rays(
            rays[:LANDMARKS], visible, world_m[:LANDMARKS] @ view.camera_from_view.T, one, camera))
        return CropEstimate(one, presence, self._next_view(rays, view, camera), pixels)

    def _next_view(self, rays, view: PersonView, camera) -> PersonView:
        """Return the view of the next image for rays (39, 3), with a smoothed width."""
        numbers = self._numbers
        focal_px = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
        following = view_of_body(rays[_HIPS_MIDDLE], rays[_BODY_TOP], MARGIN,
                                 numbers.min_crop_px / focal_px)
        ratio = following.width / view.width
        if abs(ratio - 1.0) >= numbers.steady_width_ratio:
            return following
        return replace(following, width=view.width * ratio ** numbers.width_weight)

    def observation(self, normalized, world_m, visible, size, camera_from_upright):
        """Return :func:`observation_of` one person; a subclass may record the landmarks here."""
        return observation_of(normalized, world_m, visible, size, camera_from_upright,
                              self._errors)
