"""
The default front end: BlazePose's landmark network, a graph on our own backends.

Of one upright crop it says where 33 landmarks are, how well each is seen, where they are in metres
about the hips, and whether there is a person at all. Two more points, the middle of the hips and
the end of a line upwards as long as the body reaches, say which crop fits in the next image. The
way of cropping is that of the network's authors (Bazarevsky et al., BlazePose, 2020), except that
the crop is taken by a camera turned to the person, see :mod:`niki_ros.scene.person_view`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Optional

from niki_ros.body.observation import JointObservation
from niki_ros.images.pixels import network_input, rgb_of_view
from niki_ros.observers.landmark_errors import LandmarkErrors, sigma_left
from niki_ros.observers.landmark_keypoints import keypoint_rays
from niki_ros.observers.landmarks import box_size, observation_from_landmarks
from niki_ros.observers.network import Look
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView, view_of_body
import numpy as np
from scipy.special import expit

SIZE_PX = 256
POINTS, LANDMARKS = 39, 33
HIPS_MIDDLE, BODY_TOP = 33, 34
"""Points of the network from which the next crop is made."""
MARGIN = 1.25
OUTPUTS = {'landmarks': (POINTS * 5,), 'world': (POINTS * 3,), 'flag': (1,)}
# a crop narrower than this shows nothing but single pixels
_LEAST_CROP_PX = 20.0
# the network's own size of a person trembles by some percent from image to image, and crops of
# another size give other answers: such changes are followed by this share
# (Pose2Sim, four cameras, 104.1 to 103.3 mm)
_STEADY_CHANGE, _STEADY_SHARE = 0.2, 0.4
# where a person is seen again: in a crop so much wider, and in one with its middle so far above
_WIDER, _ABOVE = 1.5, (0.0, 0.3)
# what is compared: nose, ears, shoulders, elbows, hips, knees, ankles
_COMPARED = [0, 7, 8, 11, 12, 13, 14, 23, 24, 25, 26, 27, 28]
# a crop in which nobody is seen speaks against the person as a shift by this share of the body
_NOBODY = 0.3
# landmarks where the lens does not look count as far outside the image, in shares of it
_OUTSIDE = 2.0


class LandmarkNetwork:
    """
    BlazePose's landmarks of every person.

    :param model: a model folder. :param engine_options: of
        :func:`niki_ros.backends.load_engine`. :param errors: the network's average errors, to be
        subtracted; None = as it is.
    :raises ModelError: when the folder holds another kind of model.
    """

    looks = 3
    patience = 5

    def __init__(self, model, errors: Optional[LandmarkErrors] = None, **engine_options):
        """Load the graph."""
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        folder.check_kind('landmarks', 'niki-import blazepose')
        self.name = folder.manifest['name']
        self._errors = errors
        self.engine = load_folder_engine(folder, OUTPUTS, **engine_options)

    def place_of(self, box_px, camera: Camera) -> PersonView:
        """Return the upright view of a box; the turn is found by looking again."""
        return PersonView.around(box_px, camera, MARGIN)

    def look(self, image_rgb, camera: Camera, places: List[PersonView]) -> List[Look]:
        """Return what is in every view; all in one batch."""
        if not places:
            return []
        points, outputs = self._points(image_rgb, camera, places)
        world_m = outputs['world'].reshape(-1, POINTS, 3).astype(np.float64)
        size = (image_rgb.shape[1], image_rgb.shape[0])
        return [self._look(points[i], world_m[i], float(outputs['flag'][i, 0]), view, camera, size)
                for i, view in enumerate(places)]

    def disagreement(self, image_rgb, camera: Camera, looks: List[Look]) -> np.ndarray:
        """
        Return by how much larger crops show other people than those that were seen (n,).

        People who are there come out at the same place of every crop that they fit into. Where
        only legs are in view the network may draw a small whole person onto one of them, which
        is another one in another crop.

        :return: sum over two crops of the median shift of joints, over the body's size, and of
            the doubt that somebody is there.
        """
        places = [look.place.enlarged(_WIDER, up) for look in looks for up in _ABOVE]
        points, outputs = self._points(image_rgb, camera, places)
        total = np.zeros(len(looks))
        for row, place in enumerate(places):
            before = np.asarray(looks[row // len(_ABOVE)].points_px)[_COMPARED]
            now = camera.project(place.rays(points[row, _COMPARED, :2], SIZE_PX))
            size = max(float(np.ptp(before, axis=0).max()), 1.0)
            shift = float(np.median(np.linalg.norm(now - before, axis=1))) / size
            nobody = 1.0 - float(outputs['flag'][row, 0])
            total[row // len(_ABOVE)] += np.nan_to_num(shift, nan=1.0) + _NOBODY * nobody
        return total

    def _points(self, image_rgb, camera, places):
        """Return the points (n, 39, 5) in the pixels of every view, and all outputs."""
        pictures = [rgb_of_view(image_rgb, view, SIZE_PX, camera) for view in places]
        outputs = self.engine.run({'image': network_input(pictures)})
        return outputs['landmarks'].reshape(-1, POINTS, 5).astype(np.float64), outputs

    def keep_up(self, period_s: float, people: int) -> None:
        """Do nothing: there is one graph."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        facts = {f'observer_{name}': str(value) for name, value in self.engine.describe().items()}
        return {'observer': 'landmarks', 'observer_model': self.name, **facts,
                'observer_correction_sha256': self._errors.sha256 if self._errors else 'none'}

    def close(self) -> None:
        """Free the graph."""
        self.engine.close()

    def _look(self, points, world_m, flag, view, camera, size) -> Look:
        """Turn one row of the outputs into an observation and the next view."""
        rays = view.rays(points[:, :2], SIZE_PX)
        pixels = camera.project(rays[:LANDMARKS])
        normalized = pixels / size
        normalized = np.where(np.isfinite(normalized), normalized, _OUTSIDE)
        # visibility: not hidden by anything; presence: inside the crop
        visible = expit(points[:LANDMARKS, 3:].min(axis=1))
        roll = view.camera_from_upright.T @ view.camera_from_view
        upright_m = world_m[:LANDMARKS] @ roll.T
        seen = self.observation(normalized, upright_m, visible, size, view.camera_from_upright)
        seen.keypoint_rays = keypoint_rays(
            rays[:LANDMARKS], visible, world_m[:LANDMARKS] @ view.camera_from_view.T, seen, camera)
        focal_px = float(np.sqrt(camera.matrix[0, 0] * camera.matrix[1, 1]))
        least = _LEAST_CROP_PX / focal_px
        coming = view_of_body(rays[HIPS_MIDDLE], rays[BODY_TOP], MARGIN, least)
        if abs(coming.width / view.width - 1.0) < _STEADY_CHANGE:
            width = view.width * (coming.width / view.width) ** _STEADY_SHARE
            coming = replace(coming, width=width)
        return Look(seen, flag, coming, pixels)

    def observation(self, normalized, world_m, visible, size, camera_from_upright):
        """Return :func:`observation_of` one person; a subclass may record the landmarks here."""
        return observation_of(normalized, world_m, visible, size, camera_from_upright,
                              self._errors)


def observation_of(normalized, world_m, visible, size, camera_from_upright,
                   errors: Optional[LandmarkErrors] = None) -> JointObservation:
    """
    Return the observation of one person.

    :param normalized: (33, 2) image positions over width and height. :param size: of the image.
    :param world_m: (33, 3) metres about the hips, axes of a camera that points at the person.
    :param visible: (33,) 0 … 1. :param camera_from_upright: (3, 3) turns those axes into the
        camera's. :param errors: average errors to be subtracted.
    """
    one = observation_from_landmarks(normalized, world_m @ camera_from_upright.T, visible, size)
    if errors is None:
        return one
    off_m, off_share = errors(normalized, world_m, visible)
    joints = one.joints_m + off_m @ camera_from_upright.T
    pixels = one.keypoints_px + off_share * box_size(one.box_px)
    return replace(one, uncorrected_m=one.joints_m, sigma_200mm=sigma_left(one.sigma_200mm),
                   joints_m=(joints - joints[0]).astype(np.float32),
                   keypoints_px=pixels.astype(np.float32))
