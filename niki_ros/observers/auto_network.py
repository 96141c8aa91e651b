"""The largest network that keeps up with the camera (``observer.model: auto``)."""

from dataclasses import dataclass
import threading
from time import perf_counter
from timeit import repeat
from typing import Any, Callable, Dict, List, Optional, Tuple

from niki_ros.common.settings import ObserverConfig
from niki_ros.observers.load_window import LoadWindow
from niki_ros.observers.person_network import (
    CropEstimate,
    LARGER_CROPS,
    PersonNetwork,
    Workload,
)
from niki_ros.scene.camera import Camera
import numpy as np

SIZES = ('lite', 'full', 'heavy')
_FIRST_SIZE = 'full'
_MEASURED_RUNS = 5


@dataclass(frozen=True)
class AutoNumbers:
    """Numbers of :class:`AutoNetwork`; times are by the stamps of the images."""

    # a larger network is chosen below this share of the load that is allowed, after it has fitted
    # for this time, and not sooner than this after it was too slow for as many people
    larger_ratio: float = 0.8
    larger_after_ns: int = 4_000_000_000
    retry_after_ns: int = 60_000_000_000


class AutoNetwork:
    """
    One of several networks of the same kind, chosen by what each image takes in all.

    :param load: returns the network of a size. :param time_s: returns the seconds of a network
        per person; None = measured now, in some tenths of a second per size.
    :param max_load: time that one image may take over the time between two images.
    :param clock: seconds; another one for tests.
    """

    def __init__(self, load: Callable[[str], PersonNetwork],
                 time_s: Optional[Callable[[PersonNetwork], float]] = None,
                 max_load: float = ObserverConfig.max_load,
                 numbers: AutoNumbers = AutoNumbers(), clock: Callable[[], float] = perf_counter):
        self._load, self._max_load = load, max_load
        self._numbers, self._clock = numbers, clock
        self._cost_s: Dict[str, float] = {}
        for size in SIZES:
            network = load(size)
            self._cost_s[size] = (time_s or _measured_s)(network)
            network.close()
        self.size, self._network = _FIRST_SIZE, load(_FIRST_SIZE)  # in use
        self.passes = self._network.passes
        self.max_missed_searches = self._network.max_missed_searches
        self._window = LoadWindow()
        self._network_s = 0.0  # since the last workload
        # size → stamp and number of people when it was too slow
        self._too_slow: Dict[str, Tuple[int, int]] = {}
        self._facts = 'rate not known yet'
        self._loaded: Optional[Tuple[str, PersonNetwork]] = None
        self._loading: Optional[threading.Thread] = None

    def set_workload(self, workload: Workload) -> None:
        """Take the load of the last image, and start to load another network if it fits better."""
        self._network.set_workload(workload)
        network_s, self._network_s = self._network_s, 0.0
        if not self._window.continues(workload.stamp_ns):
            self._forget()
        if self._loading is not None or not workload.busy_s or workload.period_s is None:
            return
        self._window.add(workload.stamp_ns, workload.busy_s, network_s)
        load_s = self._window.load_s()
        size = self.size if load_s is None else self._fitting(workload, self._busy_s(*load_s))
        if size != self.size:
            self._forget()
            self._loading = threading.Thread(target=self._load_size, args=(size,), daemon=True)
            self._loading.start()

    def crop_of(self, box_px, camera: Camera):
        return self._network.crop_of(box_px, camera)

    def estimate(self, image_rgb, camera: Camera, crops: list) -> List[CropEstimate]:
        """Return one estimate for every crop, by the new network as soon as it is loaded."""
        if self._loading is not None and not self._loading.is_alive():
            self._loading = None
            self._forget()
            if self._loaded is not None:
                self._network.close()
                self.size, self._network = self._loaded
                self._loaded = None
        return self._timed(self._network.estimate, image_rgb, camera, crops)

    def disagreement(self, image_rgb, camera: Camera, estimates,
                     larger_crops=LARGER_CROPS) -> np.ndarray:
        return self._timed(self._network.disagreement, image_rgb, camera, estimates, larger_crops)

    def describe(self) -> Dict[str, str]:
        cost = ', '.join(f'{size} {1e3 * cost:.0f}' for size, cost in self._cost_s.items())
        return {**self._network.describe(),
                'observer_auto': f'{self._facts}; ms a person: {cost}'}

    def close(self) -> None:
        if self._loading is not None:
            self._loading.join()
        if self._loaded is not None:
            self._loaded[1].close()
        self._network.close()

    def _fitting(self, workload: Workload, busy_s: Dict[str, float]) -> str:
        """Return the largest size with which an image takes no longer than it may."""
        numbers, now_ns, period_s = self._numbers, workload.stamp_ns, workload.period_s or 0.0
        limit_s = self._max_load * period_s
        self._facts = f'{1 / period_s:.0f} Hz, an image takes {1e3 * busy_s[self.size]:.0f} ms'
        if busy_s[self.size] > limit_s:
            self._window.has_fitted(False, now_ns, numbers.larger_after_ns)
            self._too_slow[self.size] = now_ns, workload.people
            smaller = SIZES[:SIZES.index(self.size)]
            fitting = [size for size in smaller if busy_s[size] <= limit_s]
            return fitting[-1] if fitting else SIZES[0]
        fitting = [size for size in SIZES[SIZES.index(self.size) + 1:]
                   if busy_s[size] <= numbers.larger_ratio * limit_s
                   and self._may_retry(size, workload)]
        has_fitted = self._window.has_fitted(bool(fitting), now_ns, numbers.larger_after_ns)
        return fitting[-1] if has_fitted else self.size

    def _busy_s(self, busy_s: float, network_s: float) -> Dict[str, float]:
        """Return what an image with at least one person takes with the network of each size."""
        own_s = self._cost_s[self.size]
        rest_s, network_s = busy_s - network_s, max(network_s, own_s)
        return {size: rest_s + network_s * cost_s / own_s for size, cost_s in self._cost_s.items()}

    def _may_retry(self, size: str, workload: Workload) -> bool:
        """Return whether a size was not too slow just now for as many people or fewer."""
        if size not in self._too_slow:
            return True
        slow_ns, people = self._too_slow[size]
        return (workload.people < people
                or workload.stamp_ns - slow_ns >= self._numbers.retry_after_ns)

    def _forget(self) -> None:
        """Begin new measurements."""
        self._window.clear()
        self._network_s = 0.0

    def _timed(self, run: Callable, *arguments) -> Any:
        start_s = self._clock()
        result = run(*arguments)
        self._network_s += self._clock() - start_s
        return result

    def _load_size(self, size: str) -> None:
        self._loaded = size, self._load(size)


def _measured_s(network: PersonNetwork) -> float:
    """Return the time of a network for one person: the shortest of some runs after a first one."""
    image = np.full((256, 256, 3), 128, np.uint8)
    camera = Camera.from_fov(256, 256, 60.0)
    crops = [network.crop_of(np.array([64.0, 32.0, 192.0, 224.0]), camera)]
    return min(repeat(lambda: network.estimate(image, camera, crops), number=1,
                      repeat=_MEASURED_RUNS + 1)[1:])
