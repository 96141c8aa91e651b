"""The largest landmark network that keeps up with the camera (``observer.model: auto``)."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Callable, Dict, List, Optional, Tuple

from niki_ros.observers.network import Look, PersonNetwork
from niki_ros.scene.camera import Camera
import numpy as np

SIZES = ('lite', 'full', 'heavy')
FIRST = 'full'
SHARE = 0.5
"""Share of the camera's period that looking at all people may take."""
SPARE = 0.7
"""A larger network is taken where it needs less than this of that share: no going to and fro."""
_RUNS = 5


class AutoNetwork:
    """
    One of several networks of the same kind, by speed.

    :param load: returns the network of a size. :param time_s: returns the seconds that a network
        takes for one person; None = measured now, some tenths of a second for each size.
    :ivar size: of the network that looks now.
    """

    looks = 3
    patience = 5

    def __init__(self, load: Callable[[str], PersonNetwork],
                 time_s: Optional[Callable[[PersonNetwork], float]] = None):
        """Measure every size and load the first one."""
        self._load = load
        self._cost_s: Dict[str, float] = {}
        for size in SIZES:
            network = load(size)
            self._cost_s[size] = (time_s or _time_s)(network)
            network.close()
        self.size, self._network = FIRST, load(FIRST)
        self.looks, self.patience = self._network.looks, self._network.patience
        self._period_s: Optional[float] = None
        self._coming: Optional[Tuple[str, PersonNetwork]] = None
        self._loading: Optional[threading.Thread] = None

    def keep_up(self, period_s: float, people: int) -> None:
        """Choose the network for images that come every ``period_s`` and show so many people."""
        self._period_s = period_s
        wanted = self._fitting(period_s, max(people, 1))
        if wanted != self.size and self._loading is None:
            self._loading = threading.Thread(target=self._fetch, args=(wanted,), daemon=True)
            self._loading.start()

    def place_of(self, box_px, camera: Camera):
        """Return where to look for a person in a box."""
        return self._network.place_of(box_px, camera)

    def look(self, image_rgb, camera: Camera, places: list) -> List[Look]:
        """Return what is at every place; by the new network as soon as it is loaded."""
        if self._loading is not None and not self._loading.is_alive():
            self._loading = None
            if self._coming is not None:
                self._network.close()
                self.size, self._network = self._coming
                self._coming = None
        return self._network.look(image_rgb, camera, places)

    def disagreement(self, image_rgb, camera: Camera, looks: List[Look]) -> np.ndarray:
        """Return by how much other crops show other people than those that were seen (n,)."""
        return self._network.disagreement(image_rgb, camera, looks)

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics, and why."""
        cost = ', '.join(f'{size} {1e3 * cost:.0f}' for size, cost in self._cost_s.items())
        rate = f'{1 / self._period_s:.0f} Hz' if self._period_s else 'rate not known yet'
        return {**self._network.describe(), 'observer_auto': f'{rate}; ms a person: {cost}'}

    def close(self) -> None:
        """Free the graphs."""
        if self._loading is not None:
            self._loading.join()
        if self._coming is not None:
            self._coming[1].close()
        self._network.close()

    def _fitting(self, period_s: float, people: int) -> str:
        """Return the largest size that is fast enough, the smallest where none is."""
        room_s = SHARE * period_s / people
        fitting = [size for size in SIZES if self._cost_s[size] <= room_s * (
            1.0 if SIZES.index(size) <= SIZES.index(self.size) else SPARE)]
        return fitting[-1] if fitting else SIZES[0]

    def _fetch(self, size: str) -> None:
        """Load a network while the other one works on."""
        self._coming = size, self._load(size)


def _time_s(network: PersonNetwork) -> float:
    """Return how long a network takes for one person, the best of some runs after a first one."""
    image = np.full((256, 256, 3), 128, np.uint8)
    camera = Camera.from_fov(256, 256, 60.0)
    places = [network.place_of(np.array([64.0, 32.0, 192.0, 224.0]), camera)]
    taken = []
    for _ in range(_RUNS + 1):
        start = perf_counter()
        network.look(image, camera, places)
        taken.append(perf_counter() - start)
    return min(taken[1:])
