"""People seen by a camera as bodies in metres: NIKI for ROS 2."""

import os

# ONNX Runtime from 1.31 on gives every machine an id and reports its use over the network, from
# the moment it is imported; a value that the user has set wins
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')


def load_solver(name: str, **options):
    """
    Return a solver: ``niki``, ``niki-temporal``, ``analytic``, or a path to a model folder.

    :raises ModelError: when there is no such solver, or its files are damaged.
    """
    from niki_ros.solvers import load_solver as load
    return load(name, **options)


def load_pipeline(**settings):
    """
    Return the whole pipeline, ready for ``process(image_rgb, camera, stamp_ns)``.

    :param settings: ``observer='landmarks'``, ``solver='niki'``, and every other setting of
        :mod:`niki_ros.common.settings` by its dotted name: ``**{'smoothing.beta': 0.5}``;
        ``wait=False`` for images of a camera, none of which then waits.
    :raises ConfigError: for a setting that does not exist or does not fit.
    :raises ModelError: for a model that is missing or damaged, with the command that fetches it.
    """
    from niki_ros.loading.load_pipeline import load_pipeline as load
    return load(**settings)
