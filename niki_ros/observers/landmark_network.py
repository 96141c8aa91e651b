"""
BlazePose's landmark network, the default front end (Bazarevsky et al., BlazePose, 2020).

Its outputs for an upright crop are the image positions of 33 landmarks, their visibility, their
positions in metres relative to the hips, and the presence of a person. Two more points, the middle
of the hips and the point above it at the reach of the body, give the next crop. Unlike those of
the authors, crops are images of a virtual camera, see :mod:`niki_ros.observers.view_network`.

The landmarks are refined by the peaks of their heat maps. A low peak says that a landmark is not
where it is reported: on photographs it tells errors of more than a fifth of the body from smaller
ones with an area under the curve of 0.85, the network's own visibility with 0.61. A joint is as
visible as the lower one of both says. A person is found and followed by the visibility alone.
"""

from dataclasses import dataclass, replace
from typing import Dict, List, NamedTuple, Optional

from niki_ros.body.rotations import length
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.observers.landmark_joints import HIPS, MIRROR_LANDMARKS
from niki_ros.observers.landmark_keypoints import keypoint_rays
from niki_ros.observers.landmark_observation import observation_of, within_0_1
from niki_ros.observers.mirroring import Alternation, FollowedView, Output
from niki_ros.observers.person_network import CropEstimate, Workload
from niki_ros.observers.view_network import SIZE_PX, ViewNetwork
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np
from scipy.special import expit

POINTS, LANDMARKS = 39, 33
# points that give the next crop
_HIPS_MIDDLE, _BODY_TOP = 33, 34
_LEGS = [25, 26, 27, 28]  # knees and ankles
# compared in larger crops: nose, ears, shoulders, elbows, hips, knees, ankles
_COMPARED = [0, 7, 8, 11, 12, 13, 14, 23, 24, 25, 26, 27, 28]
MIRROR_POINTS = [*MIRROR_LANDMARKS, *range(LANDMARKS, POINTS)]
"""The same for all points of the network; those behind the landmarks have no sides."""
# of shoulders and hips in metres, behind the rays of all points
_SIDES = np.array([[11, 23], [12, 24]]) + POINTS
_MIRROR_X = np.array([-1.0, 1.0, 1.0])
OUTPUTS = {'landmarks': (POINTS * 5,), 'world': (POINTS * 3,), 'flag': (1,)}
"""Outputs of BlazePose's heads and their shapes."""
_PEAKS = 'peaks'


@dataclass(frozen=True)
class LandmarkNumbers:
    """Numbers of :class:`LandmarkNetwork`."""

    outside_lens_ratio: float = 2.0  # image position of landmarks where the lens has no rays
    # The network folds hidden legs up, and a crop that follows it shows half a person. While
    # knees and ankles are visible by their peaks to less than this share and the hips to more,
    # the crop is as wide as it was when all of knees and ankles were seen
    hidden_legs: float = 0.4
    visible_hips: float = 0.7
    seen_legs: float = 0.8
    max_held_ratio: float = 1.6  # of that width, over the width that fits the folded legs


@dataclass(frozen=True)
class PeakNumbers:
    """
    Heights of a landmark's peak up to which it is hidden, and from which it is visible.

    Pose2Sim with a table painted over the legs: hidden joints are off by 224 mm without this, and
    by 176 with it, seen ones by 152 and 145.
    """

    hidden: float = 0.21
    visible: float = 0.44


