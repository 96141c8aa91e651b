"""Repeated calls and the percentiles of their times."""

from dataclasses import dataclass
from time import perf_counter, perf_counter_ns
from typing import Any, Callable, Dict, List

import numpy as np


@dataclass(frozen=True)
class TimingNumbers:
    """Numbers of calls: those before the measurement, and the bounds of those in it."""

    warm_up_calls: int = 10
    min_calls: int = 30
    max_calls: int = 1000


def times_ms(work: Callable[[], Any], seconds: float = 2.0,
             numbers: TimingNumbers = TimingNumbers()) -> np.ndarray:
    """Call ``work`` for about ``seconds`` and return the time (n,) of each call."""
    for _ in range(numbers.warm_up_calls):
        work()
    taken_ns: List[int] = []
    end = perf_counter() + seconds
    while len(taken_ns) < numbers.min_calls or (
            perf_counter() < end and len(taken_ns) < numbers.max_calls):
        start = perf_counter_ns()
        work()
        taken_ns.append(perf_counter_ns() - start)
    return np.asarray(taken_ns) / 1e6


def percentiles(values_ms) -> Dict[str, float]:
    """Return p50, p99 and minimum of times (n,), rounded to microseconds."""
    values = np.asarray(values_ms, dtype=np.float64)
    found = {'p50_ms': np.percentile(values, 50), 'p99_ms': np.percentile(values, 99),
             'min_ms': values.min()}
    return {name: round(float(value), 3) for name, value in found.items()}
