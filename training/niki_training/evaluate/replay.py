"""Replay of recorded observations through the pipeline, without images and front end."""

from itertools import repeat
from typing import Iterable, Iterator, Sequence

from niki_ros.body.body import Body
from niki_ros.body.observation import JointObservation
from niki_ros.common.settings import PipelineConfig
from niki_ros.lifters.lifter import load_lifter
from niki_ros.loading.load_pipeline import configured_solver
from niki_ros.observers import Observer
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
import numpy as np


class ReplayObserver:
    """A front end that returns the recorded observations of each image, in order."""

    def __init__(self, observations: Iterable[list[JointObservation]]):
        self._observations = iter(observations)
        self.faults: dict[str, str] = {}
        self.waiting: frozenset[int] = frozenset()

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None) -> list[JointObservation]:
        return list(next(self._observations))

    def reset(self) -> None:
        """Do nothing: there is no state besides the position."""

    def close(self) -> None:
        """Do nothing: there are no resources."""

    def describe(self) -> dict[str, str]:
        return {'observer': 'replay'}


class RecordingObserver:
    """A front end that keeps the observations of the last image in ``last``."""

    def __init__(self, observer: Observer):
        self._observer = observer
        self.last: list[JointObservation] = []

    @property
    def faults(self) -> dict[str, str]:
        return self._observer.faults

    @property
    def waiting(self) -> frozenset[int]:
        return self._observer.waiting

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None) -> list[JointObservation]:
        self.last = self._observer.observe(image_rgb, camera, stamp_ns, boxes_px)
        return self.last

    def reset(self) -> None:
        self._observer.reset()

    def close(self) -> None:
        self._observer.close()

    def describe(self) -> dict[str, str]:
        return self._observer.describe()


def replay_pipeline(config: PipelineConfig, observations: Iterable[list[JointObservation]],
                    numbers=None) -> Pipeline:
    """Return a pipeline with the recorded observations of each image in place of the front end."""
    return Pipeline(ReplayObserver(observations), configured_solver(config), config,
                    load_lifter(config), numbers)


def replay(pipeline: Pipeline, camera: Camera | None, size, stamps_ns: Sequence[int],
           depth_m: Iterable[np.ndarray | None] = repeat(None)) -> Iterator[list[Body]]:
    """
    Yield the bodies of each image.

    :param camera: None = the field of view of the settings. :param size: width, height, pixels.
    :param depth_m: depth image (h, w) of each image, metres, or None.
    """
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    for stamp_ns, depth in zip(stamps_ns, depth_m):
        yield pipeline.process(blank, camera, stamp_ns, depth_m=depth)