class SeenLandmarks(NamedTuple):
    """Landmarks in the crop of one person; axes are optical."""

    rays: np.ndarray  # (39, 3) directions, camera's axes
    visible: np.ndarray  # (33,) 0 … 1, as the network says
    at_peak: np.ndarray  # (33,) 0 … 1, as the heat maps say
    world_m: np.ndarray  # (33, 3) relative to the middle of the hips, axes of the crop

    @classmethod
    def of(cls, row: Dict[str, np.ndarray], view: PersonView) -> 'SeenLandmarks':
        """Return the landmarks of one crop's outputs."""
        points = row['landmarks'].reshape(POINTS, 5)
        # logits of visibility (not occluded) and of presence inside the crop
        visible = expit(points[:LANDMARKS, 3:].min(axis=1))
        return cls(view.rays(points[:, :2], SIZE_PX), visible, _share_at_peak(row),
                   row['world'].reshape(POINTS, 3)[:LANDMARKS])

    def output(self, view: PersonView, is_mirrored: bool, stamp_ns: int) -> Output:
        """Return the landmarks in axes of the camera."""
        rays = self.rays / length(self.rays)[:, None]
        points = np.concatenate([rays, self.world_m @ view.camera_from_view.T])
        return Output(points, is_mirrored, stamp_ns, view.width)

    def without_alternation(self, view: PersonView, is_mirrored: bool, stamp_ns: int) -> tuple:
        """Return the landmarks without what mirroring changes, and :class:`Alternation`."""
        # the estimates of a new person in the first image are not mirrored: they find the crop
        before = (view.alternation if isinstance(view, FollowedView)
                  else Alternation(pause_until_ns=stamp_ns + 1))
        now = self.output(view, is_mirrored, stamp_ns)
        points, alternation = before.step(now, _SIDES, MIRROR_LANDMARKS)
        rays, world_m = np.split(points, [POINTS])
        return self._replace(rays=rays, world_m=world_m @ view.camera_from_view), alternation


