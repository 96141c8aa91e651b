"""Counters, rates and latencies of the node, and its status for /diagnostics."""

from collections import Counter, deque
import threading
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from diagnostic_msgs.msg import DiagnosticStatus
from niki_ros.ros.faults import FaultLog, make_status, OK
import numpy as np

_WINDOW_S = 10.0
_MAX_EVENTS = 4000
# libraries fill their caches during the first images, which count for no threshold
WARM_UP_COUNT = 5


class _Arrival(NamedTuple):
    at_s: float
    image_count: int


class _Frame(NamedTuple):
    at_s: float
    latency_s: float
    timings_s: Dict[str, float]
    number: int


class Health:
    """Counters of one node since its configuration, safe to use from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self.received = self.processed = 0
        self.skipped: Counter = Counter()  # reason → count of images received and not processed
        self.bodies = self.tracks = 0  # in the last image; tracks are also of people not published
        self.camera_source, self.root_source = 'none yet', ''
        self._arrivals: deque = deque(maxlen=_MAX_EVENTS)
        self._frames: deque = deque(maxlen=_MAX_EVENTS)

    def arrived(self, count: int = 1, lost_count: int = 0) -> None:
        """Count received images; ``lost_count`` of them were overwritten in the middleware."""
        with self._lock:
            self.received += count
            if lost_count:
                self.skipped['overtaken'] += lost_count
            _append(self._arrivals, _Arrival(time.monotonic(), count))

    def skip(self, reason: str) -> None:
        """Count one image that was received and not processed."""
        with self._lock:
            self.skipped[reason] += 1

    def set_camera_source(self, source: str) -> None:
        """Take the source of the newest image's camera."""
        self.camera_source = source

    def done(self, latency_s: float, timings_s: Dict[str, float], bodies: int, tracks: int = 0,
             root_source: str = '') -> None:
        """Count one processed image; ``root_source``: source of the distances of the bodies."""
        with self._lock:
            self.processed += 1
            self.bodies, self.tracks, self.root_source = bodies, tracks, root_source
            _append(self._frames, _Frame(time.monotonic(), latency_s, timings_s, self.processed))

    def figures(self) -> Tuple[float, float, int]:
        """Return output rate in Hz, latency (p99) in s and image count over ten seconds."""
        now_s = time.monotonic()
        with self._lock:
            frames = [frame for frame in self._frames
                      if now_s - frame.at_s < _WINDOW_S and frame.number > WARM_UP_COUNT]
        if len(frames) < 2:
            return 0.0, 0.0, len(frames)
        # up to now: silence since the last frame lowers the rate
        span_s = max(now_s - frames[0].at_s, 1e-9)
        return (len(frames) / span_s,
                float(np.percentile([frame.latency_s for frame in frames], 99)), len(frames))

    def counts(self) -> Dict[str, int]:
        """Return received, processed and skipped as one consistent set."""
        with self._lock:
            return {'received': self.received, 'processed': self.processed,
                    'skipped': sum(self.skipped.values())}

    def values(self) -> Dict[str, Any]:
        """Return the counters, and rates and latencies of the last ten seconds, by name."""
        now_s = time.monotonic()
        with self._lock:
            frames = [frame for frame in self._frames if now_s - frame.at_s < _WINDOW_S]
            arrivals = [one for one in self._arrivals if now_s - one.at_s < _WINDOW_S]
            values = {
                'rate_in_hz': _rate_hz([one.at_s for one in arrivals],
                                       sum(one.image_count for one in arrivals)),
                'rate_out_hz': _rate_hz([frame.at_s for frame in frames], len(frames)),
                'frames_received': self.received, 'frames_processed': self.processed,
                'frames_skipped': sum(self.skipped.values()),
                **{f'frames_skipped.{reason}': n for reason, n in sorted(self.skipped.items())},
                'bodies': self.bodies, 'tracks': self.tracks,
                'camera_source': self.camera_source, 'root_source': self.root_source}
        values.update(_percentiles_ms('latency', [frame.latency_s for frame in frames]))
        for stage in frames[-1].timings_s if frames else ():
            times_s = [frame.timings_s.get(stage, 0.0) for frame in frames]
            values.update(_percentiles_ms(f'stage.{stage}', times_s))
        return values


def node_statuses(node_name: str, state: str, about: Dict[str, str], health: Health,
                  faults: FaultLog) -> List[DiagnosticStatus]:
    """Return the status of the node with further values ``about`` it, then one for every fault."""
    fault_statuses = faults.statuses(node_name)
    active = [status.name.rpartition(': ')[2] for status in fault_statuses if status.level != OK]
    values = {'state': state, **about, **health.values()}
    text = ', '.join(active) or f'{values["bodies"]} bodies at {values["rate_out_hz"]} Hz'
    level = max((status.level for status in fault_statuses), default=OK)
    return [make_status(f'{node_name}: pose', level, f'{state}: {text}', values), *fault_statuses]


def pipeline_summary(about: Dict[str, str]) -> str:
    """Return the parts of the pipeline with their libraries in one line, for the log."""
    parts = []
    for part in ('detector', 'observer', 'lifter', 'solver'):
        if part in about:
            engine = [about[f'{part}_{key}'] for key in ('library', 'device', 'precision')
                      if f'{part}_{key}' in about]
            name = about.get(f'{part}_model', about[part])
            parts.append(f'{part} {name}' + (f' ({" ".join(engine)})' if engine else ''))
    return ', '.join(parts)


def _append(events: deque, event) -> None:
    """Append an event and drop those that are older than the window."""
    events.append(event)
    while event.at_s - events[0].at_s > _WINDOW_S:
        events.popleft()


def _rate_hz(times_s: List[float], count: int) -> str:
    """Return the rate of events between the first and the last one."""
    span_s = times_s[-1] - times_s[0] if len(times_s) > 1 else 0.0
    return f'{(count - 1) / span_s:.1f}' if span_s > 0 else '0.0'


def _percentiles_ms(name: str, times_s: List[float]) -> Dict[str, str]:
    if not times_s:
        return {}
    p50, p99 = np.percentile(times_s, [50, 99]) * 1e3
    return {f'{name}_ms_p50': f'{p50:.1f}', f'{name}_ms_p99': f'{p99:.1f}'}
