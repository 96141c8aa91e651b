"""Times of the pipeline with 1, 2, 4 and 8 people in a moving scene."""

from dataclasses import dataclass
from time import perf_counter, process_time, sleep
from typing import Any, Callable, Dict, List, Sequence, Tuple

from niki_ros.benchmarks.speed import run_times_ms
from niki_ros.benchmarks.timing import percentiles, times_ms
from niki_ros.common.settings import PipelineConfig
import numpy as np

PEOPLE_COUNTS = (1, 2, 4, 8)
DETECTOR_STAGE, CROPS_STAGE = 'detector, in its own thread', 'crops and decoding'


@dataclass(frozen=True)
class SceneNumbers:
    """The scene in which people stand side by side and sway."""

    size_px: Tuple[int, int] = (1280, 720)
    rate_hz: float = 30.0
    image_numbers: Tuple[int, ...] = (8, 4, 9, 6)  # shipped check images with a whole person
    person_height_px: int = 420
    margin_ratio: float = 0.12  # around the box of a person, over the size of the box
    max_width_ratio: float = 0.95  # of a person, over the width of its share of the image
    sway_px: float = 25.0
    sway_hz: float = 0.4
    warm_up_frames: int = 15


class Scene:
    """People from the check images in front of a plain background."""

    def __init__(self, people: int, numbers: SceneNumbers = SceneNumbers()):
        from niki_ros.benchmarks.check_images import check_images
        width, height = numbers.size_px
        slope = np.linspace(90, 150, height)[:, None] + np.linspace(-20, 20, width)
        self.numbers = numbers
        self._background = np.repeat(slope[..., None], 3, axis=2).astype(np.uint8)
        images = check_images()
        self._people = [
            self._cut_out(images[numbers.image_numbers[i % len(numbers.image_numbers)]], people)
            for i in range(people)]

    def image(self, time_s: float) -> np.ndarray:
        """Return the image (H, W, 3) uint8 RGB at a time."""
        image, numbers = self._background.copy(), self.numbers
        height, width = image.shape[:2]
        for index, person in enumerate(self._people):
            middle = (index + 0.5) * width / len(self._people)
            phase = 2 * np.pi * (numbers.sway_hz * time_s + index / 3)
            left = middle - person.shape[1] / 2 + numbers.sway_px * np.sin(phase)
            left = int(np.clip(left, 0, width - person.shape[1]))
            top = (height - person.shape[0]) // 2
            image[top:top + person.shape[0], left:left + person.shape[1]] = person
        return image

    def _cut_out(self, image, people: int) -> np.ndarray:
        """Return the first person of a check image (h, w, 3), scaled for a scene of ``people``."""
        from niki_ros.images.pixels import resized_rgb
        low, high = image.boxes_px[0].reshape(2, 2)
        margin = self.numbers.margin_ratio * (high - low)
        (x0, y0), (x1, y1) = np.maximum(np.round([low - margin, high + margin]), 0).astype(int)
        part = image.image_rgb[y0:y1, x0:x1]
        max_width = self.numbers.max_width_ratio * self.numbers.size_px[0] / people
        scale = min(self.numbers.person_height_px / part.shape[0], max_width / part.shape[1])
        return resized_rgb(np.ascontiguousarray(part), max(round(part.shape[1] * scale), 1),
                           max(round(part.shape[0] * scale), 1))


def bench_people(config: PipelineConfig, seconds: float = 5.0,
                 counts: Sequence[int] = PEOPLE_COUNTS,
                 progress: Callable[[str], None] = lambda line: None) -> Dict[str, Any]:
    """
    Return times of a frame and of its stages, dropped frames and CPU time by number of people.

    Images arrive at the rate of the scene for ``seconds``. As in the node, an image that arrives
    during the work on another one waits, and is dropped when the next one arrives, and people are
    observed in turn where the machine is too slow.
    """
    from niki_ros.loading.load_pipeline import load_pipeline
    rows, facts, scene_numbers = [], {}, SceneNumbers()
    for count in counts:
        progress(f'{count} people')
        pipeline = load_pipeline(config, wait=False)
        try:
            rows.append({'people': count, **_bench(pipeline, Scene(count), seconds)})
            facts = pipeline.describe()
        finally:
            pipeline.close()
    return {'size_px': list(scene_numbers.size_px), 'rate_hz': scene_numbers.rate_hz,
            'people': rows, 'ran': facts}


def _bench(pipeline, scene: Scene, seconds: float) -> Dict[str, Any]:
    observer, rate_hz = pipeline.observer, scene.numbers.rate_hz
    images = [scene.image(i / rate_hz) for i in range(round(seconds * rate_hz))]
    for i in range(scene.numbers.warm_up_frames):
        pipeline.process(images[0], None, round(i * 1e9 / rate_hz) + 1)
    with run_times_ms(observer.network.engine) as network_ms:
        taken_ms, stages_ms, (bodies, observed), cpu_s = _play(
            pipeline, images, scene.numbers, network_ms)
    stages_ms[CROPS_STAGE] = [observe - landmarks for observe, landmarks in
                              zip(stages_ms['observe'], stages_ms['landmarks'])]
    figures: Dict[str, Any] = {
        'frames': len(images), 'processed': len(taken_ms),
        'dropped': len(images) - len(taken_ms), 'bodies': _mean_count(bodies),
        'observed': _mean_count(observed),
        **percentiles(taken_ms), 'cpu_s_per_frame': round(cpu_s / len(taken_ms), 4),
        'stages': {name: percentiles(values) for name, values in stages_ms.items()}}
    if observer.search:
        figures['stages'][DETECTOR_STAGE] = percentiles(
            times_ms(lambda: observer.search.detector.detect(images[0]), 0.5))
    return figures


def _mean_count(counts: Sequence[int]) -> float:
    return round(float(np.mean(counts)), 2)


def _play(pipeline, images, numbers: SceneNumbers, network_ms: List[float]) -> tuple:
    """
    Process the newest image again and again; return times, stages, counts and CPU seconds.

    The counts are those of bodies in each image, and of them those that are observed in it.
    """
    taken_ms: List[float] = []
    counts: Tuple[List[int], List[int]] = ([], [])
    stages_ms: Dict[str, List[float]] = {'landmarks': []}
    pipeline.period_s = 1 / numbers.rate_hz
    start, cpu, done = perf_counter(), process_time(), -1
    while done < len(images) - 1:
        newest = min(int((perf_counter() - start) * numbers.rate_hz), len(images) - 1)
        if newest <= done:
            sleep(max((done + 1) / numbers.rate_hz - (perf_counter() - start), 0.0))
            continue
        done = newest
        before, runs = perf_counter(), len(network_ms)
        pipeline.waited_s = before - start - done / numbers.rate_hz
        stamp_ns = round((done + numbers.warm_up_frames) * 1e9 / numbers.rate_hz) + 1
        count = len(pipeline.process(images[done], None, stamp_ns))
        counts[0].append(count)
        counts[1].append(count - len(pipeline.observer.waiting))
        taken_ms.append(1e3 * (perf_counter() - before))
        stages_ms['landmarks'].append(sum(network_ms[runs:]))
        for name, spent_s in pipeline.timings_s.items():
            stages_ms.setdefault(name, []).append(1e3 * spent_s)
    return taken_ms, stages_ms, counts, process_time() - cpu