class LandmarkNetwork(ViewNetwork):
    """BlazePose's landmarks, corrected by ``errors``; a crop is a :class:`PersonView`."""

    KIND = 'landmarks'
    MAKER = 'niki-import blazepose'
    OUTPUTS = {**OUTPUTS, _PEAKS: (LANDMARKS * 3,)}
    PRESENCE = 'flag'

    def __init__(self, model, errors: Optional[LandmarkErrors] = None,
                 numbers: LandmarkNumbers = LandmarkNumbers(), **engine_options):
        super().__init__(model, **engine_options)
        self._errors, self._numbers = errors, numbers
        self._stamp_ns, self._runs_both = 0, False

    def set_workload(self, workload: Workload) -> None:
        """Take the stamp of the next image, and whether to run on mirror images, too."""
        self._stamp_ns, self._runs_both = workload.stamp_ns, workload.runs > 1

    def describe(self) -> Dict[str, str]:
        correction = self._errors.sha256 if self._errors else 'none'
        return {**super().describe(), 'observer_correction_sha256': correction}

    def _compared_px(self, row) -> np.ndarray:
        return row['landmarks'].reshape(POINTS, 5)[_COMPARED, :2]

    def _estimate(self, row, view: PersonView, camera: Camera, size) -> CropEstimate:
        seen = SeenLandmarks.of(row, view)
        if self._is_of_both(view):
            alternation = Alternation(before=(seen.output(view, False, self._stamp_ns),))
        else:
            seen, alternation = seen.without_alternation(
                view, self._is_mirrored(view), self._stamp_ns)
        pixels = camera.project(seen.rays[:LANDMARKS])
        normalized = pixels / size
        normalized = np.where(np.isfinite(normalized), normalized,
                              self._numbers.outside_lens_ratio)
        roll = view.camera_from_upright.T @ view.camera_from_view
        one = self.observation(normalized, seen.world_m @ roll.T, seen.visible, size,
                               view.camera_from_upright, seen.at_peak)
        one = replace(one, keypoint_rays=keypoint_rays(
            seen.rays[:LANDMARKS], np.minimum(seen.visible, seen.at_peak),
            seen.world_m @ view.camera_from_view.T, one, camera))
        following = self._next_view(seen.rays[_HIPS_MIDDLE], seen.rays[_BODY_TOP], view, camera)
        following = self._held(FollowedView.after(following, alternation), view, seen.at_peak)
        return CropEstimate(one, float(row['flag'][0]), following, pixels[_COMPARED])

    def _held(self, following: FollowedView, view: PersonView, at_peak) -> FollowedView:
        """Return the next view; where only the legs are hidden it is as wide as with them."""
        numbers, legs = self._numbers, at_peak[_LEGS]
        if legs.min() >= numbers.seen_legs:
            return replace(following, whole_width=following.width)
        whole_width = view.whole_width if isinstance(view, FollowedView) else 0.0
        width = following.width
        if legs.max() < numbers.hidden_legs and at_peak.take(HIPS).min() >= numbers.visible_hips:
            width = max(width, min(whole_width, numbers.max_held_ratio * width))
        return replace(following, width=width, whole_width=whole_width)

    def _run(self, image_rgb, camera, crops) -> List[Dict[str, np.ndarray]]:
        images = self._images(image_rgb, camera, crops)
        runs = [(i, is_mirrored) for i, view in enumerate(crops) for is_mirrored in (
            (False, True) if self._is_of_both(view) else (self._is_mirrored(view),))]
        rows = self._outputs([np.ascontiguousarray(images[i][:, ::-1]) if is_mirrored
                              else images[i] for i, is_mirrored in runs])
        of_crop: List[list] = [[] for _ in crops]
        for (i, is_mirrored), row in zip(runs, map(_refined, rows)):
            of_crop[i].append(self._mirrored(row) if is_mirrored else row)
        return [found[0] if len(found) == 1 else self._of_both(found[0], found[1], view)
                for found, view in zip(of_crop, crops)]

    def _is_of_both(self, view: PersonView) -> bool:
        """Return whether the network runs on this view and on its mirror image."""
        return self._runs_both and isinstance(view, FollowedView)

    def _is_mirrored(self, view: PersonView) -> bool:
        """Return whether the only run on this view is on its mirror image."""
        return isinstance(view, FollowedView) and view.is_mirrored

    def _of_both(self, plain, mirrored, view: FollowedView) -> Dict[str, np.ndarray]:
        """Return the mean outputs; if they contradict, those that fit to the image before."""
        now = [SeenLandmarks.of(row, view).output(view, False, self._stamp_ns)
               for row in (plain, mirrored)]
        if now[0].agrees(now[1], _SIDES, MIRROR_LANDMARKS):
            row = {name: (plain[name] + mirrored[name]) / 2 for name in plain}
            # one of the two more often misses a person than it sees one where there is none
            presence = np.maximum(plain[self.PRESENCE], mirrored[self.PRESENCE])
            return {**row, self.PRESENCE: presence}
        changes = [sum(one.change(last, _SIDES, MIRROR_LANDMARKS)
                       for last in view.alternation.before[:1]) for one in now]
        return plain if changes[0] <= changes[1] else mirrored

    def _mirrored(self, row: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """Return the outputs for a mirrored image as those for the image."""
        landmarks = row['landmarks'].reshape(POINTS, 5)[MIRROR_POINTS]
        world_m = row['world'].reshape(POINTS, 3)[MIRROR_POINTS] * _MIRROR_X
        landmarks[:, 0] = SIZE_PX - landmarks[:, 0]
        row = {**row, 'landmarks': landmarks.ravel(), 'world': world_m.ravel()}
        if _PEAKS in row:
            peaks = row[_PEAKS].reshape(LANDMARKS, 3)[MIRROR_LANDMARKS] * _MIRROR_X
            row[_PEAKS] = peaks.ravel()
        return row

    def observation(self, normalized, world_m, visible, size, camera_from_upright, at_peak):
        """Return :func:`observation_of` one person; a subclass may record the landmarks here."""
        return observation_of(normalized, world_m, visible, size, camera_from_upright,
                              self._errors, at_peak)


def _share_at_peak(row: Dict[str, np.ndarray],
                   numbers: PeakNumbers = PeakNumbers()) -> np.ndarray:
    """Return how visible (33,) the landmarks are by their peaks, 0 … 1; 1 without peaks."""
    if _PEAKS not in row:
        return np.ones(LANDMARKS)
    return within_0_1((row[_PEAKS][2::3] - numbers.hidden) / (numbers.visible - numbers.hidden))


def _refined(row: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return the outputs with the landmarks at the peaks of their heat maps, where there are."""
    if _PEAKS not in row:
        return row
    landmarks = np.array(row['landmarks']).reshape(POINTS, 5)
    landmarks[:LANDMARKS, :2] += row[_PEAKS].reshape(LANDMARKS, 3)[:, :2]
    return {**row, 'landmarks': landmarks.ravel()}
