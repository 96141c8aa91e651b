"""Records a front end on rendered people, for pairs of observation and ground truth."""

from dataclasses import dataclass, replace
from typing import Iterable

from niki_ros.body.keypoints import KeypointRays
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
from niki_ros.common.settings import ObserverConfig
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.scene.camera import Camera
import numpy as np

OBSERVERS = ('landmarks', 'look')
FRAME_NS = 33_333_333
UNCORRECTED_JOINTS = 'obs_uncorrected_m'  # joints before the correction of average errors
_LIMBS = [JOINT[f'{side}_{part}'] for side in ('left', 'right')
          for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')]
_MAX_MISS_RATIO = 0.35  # of the person's size; observations that are off by more are not theirs
_SHAPES: dict[str, tuple] = {
    'joints_m': (29, 3), 'sigma': (29,), 'keypoints_px': (29, 2), 'keypoint_sigma_px': (29,),
    'box_px': (4,), 'score': (), 'lengths_m': (34,), 'length_sigma_m': (34,),
    'uncorrected_m': (29, 3)}
_LANDMARK_SHAPES: dict[str, tuple] = {
    'landmarks': (33, 2), 'landmarks_world_m': (33, 3), 'landmarks_seen': (33,)}
# absent in older shards: the ray is then that to the hips, no joint is covered, and all landmarks
# are at the peaks of their heat maps
_OPTIONAL_SHAPES: dict[str, tuple] = {'landmarks_ray': (3,), 'covered': (29,),
                                      'landmarks_at_peak': (33,)}
# keypoints of a front end that is not computed again from its landmarks
_KEYPOINT_SHAPES: dict[str, tuple] = {'rays': (21, 3), 'seen': (21,), 'guess_m': (21, 3)}
# fields of an observation that not every front end has
_NOT_BY_ALL = ('lengths_m', 'length_sigma_m', 'uncorrected_m')
# field of the observation, where its name in shards is another
_FIELDS = {'uncorrected_m': 'own_joints_m', 'sigma': 'sigma_200mm'}
# values of frames without an observation, where they are not NaN
_MISSING = {'sigma': 1.0, 'keypoint_sigma_px': np.inf, 'length_sigma_m': np.inf, 'score': 0.0}


@dataclass
class RecordedObservation(JointObservation):
    """An observation with the output of the landmark network."""

    landmarks: np.ndarray | None = None  # (33, 2) image positions over width and height
    landmarks_world_m: np.ndarray | None = None  # (33, 3) axes of a camera towards the person
    landmarks_seen: np.ndarray | None = None  # (33,) visibility 0 … 1
    landmarks_at_peak: np.ndarray | None = None  # (33,) 0 … 1, as their heat maps say
    landmarks_ray: np.ndarray | None = None  # (3,) direction of it, axes of the image's camera
    uncovered_sigma_200mm: np.ndarray | None = None  # (29,) without regard to people in front

    @property
    def covered(self) -> np.ndarray:
        """Return (29,) True for joints behind another person."""
        return self.sigma_200mm != self.uncovered_sigma_200mm


def _recording_observer(observer: str, model: str, max_people: int):
    """Return a front end with all other settings as they are by default."""
    from niki_ros.models.model_store import find_model
    from niki_ros.observers import runs_of
    from niki_ros.observers.detectors import load_detector
    from niki_ros.observers.following import FollowingObserver
    from niki_ros.observers.look_network import LookNetwork
    from niki_ros.observers.search import PersonSearch
    settings = ObserverConfig(name=observer)
    network = (_recording_network(model) if observer == 'landmarks' else LookNetwork(
        find_model(model).path, LandmarkErrors.read(), own_joints=False))
    search = PersonSearch(load_detector(find_model(settings.detector).path), settings.min_score,
                          settings.search_period_s)
    return FollowingObserver(network, search, max_people, runs=runs_of(settings, wait=True))


def _recording_network(size: str):
    """Return a landmark network whose observations are :class:`RecordedObservation`."""
    from niki_ros.models.model_store import find_model
    from niki_ros.observers.landmark_network import LandmarkNetwork

    class RecordingNetwork(LandmarkNetwork):
        def observation(self, normalized, world_m, visible, size, camera_from_upright, at_peak):
            one = super().observation(normalized, world_m, visible, size, camera_from_upright,
                                      at_peak)
            return RecordedObservation(
                **vars(one), landmarks=normalized, landmarks_world_m=world_m,
                landmarks_seen=visible, landmarks_at_peak=at_peak,
                landmarks_ray=camera_from_upright[:, 2],
                uncovered_sigma_200mm=one.sigma_200mm)
    return RecordingNetwork(find_model(f'landmarks-{size}').path, LandmarkErrors.read())


class ClipRecorder:
    """
    Runs one of ``OBSERVERS`` on clips, each of them a new stream.

    :param model: size of the landmark network (full), or name or folder of a model of ``look``.
    """

    def __init__(self, observer: str = 'landmarks', model: str = ''):
        if observer not in OBSERVERS:
            raise InputError(f'observer {observer!r} is unknown; expected one of {OBSERVERS}')
        if observer == 'look' and not model:
            raise InputError('the observer look needs a model: give the folder that niki-export '
                             'writes')
        self.observer, self._model = observer, model or 'full'
        self._front_ends: dict = {}

    def observe(self, frames: Iterable, camera: Camera,
                max_people: int) -> list[JointObservation | None]:
        """
        Return the observation of the main person in each frame of a clip, or None.

        :param frames: with ``image_rgb`` (H, W, 3) and ``keypoints_px`` (29, 2) of that person.
        """
        if max_people not in self._front_ends:
            self._front_ends[max_people] = _recording_observer(
                self.observer, self._model, max_people)
        front_end = self._front_ends[max_people]
        front_end.reset()
        return [observation_of_person(front_end.observe(frame.image_rgb, camera, t * FRAME_NS),
                                      frame.keypoints_px) for t, frame in enumerate(frames)]

    def close(self) -> None:
        for front_end in self._front_ends.values():
            front_end.close()


def observation_of_person(observations: Iterable[JointObservation],
                          keypoints_px) -> JointObservation | None:
    """Return the observation of the person with true keypoints (29, 2), or None."""
    true_px = keypoints_px[_LIMBS]
    known = np.isfinite(true_px).all(1)
    if known.sum() < 3:
        return None
    size_px = max(np.ptp(true_px[known], axis=0).max(), 40.0)

    def miss_ratio(one):
        off_px = np.linalg.norm(one.keypoints_px[_LIMBS] - true_px, axis=1)[known]
        return float(np.nanmedian(off_px)) / size_px
    best = min(observations, key=miss_ratio, default=None)
    return best if best is not None and miss_ratio(best) < _MAX_MISS_RATIO else None


def observation_arrays(observations: list[JointObservation | None],
                       observer: str = 'landmarks') -> dict[str, np.ndarray]:
    """Return the arrays (T, ...) of a clip by their names in shards, ``obs_found`` first."""
    arrays = {'obs_found': np.array([one is not None for one in observations])}
    own = _LANDMARK_SHAPES | _OPTIONAL_SHAPES if observer == 'landmarks' else _KEYPOINT_SHAPES
    for key, shape in (_SHAPES | own).items():
        values = np.full((len(observations), *shape), _MISSING.get(key, np.nan), np.float32)
        for t, one in enumerate(observations):
            if one is not None:
                source = one.keypoint_rays if key in _KEYPOINT_SHAPES else one
                value = getattr(source, _FIELDS.get(key, key), None)
                values[t] = values[t] if value is None else value
        arrays[f'obs_{key}'] = values
    return arrays


def observation_at(shards: dict[str, np.ndarray], clip: int, t: int,
                   errors: LandmarkErrors) -> JointObservation:
    """Return the observation of one frame: from the landmarks, or as the front end gave it."""
    if 'obs_landmarks' in shards:
        return recomputed_observation(shards, clip, t, errors)
    stored = {key: shards[f'obs_{key}'][clip, t] for key in _SHAPES | _KEYPOINT_SHAPES
              if f'obs_{key}' in shards}
    for key in _NOT_BY_ALL:
        if key in stored and not np.isfinite(stored[key]).any():
            del stored[key]
    keypoints = {key: np.float64(stored.pop(key)) for key in _KEYPOINT_SHAPES if key in stored}
    one = JointObservation(sigma_200mm=stored.pop('sigma'), **stored)
    return replace(one, keypoint_rays=KeypointRays(**keypoints)) if keypoints else one


def with_recomputed_observations(shards: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """
    Return shards with observations recomputed from the stored landmarks, if there are any.

    The network does not run; the code behind it may have changed since the shards were made.
    """
    if 'obs_landmarks' not in shards:
        return shards
    errors = LandmarkErrors.read()
    clips = [observation_arrays([
        recomputed_observation(shards, clip, t, errors) if is_found else None
        for t, is_found in enumerate(found)]) for clip, found in enumerate(shards['obs_found'])]
    stored = [f'obs_{key}' for key in _LANDMARK_SHAPES | _OPTIONAL_SHAPES]
    return {**shards, **{key: np.stack([arrays[key] for arrays in clips])
                         for key in clips[0] if key not in stored}}


def recomputed_observation(shards: dict[str, np.ndarray], clip: int, t: int,
                           errors: LandmarkErrors) -> JointObservation:
    """Return the observation of one frame, computed from the stored landmarks."""
    from niki_ros.observers.landmark_keypoints import keypoint_rays
    from niki_ros.observers.landmark_observation import observation_of
    normalized, world_m, visible = (shards[f'obs_{key}'][clip, t].astype(np.float64)
                                    for key in _LANDMARK_SHAPES)
    width, height = (int(side) for side in shards['image_size'][clip])
    axes = landmark_axes(shards, [clip], [t])[0]
    at_peak = np.ones(33)
    if 'obs_landmarks_at_peak' in shards:
        at_peak = shards['obs_landmarks_at_peak'][clip, t].astype(np.float64)
    one = observation_of(normalized, world_m, visible, (width, height), axes, errors, at_peak)
    camera = Camera(shards['camera_matrix'][clip], width, height)
    one = replace(one, keypoint_rays=keypoint_rays(
        camera.rays(normalized * (width, height)), np.minimum(visible, at_peak),
        world_m @ axes.T, one, camera))
    if 'obs_covered' not in shards:
        return one
    covered = shards['obs_covered'][clip, t] > 0
    return replace(one, sigma_200mm=np.where(covered, np.float32(1.0), one.sigma_200mm),
                   keypoint_sigma_px=np.where(covered, np.inf, one.keypoint_sigma_px))


def landmark_axes(shards: dict[str, np.ndarray], clip, t) -> np.ndarray:
    """
    Return rotations (n, 3, 3) from the axes of the stored metric landmarks to the camera's.

    :param clip: (n,) indices of clips. :param t: (n,) indices of frames.
    """
    from niki_ros.observers.landmark_joints import HIPS, rotation_to_ray
    if 'obs_landmarks_ray' in shards:
        rays = shards['obs_landmarks_ray'][clip, t].astype(np.float64)
    else:
        size_px, matrix = (shards[key][clip].astype(np.float64)
                           for key in ('image_size', 'camera_matrix'))
        hips = shards['obs_landmarks'][clip, t][:, list(HIPS)].astype(np.float64).mean(1)
        tangents = (hips * size_px - matrix[:, [0, 1], 2]) / matrix[:, [0, 1], [0, 1]]
        rays = np.concatenate([tangents, np.ones((len(hips), 1))], axis=1)
    return np.array([rotation_to_ray(ray) for ray in rays]).reshape(-1, 3, 3)
