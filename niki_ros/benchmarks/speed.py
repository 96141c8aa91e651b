"""Measure times on this machine: solvers, the pipeline, and what the memory allows at best."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from itertools import count
from time import perf_counter, perf_counter_ns
from typing import Any, Callable, Dict, List, Optional

import numpy as np

BATCHES = (1, 4, 16, 64)
WARM_UP, LEAST, MOST = 10, 30, 1000
_COPY_BYTES = 128 << 20
RELEASE_BLOCKS, RELEASE_HIDDEN = 16, 512
RELEASE_FLOWS = ((186, 176), (190, 190))
"""Width that enters and width that leaves the nets of the released flows (twist and swing)."""


def times_ms(work: Callable[[], Any], seconds: float = 2.0) -> np.ndarray:
    """Call ``work`` for about ``seconds``, 30 … 1000 times after a warm-up; return each time."""
    for _ in range(WARM_UP):
        work()
    taken: List[int] = []
    end = perf_counter() + seconds
    while len(taken) < LEAST or (perf_counter() < end and len(taken) < MOST):
        start = perf_counter_ns()
        work()
        taken.append(perf_counter_ns() - start)
    return np.asarray(taken) / 1e6


def percentiles(values_ms) -> Dict[str, float]:
    """Return p50, p99 and minimum, microseconds kept."""
    values = np.asarray(values_ms, dtype=np.float64)
    found = {'p50_ms': np.percentile(values, 50), 'p99_ms': np.percentile(values, 99),
             'min_ms': values.min()}
    return {name: round(float(value), 3) for name, value in found.items()}


def copy_rate_bytes_s() -> float:
    """Return the bytes per second of a plain copy of 128 MiB, the best of ten."""
    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    best = float('inf')
    for _ in range(10):
        start = perf_counter()
        np.copyto(target, source)
        best = min(best, perf_counter() - start)
    return _COPY_BYTES / best


def memory_mb() -> Optional[float]:
    """Return the largest resident size of this process so far; None where nobody counts it."""
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def people(number: int) -> Dict[str, np.ndarray]:
    """Return observations of ``number`` people: rest pose with 20 mm noise, as arrays."""
    from niki_ros.body.skeleton import open_skeleton
    rng = np.random.RandomState(0)
    # y up in the body's axes, y down in the camera's
    joints = open_skeleton().rest_joints_m * [-1, -1, 1] + rng.normal(0, 0.02, (number, 29, 3))
    return {'joints_m': joints - joints[:, :1], 'sigma': np.full((number, 29), 0.1)}


def bench_solver(solver, weight_bytes: int, seconds: float = 2.0) -> Dict[str, Any]:
    """
    Time ``solver.solve`` at 1, 4, 16 and 64 people, and ``Track.step``.

    Beside them stand the floor and the released shapes.

    :param weight_bytes: of the graph; the floor is the time to copy them once. 0 = no graph.
    """
    facts = solver.describe()
    batches = []
    for size in BATCHES:
        given = people(size)
        with staged(solver) as stages:
            taken = times_ms(lambda: solver.solve(**given), seconds)  # noqa: B023
        found: Dict[str, Any] = {'batch': size, **percentiles(taken)}
        if stages:
            inside = percentiles(stages['engine'])
            found['stages'] = {'engine_p50_ms': inside['p50_ms'],
                               'engine_min_ms': inside['min_ms'], 'around_engine_p50_ms': round(
                                   found['p50_ms'] - inside['p50_ms'], 3)}
        batches.append(found)
    step = bench_step(solver, seconds)
    memory = memory_mb()  # of the solver alone: before the copies, and before PyTorch comes in
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


def _ratios(one: Dict[str, Any], release: Dict[str, float]) -> Dict[str, float]:
    """
    Return how many times longer the released shapes take than one person here.

    By median, by minimum (which other load on the machine moves least), and for the graph alone.
    """
    ratios = {'ratio_to_release_batch1': release['p50_ms'] / one['p50_ms'],
              'ratio_of_minima_batch1': release['min_ms'] / one['min_ms']}
    if 'stages' in one:
        ratios['graph_ratio_of_minima_batch1'] = release['min_ms'] / one['stages']['engine_min_ms']
    return {name: round(value, 2) for name, value in ratios.items()}


def bench_step(solver, seconds: float = 2.0) -> Dict[str, float]:
    """Time one frame of one person after another on a track, at 30 frames a second."""
    one = {name: value[0] for name, value in people(1).items()}
    track, stamps_ns = solver.start_track(), count(0, 33_333_333)
    return percentiles(times_ms(lambda: track.step(**one, stamp_ns=next(stamps_ns)), seconds))


@contextmanager
def staged(solver):
    """Time the solver's engine by itself while the block runs; yields ``{}`` without an engine."""
    engine = getattr(solver, 'engine', None)
    stages: Dict[str, List[float]] = defaultdict(list)
    if engine is None:
        yield stages
        return
    run = engine.run

    def timed(inputs):
        start = perf_counter_ns()
        outputs = run(inputs)
        stages['engine'].append((perf_counter_ns() - start) / 1e6)
        return outputs
    engine.run = timed
    try:
        yield stages
    finally:
        del engine.run


