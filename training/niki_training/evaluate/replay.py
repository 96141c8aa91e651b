"""Replay of recorded observations through the pipeline, without images and front end."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Sequence

from niki_ros.backends import engine_options
from niki_ros.body.body import Body
from niki_ros.body.observation import JointObservation
from niki_ros.common.settings import PipelineConfig
from niki_ros.lifters.lifter import load_lifter
from niki_ros.observers import Observer
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
import numpy as np


class ReplayObserver:
    """
    A front end that returns recorded observations.

    :param observations: those of each image, in order.
    """

    def __init__(self, observations: Iterable[List[JointObservation]]):
        """Start at the first image."""
        self._observations = iter(observations)
        self.faults: Dict[str, str] = {}

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None) -> List[JointObservation]:
        """Return the observations of the next image."""
        return list(next(self._observations))

    def reset(self) -> None:
        """Do nothing: there is no state besides the position."""

    def close(self) -> None:
        """Do nothing: there are no resources."""

    def describe(self) -> Dict[str, str]:
        """Return the name of this front end."""
        return {'observer': 'replay'}


class RecordingObserver:
    """
    A front end that keeps the observations of the last image.

    :param observer: the front end that observes.
    :ivar last: observations of the last image.
    """

    def __init__(self, observer: Observer):
        """Start without observations."""
        self._observer = observer
        self.last: List[JointObservation] = []

    @property
    def faults(self) -> Dict[str, str]:
        """Return the faults of the last image."""
        return self._observer.faults

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None) -> List[JointObservation]:
        """Return the observations of an image, and keep them."""
        self.last = self._observer.observe(image_rgb, camera, stamp_ns, boxes_px)
        return self.last

    def reset(self) -> None:
        """Reset the front end."""
        self._observer.reset()

    def close(self) -> None:
        """Free the front end."""
        self._observer.close()

    def describe(self) -> Dict[str, str]:
        """Return the description of the front end."""
        return self._observer.describe()


def replay_pipeline(config: PipelineConfig, observations: Iterable[List[JointObservation]],
                    numbers=None) -> Pipeline:
    """
    Return the pipeline of the settings with recorded observations in place of the front end.

    :param observations: those of each image. :param numbers: as of :class:`Pipeline`.
    """
    options = {}
    if config.solver.name != 'analytic':
        options = {'refine': config.solver.refine, **engine_options(config.engine)}
    return Pipeline(ReplayObserver(observations), load_solver(config.solver.name, **options),
                    config, load_lifter(config), numbers)


def replay(pipeline: Pipeline, camera: Optional[Camera], size,
           stamps_ns: Sequence[int]) -> Iterator[List[Body]]:
    """
    Yield the bodies of each image.

    :param camera: None = the field of view of the settings. :param size: width and height.
    """
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    for stamp_ns in stamps_ns:
        yield pipeline.process(blank, camera, stamp_ns)
