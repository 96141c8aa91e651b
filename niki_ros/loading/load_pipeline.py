"""Loading of the pipeline from names and settings."""

from typing import Optional

from niki_ros.backends import engine_options
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.lifters.lifter import load_lifter
from niki_ros.observers import load_observer
from niki_ros.people.pipeline import Pipeline
from niki_ros.solvers import load_solver, Solver


def load_pipeline(config: Optional[PipelineConfig] = None, *, detector=None, wait: bool = True,
                  **settings) -> Pipeline:
    """
    Return a pipeline.

    :param detector: used instead of ``observer.detector``; has the methods of
        :class:`niki_ros.observers.detectors.Detector`.
    :param wait: wait for a search for people that is late, and observe everybody in every image,
        so that the same images give the same bodies on every machine; False, for live images: no
        image waits, the network is run as often as there is time, and where the machine is too
        slow people are observed in turn.
    :param settings: dotted names of :mod:`niki_ros.common.settings`; ``observer`` and ``solver``
        are short for ``observer.name`` and ``solver.name``.
    :raises ConfigError: for a setting that does not exist or does not fit.
    :raises ModelError: for a model that is missing or damaged.
    """
    config = config or PipelineConfig()
    for short in ('observer', 'solver'):
        if short in settings:
            settings[f'{short}.name'] = settings.pop(short)
    apply_settings(config, settings)
    observer = load_observer(config, detector, wait)
    try:
        return Pipeline(observer, configured_solver(config), config, load_lifter(config))
    except BaseException:
        observer.close()
        raise


def configured_solver(config: PipelineConfig) -> Solver:
    """Return the solver of the settings; errors as of :func:`niki_ros.solvers.load_solver`."""
    if config.solver.name == 'analytic':
        return load_solver('analytic')
    return load_solver(config.solver.name, refine=config.solver.refine,
                       **engine_options(config.engine, one_thread=True))
