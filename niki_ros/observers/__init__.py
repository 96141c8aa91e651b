"""Front ends: an image to one observation per person. May import lifters, backends and scene."""

from __future__ import annotations

from typing import Dict, List, Optional, Protocol

from niki_ros.body.observation import JointObservation
from niki_ros.common.errors import ConfigError
from niki_ros.common.settings import PipelineConfig
from niki_ros.scene.camera import Camera
import numpy as np

MAKERS = {'hybrik': 'niki-import hybrik has made of the weights',
          'kinematic': 'niki-export has made of a checkpoint of niki-train kinematic'}


class Observer(Protocol):
    """
    What every front end offers.

    :ivar faults: what went wrong in the last image, by name.
    """

    faults: Dict[str, str]

    def observe(self, image_rgb: np.ndarray, camera: Optional[Camera], stamp_ns: int,
                boxes_px=None) -> List[JointObservation]:
        """
        Return one observation for every person in the image (H, W, 3) uint8.

        :param boxes_px: (n, 4) x0, y0, x1, y1 of people, where another detector has found any.
        """

    def reset(self) -> None:
        """Forget the images before."""

    def close(self) -> None:
        """Free what the front end holds."""

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""


def load_observer(config: PipelineConfig, detector=None, wait: bool = True) -> Observer:
    """
    Return the front end that the settings name.

    :param detector: finds people instead of ``observer.detector``; see
        :class:`niki_ros.observers.detectors.Detector`.
    :param wait: see :class:`niki_ros.observers.search.Search`.
    :raises ModelError: when a model folder is missing or damaged.
    :raises BackendError: when the library, device or precision of ``engine`` cannot be had.
    """
    from niki_ros.backends import engine_options
    from niki_ros.observers.following import FollowingObserver
    from niki_ros.observers.search import Search
    settings, options = config.observer, engine_options(config.engine)
    network = _network(settings, options)
    try:
        if detector is None and settings.detector:
            from niki_ros.models.model_folder import find_model
            from niki_ros.observers.detectors import load_detector
            detector = load_detector(find_model(settings.detector).path, **options)
    except BaseException:
        network.close()
        raise
    search = None
    if detector is not None:
        search = Search(detector, settings.min_score, settings.search_period_s, wait)
    return FollowingObserver(network, search, settings.max_people, config.camera.fov_deg)


def _network(settings, options: dict):
    """Return what looks at the people."""
    if settings.name not in ('landmarks', *MAKERS):
        raise ConfigError(f'unknown observer {settings.name!r}; known: landmarks, '
                          f'{", ".join(MAKERS)}')
    if settings.name in MAKERS and not settings.path:
        raise ConfigError(f'observer.name is {settings.name} and observer.path is empty; expected '
                          f'the folder that {MAKERS[settings.name]}')
    if settings.name == 'hybrik':
        from niki_ros.observers.hybrik import HybrikNetwork
        return HybrikNetwork(settings.path, **options)
    if settings.name == 'kinematic':
        from niki_ros.observers.kinematic import KinematicNetwork
        return KinematicNetwork(settings.path, **options)
    from niki_ros.models.model_folder import find_model
    from niki_ros.observers.landmark_errors import LandmarkErrors
    from niki_ros.observers.landmark_network import LandmarkNetwork
    errors = LandmarkErrors.read() if settings.correct else None

    def load(size: str) -> LandmarkNetwork:
        return LandmarkNetwork(find_model(f'landmarks-{size}').path, errors, **options)
    if settings.model == 'auto':
        from niki_ros.observers.auto_network import AutoNetwork
        return AutoNetwork(load)
    return load(settings.model)
