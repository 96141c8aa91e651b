"""A real front end looks at rendered people: pairs of observation and truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import InputError
from niki_ros.common.settings import ObserverConfig
from niki_ros.scene.camera import Camera
import numpy as np

OBSERVERS = ('landmarks',)
FRAME_NS = 33_333_333
_LIMBS = [JOINT[f'{side}_{part}'] for side in ('left', 'right')
          for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')]
_SAME_PERSON = 0.35
"""An observation is of the person whose limbs it misses by less than this share of their size."""
_SHAPES = {'joints_m': (29, 3), 'sigma': (29,), 'keypoints_px': (29, 2),
           'keypoint_sigma_px': (29,), 'box_px': (4,), 'score': (), 'lengths_m': (34,),
           'length_sigma_m': (34,), 'uncorrected_m': (29, 3)}
OWN = 'obs_uncorrected_m'
"""The front end's own joints in shards, where ``obs_joints_m`` are corrected."""
_LANDMARKS = {'landmarks': (33, 2), 'landmarks_world_m': (33, 3), 'landmarks_seen': (33,)}
_CIRCUMSTANCES = {'landmarks_ray': (3,), 'covered': (29,)}
"""Absent in older shards: rays then go to the hips, and nothing is covered."""
_FIELDS = {'uncorrected_m': 'own_joints_m', 'sigma': 'sigma_200mm'}
_NOBODY = {'sigma': 1.0, 'keypoint_sigma_px': np.inf, 'length_sigma_m': np.inf, 'score': 0.0}


def _recording_observer(model: str, people: int):
    """Return the front end of the pipeline, whose observations carry their landmarks."""
    from niki_ros.models.model_folder import find_model
    from niki_ros.observers.detectors import load_detector
    from niki_ros.observers.following import FollowingObserver
    from niki_ros.observers.landmark_errors import LandmarkErrors
    from niki_ros.observers.landmark_network import LandmarkNetwork
    from niki_ros.observers.search import Search
    settings = ObserverConfig()

    class Recording(LandmarkNetwork):
        def observation(self, normalized, world_m, visible, size, camera_from_upright):
            one = super().observation(normalized, world_m, visible, size, camera_from_upright)
            return WithLandmarks(**vars(one), landmarks=normalized, landmarks_world_m=world_m,
                                 landmarks_seen=visible, landmarks_ray=camera_from_upright[:, 2],
                                 sigma_alone=one.sigma_200mm)
    network = Recording(find_model(f'landmarks-{model}').path, LandmarkErrors.read())
    search = Search(load_detector(find_model(settings.detector).path), settings.min_score,
                    settings.search_period_s)
    return FollowingObserver(network, search, people)


@dataclass
class WithLandmarks(JointObservation):
    """
    An observation with what the network itself said.

    :param landmarks: (33, 2) image positions over width and height.
    :param landmarks_world_m: (33, 3) metres, axes of a camera that points at the person.
    :param landmarks_seen: (33,) visibility 0 … 1.
    :param landmarks_ray: (3,) where that camera points, axes of the image's camera.
    :param sigma_alone: (29,) what sigma would be if nobody stood in front.
    """

    landmarks: np.ndarray | None = None
    landmarks_world_m: np.ndarray | None = None
    landmarks_seen: np.ndarray | None = None
    landmarks_ray: np.ndarray | None = None
    sigma_alone: np.ndarray | None = None

    @property
    def covered(self) -> np.ndarray:
        """Tell which joints (29,) lie behind another person."""
        return self.sigma_200mm != self.sigma_alone


class Onlooker:
    """Runs a front end over clips, each a stream of its own."""

    def __init__(self, observer: str = 'landmarks', model: str = 'full'):
        """Choose the front end; it is loaded when the first clip comes."""
        if observer not in OBSERVERS:
            raise InputError(f'observer {observer!r} is unknown; expected one of {OBSERVERS}')
        self.observer, self._model, self._loaded = observer, model, {}

    def _front_end(self, people: int):
        """Return a front end that follows ``people``, with no memory of other clips."""
        if people not in self._loaded:
            self._loaded[people] = _recording_observer(self._model, people)
        self._loaded[people].reset()
        return self._loaded[people]

    def look(self, frames: Iterable, camera: Camera, people: int) -> list:
        """
        Observe a clip.

        :param frames: have ``image_rgb`` and ``keypoints_px`` of the person that counts.
        :return: for each frame the observation of that person, or None.
        """
        front_end = self._front_end(people)
        seen = []
        for number, frame in enumerate(frames):
            found = front_end.observe(frame.image_rgb, camera, number * FRAME_NS)
            seen.append(of_person(found, frame.keypoints_px))
        return seen

    def close(self) -> None:
        """Free the front ends."""
        for front_end in self._loaded.values():
            front_end.close()


