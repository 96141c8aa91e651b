"""Put the pipeline together from names and settings."""

from __future__ import annotations

from typing import Optional

from niki_ros.backends import engine_options
from niki_ros.core.config import apply_settings, PipelineConfig
from niki_ros.core.pipeline import Pipeline
from niki_ros.observers import load_observer
from niki_ros.solvers import load_solver


def load_pipeline(config: Optional[PipelineConfig] = None, **settings) -> Pipeline:
    """
    Return a pipeline ready to run.

    :param settings: dotted names as in ``core.config``; ``observer`` and ``solver`` are short for
        ``observer.name`` and ``solver.name``.
    :raises ConfigError: for a setting that does not exist or does not fit.
    :raises ModelError: for a model that is missing or damaged.
    """
    config = config or PipelineConfig()
    for short in ('observer', 'solver'):
        if short in settings:
            settings[f'{short}.name'] = settings.pop(short)
    apply_settings(config, settings)
    options = {}
    if config.solver.name != 'analytic':
        backend = config.solver.backend
        options = {'backend': backend, 'refine': config.solver.refine,
                   **engine_options(backend, config.engine)}
    solver = load_solver(config.solver.name, **options)
    return Pipeline(load_observer(config.observer), solver, config)
