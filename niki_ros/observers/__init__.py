"""Front ends: an image in, one observation per person out. May import lifters and scene."""

from typing import Callable, Dict, Optional

from niki_ros.common.errors import ConfigError
from niki_ros.common.settings import ObserverConfig, PipelineConfig
from niki_ros.observers.detectors import Detector, load_detector
from niki_ros.observers.observer import Observer
from niki_ros.observers.person_network import PersonNetwork

__all__ = ['load_observer', 'NETWORKS', 'Observer']


def load_observer(config: PipelineConfig, detector: Optional[Detector] = None,
                  wait: bool = True) -> Observer:
    """
    Return the front end that the settings name.

    :param detector: used instead of ``observer.detector``.
    :param wait: the same images give the same observations on every machine, see
        :class:`niki_ros.observers.search.PersonSearch`; False: no image takes longer than the
        camera gives it, see :class:`niki_ros.observers.turns.Turns`.
    :raises ConfigError: for an unknown name, or a missing path. :raises ModelError: for a missing
        or damaged model folder. :raises BackendError: when ``engine`` is not available.
    """
    from niki_ros.backends import engine_options
    from niki_ros.observers.following import FollowingObserver
    from niki_ros.observers.search import PersonSearch
    from niki_ros.observers.turns import Turns
    settings = config.observer
    if settings.name not in NETWORKS:
        raise ConfigError(f'unknown observer {settings.name!r}; known: {", ".join(NETWORKS)}')
    network = NETWORKS[settings.name](config, engine_options(config.engine))
    try:
        if detector is None and settings.detector:
            from niki_ros.models.model_store import find_model
            folder = find_model(settings.detector)
            # of live images all of it runs in the thread of the search, with its low priority
            options = engine_options(config.engine, one_thread=not wait,
                                     int8_of=None if wait else folder)
            detector = load_detector(folder.path, **options)
        search = None if detector is None else PersonSearch(
            detector, settings.min_score, settings.search_period_s, wait)
    except BaseException:
        network.close()
        raise
    # how fast the machine is changes nothing in recorded images
    in_turn = settings.in_turn and not wait and settings.model != 'auto'
    return FollowingObserver(network, search, settings.max_people, config.camera.fov_deg,
                             turns=Turns(settings.max_load) if in_turn else None,
                             runs=runs_of(settings, wait))


def runs_of(settings: ObserverConfig, wait: bool):
    """Return the :class:`niki_ros.observers.runs.Runs`; ``wait`` for recorded images."""
    from niki_ros.observers.runs import MAX_RUNS, Runs
    if settings.name not in _MIRRORED:
        return Runs(fixed=1)
    if settings.runs != 'auto':
        return Runs(fixed=int(settings.runs))
    if settings.model == 'auto':
        return Runs(fixed=1)
    return Runs(settings.max_load, MAX_RUNS if wait else None)


def _load_landmarks(config: PipelineConfig, options: dict) -> PersonNetwork:
    from niki_ros.models.model_store import find_model
    from niki_ros.observers.landmark_network import LandmarkNetwork
    settings, errors = config.observer, _landmark_errors(config.observer)

    def load(size: str) -> LandmarkNetwork:
        return LandmarkNetwork(find_model(f'landmarks-{size}').path, errors, **options)
    return _of_size(settings, load)


def _load_look(config: PipelineConfig, options: dict) -> PersonNetwork:
    from niki_ros.models.model_store import find_look
    from niki_ros.observers.look_network import LookNetwork
    settings = config.observer

    def load(path) -> LookNetwork:
        return LookNetwork(path, _landmark_errors(settings), not config.lifter.name, **options)
    return (load(settings.path) if settings.path else
            _of_size(settings, lambda size: load(find_look(size).path)))


def _landmark_errors(settings: ObserverConfig):
    from niki_ros.observers.landmark_errors import LandmarkErrors
    return LandmarkErrors.read() if settings.correct else None


def _of_size(settings: ObserverConfig, load: Callable[[str], PersonNetwork]) -> PersonNetwork:
    """Return the network of the size ``observer.model``."""
    if settings.model == 'auto':
        from niki_ros.observers.auto_network import AutoNetwork
        return AutoNetwork(load, max_load=settings.max_load)
    return load(settings.model)


def _load_hybrik(config: PipelineConfig, options: dict) -> PersonNetwork:
    from niki_ros.observers.hybrik import HybrikNetwork
    return HybrikNetwork(_path(config.observer, HybrikNetwork.MAKER), **options)


def _path(settings: ObserverConfig, maker: str) -> str:
    if not settings.path:
        raise ConfigError(f'observer.name is {settings.name} and observer.path is empty; expected '
                          f'a model folder made by {maker}')
    return settings.path


NETWORKS: Dict[str, Callable[[PipelineConfig, dict], PersonNetwork]] = {
    'landmarks': _load_landmarks, 'look': _load_look, 'hybrik': _load_hybrik}
"""``observer.name`` → function of the settings and of the engine's options."""
_MIRRORED = 'landmarks', 'look'  # run on mirror images, too