def of_person(observations, keypoints_px) -> JointObservation | None:
    """Return the observation of the person with these true keypoints (29, 2), if there is one."""
    true = keypoints_px[_LIMBS]
    good = np.isfinite(true).all(1)
    if good.sum() < 3:
        return None
    size = max(np.ptp(true[good], axis=0).max(), 40.0)

    def miss(one):
        off = np.linalg.norm(one.keypoints_px[_LIMBS] - true, axis=1)[good]
        return float(np.nanmedian(off)) / size
    best = min(observations, key=miss, default=None)
    return best if best is not None and miss(best) < _SAME_PERSON else None


def pairs(observations) -> dict:
    """Return the arrays of a clip's observations (T, ...); NaN where there is none."""
    count = len(observations)
    out = {'obs_found': np.array([one is not None for one in observations])}
    for key, shape in (_SHAPES | _LANDMARKS | _CIRCUMSTANCES).items():
        values = np.full((count, *shape), _NOBODY.get(key, np.nan), dtype=np.float32)
        for number, one in enumerate(observations):
            value = getattr(one, _FIELDS.get(key, key), None)
            if value is not None:
                values[number] = value
        out[f'obs_{key}'] = values
    return out


def observed_anew(shards: dict) -> dict:
    """
    Return shards (clips, frames, ...) with what today's code makes of the stored landmarks.

    The network is not asked again; only what comes after it may have changed since.
    """
    if 'obs_landmarks' not in shards:
        return shards
    from niki_ros.observers.landmark_errors import LandmarkErrors
    errors = LandmarkErrors.read()
    parts = [pairs([anew(shards, clip, t, errors) if here else None
                    for t, here in enumerate(found)])
             for clip, found in enumerate(shards['obs_found'])]
    kept = [f'obs_{key}' for key in _LANDMARKS | _CIRCUMSTANCES]
    return {**shards, **{key: np.stack([part[key] for part in parts])
                         for key in parts[0] if key not in kept}}


def anew(shards: dict, clip: int, t: int, errors) -> JointObservation:
    """Return what today's code makes of the landmarks of one frame."""
    from niki_ros.observers.landmark_keypoints import keypoint_rays
    from niki_ros.observers.landmark_network import observation_of
    flat, world_m, visible = (shards[f'obs_{key}'][clip, t].astype(np.float64)
                              for key in _LANDMARKS)
    size = tuple(int(v) for v in shards['image_size'][clip])
    axes = landmark_axes(shards, [clip], [t])[0]
    one = observation_of(flat, world_m, visible, size, axes, errors)
    camera = Camera(shards['camera_matrix'][clip], *size)
    one.keypoint_rays = keypoint_rays(
        camera.rays(flat * size), visible, world_m @ axes.T, one, camera)
    if 'obs_covered' not in shards:
        return one
    covered = shards['obs_covered'][clip, t] > 0
    return replace(one, sigma_200mm=np.where(covered, np.float32(1.0), one.sigma_200mm),
                   keypoint_sigma_px=np.where(covered, np.inf, one.keypoint_sigma_px))


def landmark_axes(shards: dict, clip, t) -> np.ndarray:
    """
    Return what turns landmarks in metres into the camera's axes (n, 3, 3).

    :param clip: (n,) in the shards. :param t: (n,) in the clip.
    """
    from niki_ros.observers.landmarks import HIPS, rotation_to_ray
    if 'obs_landmarks_ray' in shards:
        rays = shards['obs_landmarks_ray'][clip, t].astype(np.float64)
    else:
        size, matrix = (shards[key][clip].astype(np.float64)
                        for key in ('image_size', 'camera_matrix'))
        hips = shards['obs_landmarks'][clip, t][:, list(HIPS)].astype(np.float64).mean(1)
        tangent = (hips * size - matrix[:, [0, 1], 2]) / matrix[:, [0, 1], [0, 1]]
        rays = np.concatenate([tangent, np.ones((len(hips), 1))], axis=1)
    return np.array([rotation_to_ray(ray) for ray in rays]).reshape(-1, 3, 3)
