"""Front ends: an image in, one observation of 29 joints per person out."""

from __future__ import annotations

from typing import Dict, List, Optional, Protocol

from niki_ros.core.camera import Camera
from niki_ros.core.config import ObserverConfig
from niki_ros.core.errors import ConfigError
from niki_ros.core.types import JointObservation
import numpy as np


class Observer(Protocol):
    """What every front end offers."""

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera],
                stamp_ns: int) -> List[JointObservation]:
        """Return one observation for every person in the image (H, W, 3) uint8."""

    def reset(self) -> None:
        """Forget the images before."""

    def close(self) -> None:
        """Free what the front end holds."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""


def load_observer(config: ObserverConfig) -> Observer:
    """
    Return the front end that the settings name.

    :raises ModelError: when its model is not there, with the command that fetches it.
    """
    if config.name not in ('mediapipe', 'hybrik', 'kinematic'):
        raise ConfigError(f'unknown observer {config.name!r}; known: mediapipe, hybrik, kinematic')
    if config.name != 'mediapipe' and not config.path:
        maker = {'hybrik': 'niki-import hybrik has made of the weights',
                 'kinematic': 'niki-export has made of a checkpoint of niki-train kinematic'}
        raise ConfigError(f'observer.name is {config.name} and observer.path is empty; expected '
                          f'the folder that {maker[config.name]}')
    if config.name == 'kinematic':
        from niki_ros.observers.kinematic import KinematicObserver
        return KinematicObserver(config.path, config.backend, max_people=config.max_people)
    from niki_ros.observers.mediapipe import MediaPipeObserver
    finder = MediaPipeObserver(
        model=config.model, max_people=config.max_people, min_confidence=config.min_score,
        correct=config.correct and config.name == 'mediapipe')
    if config.name == 'mediapipe':
        return finder
    try:
        from niki_ros.observers.hybrik import HybrikObserver
        return HybrikObserver(config.path, config.backend, finder=finder,
                              max_people=config.max_people)
    except BaseException:
        finder.close()
        raise
