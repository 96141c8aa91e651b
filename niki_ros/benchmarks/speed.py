"""Times of solvers and of the pipeline on this machine, and the limit that its memory sets."""

from collections import defaultdict
from contextlib import contextmanager
from itertools import count
from time import perf_counter_ns
from timeit import repeat
from typing import Any, Dict, Iterator, List, Optional

from niki_ros.backends.engine import Engine
from niki_ros.benchmarks.released_shapes import bench_release
from niki_ros.benchmarks.timing import percentiles, times_ms
import numpy as np

BATCHES = (1, 4, 16, 64)
FRAME_PERIOD_NS = 33_333_333
_COPY_BYTES = 128 << 20


def copy_rate_bytes_s() -> float:
    """Return the bytes per second of a plain copy of 128 MiB, the best of ten."""
    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    return _COPY_BYTES / min(repeat(lambda: np.copyto(target, source), number=1, repeat=10))


def memory_mb() -> Optional[float]:
    """Return the largest resident size of this process so far; None where it is not recorded."""
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def observations(people: int) -> Dict[str, np.ndarray]:
    """
    Return observations of people in the rest pose, with noise of 20 mm.

    :return: ``joints_m`` (people, 29, 3) from the root in camera axes, ``sigma`` (people, 29).
    """
    from niki_ros.body.skeleton import open_skeleton
    rng = np.random.RandomState(0)
    # the model's axes have y up, the camera's have y down
    joints = open_skeleton().rest_joints_m * [-1, -1, 1] + rng.normal(0, 0.02, (people, 29, 3))
    return {'joints_m': joints - joints[:, :1], 'sigma': np.full((people, 29), 0.1)}


def bench_solver(solver, weight_bytes: int, seconds: float = 2.0) -> Dict[str, Any]:
    """
    Return the times of ``solver.solve`` for 1, 4, 16 and 64 people, and of one track's step.

    For comparison the result has the time to copy the weights once, and the time of the released
    network's layers.

    :param weight_bytes: size of the graph's weights; 0 = no graph, or not known.
    """
    facts = solver.describe()
    engine = solver.engine if 'model_sha256' in facts else None
    batches = [_bench_batch(solver, engine, size, seconds) for size in BATCHES]
    step = bench_step(solver, seconds)
    memory = memory_mb()  # of the solver alone: the copies and PyTorch follow
    rate = copy_rate_bytes_s()
    release, library = bench_release(seconds)
    return {
        'solver': solver.name, 'backend': facts.get('backend', 'numpy'),
        'device': facts.get('device', 'cpu'), 'precision': facts.get('precision', 'fp64'),
        'threads': facts.get('threads'), 'batches': batches, 'track_step': step,
        'floor_ms': round(1e3 * weight_bytes / rate, 4) if weight_bytes else None,
        'weight_bytes': weight_bytes, 'copy_rate_gb_s': round(rate / 1e9, 2),
        'release_p50_ms_batch1': release['p50_ms'], 'release_min_ms_batch1': release['min_ms'],
        'release_ran_with': library, **_ratios(batches[0], release), 'memory_mb': memory}


def _bench_batch(solver, engine: Optional[Engine], size: int, seconds: float) -> Dict[str, Any]:
    batch = observations(size)
    found: Dict[str, Any] = {'batch': size}
    if engine is None:
        return {**found, **percentiles(times_ms(lambda: solver.solve(**batch), seconds))}
    with run_times_ms(engine) as engine_ms:
        found.update(percentiles(times_ms(lambda: solver.solve(**batch), seconds)))
    inside = percentiles(engine_ms)
    found['stages'] = {'engine_p50_ms': inside['p50_ms'], 'engine_min_ms': inside['min_ms'],
                       'around_engine_p50_ms': round(found['p50_ms'] - inside['p50_ms'], 3)}
    return found


def _ratios(one: Dict[str, Any], release: Dict[str, float]) -> Dict[str, float]:
    """
    Return the time of the released layers over that of the solver for one person.

    By median, by minimum (which other load on the machine affects least), and for the graph alone.
    """
    ratios = {'ratio_to_release_batch1': release['p50_ms'] / one['p50_ms'],
              'ratio_of_minima_batch1': release['min_ms'] / one['min_ms']}
    if 'stages' in one:
        ratios['graph_ratio_of_minima_batch1'] = release['min_ms'] / one['stages']['engine_min_ms']
    return {name: round(value, 2) for name, value in ratios.items()}


def bench_step(solver, seconds: float = 2.0) -> Dict[str, float]:
    """Return the times of one person's frames on a track, at 30 frames per second."""
    person = {name: value[0] for name, value in observations(1).items()}
    track, stamps_ns = solver.start_track(), count(0, FRAME_PERIOD_NS)
    return percentiles(times_ms(lambda: track.step(**person, stamp_ns=next(stamps_ns)), seconds))


@contextmanager
def run_times_ms(engine: Engine) -> Iterator[List[float]]:
    """Yield a list that gets the time of each run of an engine until the block ends."""
    run, taken_ms = engine.run, []

    def timed(inputs):
        start = perf_counter_ns()
        outputs = run(inputs)
        taken_ms.append((perf_counter_ns() - start) / 1e6)
        return outputs
    setattr(engine, 'run', timed)  # noqa: B010 - shadows the method while the block runs
    try:
        yield taken_ms
    finally:
        delattr(engine, 'run')


def bench_pipeline(pipeline, source) -> Dict[str, Any]:
    """Return the times of a source's frames and of their stages, without the first frame."""
    taken_ms, stages_ms, bodies = [], defaultdict(list), 0
    for frame in source:
        start = perf_counter_ns()
        found = pipeline.process(frame.image_rgb, None, frame.stamp_ns)
        frame_ms = (perf_counter_ns() - start) / 1e6
        bodies += len(found)
        if frame.index == 0:
            continue  # libraries initialize themselves in the first frame
        taken_ms.append(frame_ms)
        for name, seconds in pipeline.timings_s.items():
            stages_ms[name].append(1e3 * seconds)
    totals = percentiles(taken_ms) if taken_ms else {}
    return {'frames': len(taken_ms), 'bodies': bodies, **totals,
            'stages': {name: percentiles(values) for name, values in stages_ms.items()},
            'ran': pipeline.describe(), 'memory_mb': memory_mb()}
