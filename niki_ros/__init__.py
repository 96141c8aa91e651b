"""People seen by a camera as bodies in metres: NIKI for ROS 2."""

from __future__ import annotations


def load_solver(name: str = 'niki-temporal', **options):
    """
    Return a solver: ``niki``, ``niki-temporal``, ``analytic``, or a path to a model folder.

    :raises ModelError: when there is no such solver, or its files are damaged.
    """
    from niki_ros.solvers import load_solver as load
    return load(name, **options)


def load_pipeline(observer: str = 'mediapipe', solver: str = 'niki-temporal', **settings):
    """Return the whole pipeline; ``settings`` are dotted parameter names, see ``core.config``."""
    from niki_ros.pipeline import load_pipeline as load
    return load(observer=observer, solver=solver, **settings)
