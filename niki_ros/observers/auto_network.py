"""The largest landmark network that keeps up with the camera (``observer.model: auto``)."""

import threading
from timeit import repeat
from typing import Callable, Dict, List, Optional, Tuple

from niki_ros.observers.person_network import CropEstimate, PersonNetwork
from niki_ros.scene.camera import Camera
import numpy as np

SIZES = ('lite', 'full', 'heavy')
_FIRST_SIZE = 'full'
_MAX_LOAD_RATIO = 0.5  # share of the period of the images for the estimates of all people
# a larger network is chosen only below this share of that load, so that sizes do not alternate
_LARGER_RATIO = 0.7
_MEASURED_RUNS = 5


class AutoNetwork:
    """
    One of several networks of the same kind, chosen by speed.

    :param load: returns the network of a size. :param time_s: returns the seconds of a network
        per person; None = measured now, in some tenths of a second per size.
    """

    def __init__(self, load: Callable[[str], PersonNetwork],
                 time_s: Optional[Callable[[PersonNetwork], float]] = None):
        self._load = load
        self._cost_s: Dict[str, float] = {}
        for size in SIZES:
            network = load(size)
            self._cost_s[size] = (time_s or _measured_s)(network)
            network.close()
        self.size, self._network = _FIRST_SIZE, load(_FIRST_SIZE)  # in use
        self.passes = self._network.passes
        self.max_missed_searches = self._network.max_missed_searches
        self._period_s: Optional[float] = None
        self._loaded: Optional[Tuple[str, PersonNetwork]] = None
        self._loading: Optional[threading.Thread] = None

    def set_workload(self, period_s: float, people: int) -> None:
        """Start to load the largest network that is fast enough for this period and number."""
        self._period_s = period_s
        size = self._largest_fitting(period_s, max(people, 1))
        if size != self.size and self._loading is None:
            self._loading = threading.Thread(target=self._load_size, args=(size,), daemon=True)
            self._loading.start()

    def crop_of(self, box_px, camera: Camera):
        return self._network.crop_of(box_px, camera)

    def estimate(self, image_rgb, camera: Camera, crops: list) -> List[CropEstimate]:
        """Return one estimate for every crop, by the new network as soon as it is loaded."""
        if self._loading is not None and not self._loading.is_alive():
            self._loading = None
            if self._loaded is not None:
                self._network.close()
                self.size, self._network = self._loaded
                self._loaded = None
        return self._network.estimate(image_rgb, camera, crops)

    def disagreement(self, image_rgb, camera: Camera, estimates) -> np.ndarray:
        return self._network.disagreement(image_rgb, camera, estimates)

    def describe(self) -> Dict[str, str]:
        cost = ', '.join(f'{size} {1e3 * cost:.0f}' for size, cost in self._cost_s.items())
        rate = f'{1 / self._period_s:.0f} Hz' if self._period_s else 'rate not known yet'
        return {**self._network.describe(), 'observer_auto': f'{rate}; ms a person: {cost}'}

    def close(self) -> None:
        if self._loading is not None:
            self._loading.join()
        if self._loaded is not None:
            self._loaded[1].close()
        self._network.close()

    def _largest_fitting(self, period_s: float, people: int) -> str:
        limit_s = _MAX_LOAD_RATIO * period_s / people
        fitting = [size for size in SIZES if self._cost_s[size] <= limit_s * (
            1.0 if SIZES.index(size) <= SIZES.index(self.size) else _LARGER_RATIO)]
        return fitting[-1] if fitting else SIZES[0]

    def _load_size(self, size: str) -> None:
        self._loaded = size, self._load(size)


def _measured_s(network: PersonNetwork) -> float:
    """Return the time of a network for one person: the shortest of some runs after a first one."""
    image = np.full((256, 256, 3), 128, np.uint8)
    camera = Camera.from_fov(256, 256, 60.0)
    crops = [network.crop_of(np.array([64.0, 32.0, 192.0, 224.0]), camera)]
    return min(repeat(lambda: network.estimate(image, camera, crops), number=1,
                      repeat=_MEASURED_RUNS + 1)[1:])
