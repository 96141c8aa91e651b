"""``niki-data observe``: a real front end looks at rendered people, beside their truth."""

from __future__ import annotations

from typing import Iterable

from niki_ros.core.camera import Camera
from niki_ros.core.errors import InputError
from niki_ros.core.skeleton import JOINT
from niki_ros.core.types import JointObservation
import numpy as np

OBSERVERS = ('mediapipe',)
FRAME_NS = 33_333_333
_LIMBS = [JOINT[f'{side}_{part}'] for side in ('left', 'right')
          for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')]
_SAME_PERSON = 0.35
"""An observation is of the person whose limbs it misses by less than this share of their size."""


class Onlooker:
    """Runs a front end over clips, each a stream of its own."""

    def __init__(self, observer: str = 'mediapipe', model: str = 'full'):
        """Choose the front end; it is loaded when the first clip comes."""
        if observer not in OBSERVERS:
            raise InputError(f'observer {observer!r} is unknown; expected one of {OBSERVERS}')
        self.observer, self._model, self._loaded = observer, model, {}

    def _front_end(self, people: int):
        """Return a front end that follows ``people``, with no memory of other clips."""
        if people not in self._loaded:
            from niki_ros.observers.mediapipe import MediaPipeObserver
            self._loaded[people] = MediaPipeObserver(self._model, max_people=people)
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
    true = true[np.isfinite(true).all(1)]
    if len(true) < 3:
        return None
    size = max(np.ptp(true, axis=0).max(), 40.0)
    good = np.isfinite(keypoints_px[_LIMBS]).all(1)

    def miss(one):
        off = np.linalg.norm(one.keypoints_px[_LIMBS] - keypoints_px[_LIMBS], axis=1)[good]
        return float(np.nanmedian(off)) / size
    best = min(observations, key=miss, default=None)
    return best if best is not None and miss(best) < _SAME_PERSON else None


def pairs(observations) -> dict:
    """Return the arrays of a clip's observations (T, ...); NaN where there is none."""
    count = len(observations)
    out = {'obs_found': np.array([one is not None for one in observations]),
           'obs_joints_m': np.full((count, 29, 3), np.nan),
           'obs_sigma': np.ones((count, 29)),
           'obs_keypoints_px': np.full((count, 29, 2), np.nan),
           'obs_keypoint_sigma_px': np.full((count, 29), np.inf),
           'obs_box_px': np.full((count, 4), np.nan),
           'obs_score': np.zeros(count)}
    for number, one in enumerate(observations):
        if one is not None:
            for key in list(out)[1:]:
                out[key][number] = getattr(one, key[4:])
    return out
