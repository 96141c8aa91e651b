"""Measure the pipeline with 1, 2, 4 and 8 people who are pasted into a moving scene."""

from __future__ import annotations

from time import perf_counter, process_time, sleep
from typing import Any, Callable, Dict, List

from niki_ros.benchmarks.speed import percentiles, staged, times_ms
from niki_ros.common.settings import PipelineConfig
import numpy as np

PEOPLE = (1, 2, 4, 8)
SIZE_PX = (1280, 720)
HEIGHT_PX = 420
RATE_HZ = 30.0
CLEAR = (8, 4, 9, 6)
"""Of the pictures that ship, those in which the whole person is seen."""
_MARGIN = 0.12
_SWAY_PX, _SWAY_HZ = 25.0, 0.4
_WARM_UP = 15


class Scene:
    """
    People side by side in front of a plain background, swaying.

    :param count: of people. :param size_px: width and height of the images.
    """

    def __init__(self, count: int, size_px=SIZE_PX):
        """Cut people out of the pictures that ship."""
        from niki_ros.benchmarks.check_images import check_images
        from niki_ros.images.pixels import resized_rgb
        width, height = size_px
        slope = np.linspace(90, 150, height)[:, None] + np.linspace(-20, 20, width)
        self._ground = np.repeat(slope[..., None], 3, axis=2).astype(np.uint8)
        self._people, pictures = [], check_images()
        for index in range(count):
            picture = pictures[CLEAR[index % len(CLEAR)]]
            low, high = picture.boxes_px[0].reshape(2, 2)
            edge = _MARGIN * (high - low)
            (x0, y0), (x1, y1) = np.maximum(np.round([low - edge, high + edge]), 0).astype(int)
            part = picture.image_rgb[y0:y1, x0:x1]
            share = min(HEIGHT_PX / part.shape[0], 0.95 * width / count / part.shape[1])
            self._people.append(resized_rgb(np.ascontiguousarray(part), max(
                round(part.shape[1] * share), 1), max(round(part.shape[0] * share), 1)))

    def image(self, seconds: float) -> np.ndarray:
        """Return the image (H, W, 3) uint8 at a moment."""
        image = self._ground.copy()
        height, width = image.shape[:2]
        for index, person in enumerate(self._people):
            middle = (index + 0.5) * width / len(self._people)
            sway = _SWAY_PX * np.sin(2 * np.pi * (_SWAY_HZ * seconds + index / 3))
            left = int(np.clip(middle - person.shape[1] / 2 + sway, 0, width - person.shape[1]))
            top = (height - person.shape[0]) // 2
            image[top:top + person.shape[0], left:left + person.shape[1]] = person
        return image


def bench_people(config: PipelineConfig, seconds: float = 5.0, counts=PEOPLE,
                 progress: Callable[[str], None] = lambda line: None) -> Dict[str, Any]:
    """
    Return figures for every number of people: times of a frame and its parts, dropped frames, CPU.

    Images come at ``RATE_HZ``; one that comes while another is worked on waits, and is dropped
    when the next one comes, as in the node.

    :param seconds: of images for each number of people.
    """
    rows, about = [], {}
    for count in counts:
        progress(f'{count} people')
        from niki_ros.loading.pipeline import load_pipeline
        pipeline = load_pipeline(config, wait=False)
        try:
            rows.append({'people': count, **_run(pipeline, Scene(count), seconds)})
            about = pipeline.describe()
        finally:
            pipeline.close()
    return {'size_px': list(SIZE_PX), 'rate_hz': RATE_HZ, 'people': rows, 'ran': about}


def _run(pipeline, scene: Scene, seconds: float) -> Dict[str, Any]:
    """Play the scene in real time and return what it took."""
    observer = pipeline.observer
    images = [scene.image(i / RATE_HZ) for i in range(round(seconds * RATE_HZ))]
    for i in range(_WARM_UP):
        pipeline.process(images[0], None, round(i * 1e9 / RATE_HZ) + 1)
    detector = observer.search.detector if observer.search else None
    with staged(observer.network) as network:
        taken, stages, bodies, cpu_s = _play(pipeline, images, network)
    around = np.array(stages['observe']) - stages['landmarks']
    stages['crops and their meaning'] = around.tolist()
    figures: Dict[str, Any] = {
        'frames': len(images), 'processed': len(taken), 'dropped': len(images) - len(taken),
        'bodies': round(float(np.mean(bodies)), 2), **percentiles(taken),
        'cpu_s_per_frame': round(cpu_s / len(taken), 4),
        'stages': {name: percentiles(values) for name, values in stages.items()}}
    if detector is not None:
        figures['stages']['detector, in its own thread'] = percentiles(
            times_ms(lambda: detector.detect(images[0]), 0.5))
    return figures


def _play(pipeline, images, network) -> tuple:
    """Process images as they come; return times (ms), stages, bodies and CPU seconds."""
    taken: List[float] = []
    bodies: List[int] = []
    stages: Dict[str, List[float]] = {'landmarks': []}
    start, cpu = perf_counter(), process_time()
    done = -1
    while done < len(images) - 1:
        newest = min(int((perf_counter() - start) * RATE_HZ), len(images) - 1)
        if newest <= done:
            sleep(max((done + 1) / RATE_HZ - (perf_counter() - start), 0.0))
            continue
        done = newest
        before, calls = perf_counter(), len(network['engine'])
        stamp_ns = round((done + _WARM_UP) * 1e9 / RATE_HZ) + 1
        bodies.append(len(pipeline.process(images[done], None, stamp_ns)))
        taken.append(1e3 * (perf_counter() - before))
        stages['landmarks'].append(sum(network['engine'][calls:]))
        for name, spent_s in pipeline.timings_s.items():
            stages.setdefault(name, []).append(1e3 * spent_s)
    return taken, stages, bodies, process_time() - cpu