def bench_release(seconds: float = 2.0) -> tuple:
    """Return the times of the released layer shapes at one person, and what ran them."""
    try:
        # by name, because nothing of niki_ros may need torch; it is only compared with
        from importlib import import_module
        work, library = _release_in_torch(import_module('torch'))
    except ImportError:
        work, library = _release_in_numpy(), f'numpy {np.__version__}'
    return percentiles(times_ms(work, seconds)), library


def _release_in_torch(torch) -> tuple:
    """Two flows of 16 blocks; scale and shift for all values, then masked, as released."""
    nn = torch.nn

    def net(inside, outside):
        sizes = (inside, RELEASE_HIDDEN, RELEASE_HIDDEN, outside)
        layers = [nn.Linear(a, b) for a, b in zip(sizes, sizes[1:])]
        return nn.Sequential(layers[0], nn.LeakyReLU(), layers[1], nn.LeakyReLU(), layers[2])

    flows = [[(net(i, o), net(i, o)) for _ in range(RELEASE_BLOCKS)] for i, o in RELEASE_FLOWS]
    masks = [torch.arange(o) % 2 == 0 for _, o in RELEASE_FLOWS]
    x = torch.randn(1, RELEASE_FLOWS[0][1])

    def work():
        with torch.inference_mode():
            for blocks, mask, (inside, outside) in zip(flows, masks, RELEASE_FLOWS):
                y = nn.functional.pad(x, (0, outside - x.shape[1]))
                for scale, shift in blocks:
                    kept = y * mask
                    entered = nn.functional.pad(kept, (0, inside - outside))
                    gain = torch.tanh(scale(entered)) * ~mask
                    y = kept + ~mask * (y * torch.exp(gain) + shift(entered))
        return y
    return work, f'torch {torch.__version__}, {torch.get_num_threads()} threads'


def _release_in_numpy() -> Callable[[], Any]:
    """Return the same shapes where there is no PyTorch."""
    rng = np.random.RandomState(0)

    def net(inside, outside):
        sizes = (inside, RELEASE_HIDDEN, RELEASE_HIDDEN, outside)
        return [(rng.standard_normal((a, b)).astype(np.float32) * 0.05,
                 np.zeros(b, np.float32)) for a, b in zip(sizes, sizes[1:])]

    def run(layers, x):
        for i, (weight, bias) in enumerate(layers):
            x = x @ weight + bias
            if i < 2:
                x = np.where(x > 0, x, 0.01 * x)
        return x

    flows = [[(net(i, o), net(i, o)) for _ in range(RELEASE_BLOCKS)] for i, o in RELEASE_FLOWS]
    x = rng.standard_normal((1, RELEASE_FLOWS[0][1])).astype(np.float32)

    def work():
        for blocks, (inside, outside) in zip(flows, RELEASE_FLOWS):
            y = np.pad(x, ((0, 0), (0, outside - x.shape[1])))
            mask = (np.arange(outside) % 2 == 0).astype(np.float32)
            for scale, shift in blocks:
                kept = y * mask
                entered = np.pad(kept, ((0, 0), (0, inside - outside)))
                gain = np.tanh(run(scale, entered)) * (1 - mask)
                y = kept + (1 - mask) * (y * np.exp(gain) + run(shift, entered))
        return y
    return work


def bench_pipeline(pipeline, source, camera=None) -> Dict[str, Any]:
    """Time every frame of ``source`` and the stages in it; the first frame is left out."""
    taken, stages, bodies = [], defaultdict(list), 0
    for frame in source:
        start = perf_counter_ns()
        found = pipeline.process(frame.image_rgb, camera, frame.stamp_ns)
        spent = (perf_counter_ns() - start) / 1e6
        bodies += len(found)
        if frame.index == 0:
            continue  # libraries set themselves up in the first frame
        taken.append(spent)
        for name, seconds in pipeline.timings_s.items():
            stages[name].append(1e3 * seconds)
    return {'frames': len(taken), 'bodies': bodies, **(percentiles(taken) if taken else {}),
            'stages': {name: percentiles(values) for name, values in stages.items()},
            'ran': pipeline.describe(), 'memory_mb': memory_mb()}
