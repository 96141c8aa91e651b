"""
Search for people in the whole image and in parts of it, in a thread of its own.

A search takes longer than following does, so it runs while images are followed, and what it found
is used some images later. That moment depends on the stamps alone: the same images give the same
people every time, however fast the machine is.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import thread_time
from typing import List, Optional, Tuple

from niki_ros.common.errors import NikiError
from niki_ros.observers.detectors import Detector
import numpy as np

Part = Tuple[int, int, int, int]

DELAY_S = 0.06
"""What a search has found is used with the first image that is so much later."""
ALONE_PERIOD_S = 0.1
"""Time between searches while no person is followed."""
MOST_LOAD = 1 / 6
"""Share of one core that searching may take where images must not wait for it."""
RELAXED = 0.6
"""Where a person was lost, detections of this share of the least score count too."""
SHARES = (2, 3)
"""Parts have a half and a third of the image's longer side."""

# a part smaller than the detector's input shows it nothing more
_LEAST_OF_INPUT = 0.9
# a box this near to a cut through the image is of half a person, pixels
_CUT_PX = 4.0


@dataclass(frozen=True)
class Found:
    """
    People whom a search has found.

    :param boxes_px: (n, 4) x0, y0, x1, y1 in the image. :param scores: (n,) 0 … 1.
    :param whole: the whole image was searched, not a part of it.
    """

    boxes_px: np.ndarray
    scores: np.ndarray
    whole: bool


def parts_of(width: int, height: int, input_px: int) -> List[Part]:
    """
    Return parts x0, y0, x1, y1 of an image that are shown to a detector one after the other.

    Bands across the image, each half over the next: a half of the longer side, then a third.

    :param input_px: side of the detector's input; the image itself is shown to it as a whole.
    """
    longer, parts = max(width, height), []
    for share in SHARES:
        side = longer // share
        if side < _LEAST_OF_INPUT * input_px:
            continue
        for step in range(2 * share - 1):
            low = step * (longer - side) // (2 * share - 2)
            parts += [(low, 0, low + side, height) if width >= height
                      else (0, low, width, low + side)]
    return parts


class Search:
    """
    Finds people by a detector.

    The whole image is searched every ``period_s``, and a part of it in between.

    :param min_score: a score from which a detection is good enough for a new person; what a
        search returns goes down to ``RELAXED`` times that. :param period_s: between two searches.
    :param wait: wait for a search that is late, so that the answers are the same every time;
        False: never, its result is used later.
    :ivar fault: what went wrong in the last search, or empty.
    """

    def __init__(self, detector: Detector, min_score: float, period_s: float, wait: bool = True):
        """Start the thread."""
        self.detector = detector
        self.fault = ''
        self.min_score = min_score
        self._period_s, self._wait = period_s, wait
        self._pool = ThreadPoolExecutor(1, 'niki_search')
        self._running: Optional[Future] = None
        self._started_ns: Optional[int] = None
        self._turn, self._took_s = 0, 0.0

    def start(self, image_rgb, stamp_ns: int) -> None:
        """Begin a search if it is time to; the image may change afterwards."""
        pause_s = self._period_s / 2
        if not self._wait:
            pause_s = max(pause_s, self._took_s / MOST_LOAD)
        if self._running is None and self._passed_s(stamp_ns) >= pause_s:
            self._started_ns = stamp_ns
            part = self._next_part(image_rgb)
            if part is not None:
                picture = np.array(image_rgb[part[1]:part[3], part[0]:part[2]])
                size = image_rgb.shape[1], image_rgb.shape[0]
                self._running = self._pool.submit(self._search, picture, part, size)

    def result(self, stamp_ns: int) -> Optional[Found]:
        """Return what a search has found that is due, or None."""
        if self._running is None or self._passed_s(stamp_ns) < DELAY_S:
            return None
        if not self._wait and not self._running.done():
            return None
        running, self._running = self._running, None
        return running.result()

    def now(self, image_rgb, stamp_ns: int) -> Optional[Found]:
        """Search at once, and return what was found; None where that was done just now."""
        if self._passed_s(stamp_ns) < min(ALONE_PERIOD_S, self._period_s):
            return None
        self._forget()
        self._started_ns = stamp_ns
        size = image_rgb.shape[1], image_rgb.shape[0]
        found = self._search(image_rgb, (0, 0, *size), size)
        if not len(found.boxes_px):
            self._turn += self._turn % 2 == 0  # the whole image has had its turn
            part = self._next_part(image_rgb)
            if part is not None:
                found = self._search(image_rgb[part[1]:part[3], part[0]:part[2]], part, size)
        return found

    def reset(self) -> None:
        """Forget the images before."""
        self._forget()
        self._started_ns, self._turn = None, 0

    def close(self) -> None:
        """End the thread and free the detector."""
        self._pool.shutdown()
        self.detector.close()

    def _passed_s(self, stamp_ns: int) -> float:
        """Return the time since the last search began."""
        return np.inf if self._started_ns is None else (stamp_ns - self._started_ns) * 1e-9

    def _forget(self) -> None:
        """Let a search end whose result is not needed any more."""
        if self._running is not None:
            self._running.result()
            self._running = None

    def _next_part(self, image_rgb) -> Optional[Part]:
        """Return what to search now: the whole image and its parts in turn; None = a pause."""
        height, width = image_rgb.shape[:2]
        turn, self._turn = self._turn, self._turn + 1
        if turn % 2 == 0:
            return 0, 0, width, height
        parts = parts_of(width, height, self.detector.input_px)
        return parts[turn // 2 % len(parts)] if parts else None

    def _search(self, picture_rgb, part: Part, size) -> Found:
        """Look at one part of an image of this size (width, height)."""
        start = thread_time()
        try:
            boxes, scores = self._detect(picture_rgb)
            self.fault = ''
            self._took_s = thread_time() - start
        except NikiError:
            raise
        except Exception as error:  # a detector of the user's may raise anything
            self.fault = f'the detector failed with {type(error).__name__}: {error}'
            boxes, scores = np.zeros((0, 4)), np.zeros(0)
        kept = _not_cut(boxes, part, size)
        boxes = boxes[kept] + (part[0], part[1], part[0], part[1])
        return Found(boxes, scores[kept], whole=part == (0, 0, *size))

    def _detect(self, image_rgb) -> tuple:
        """Return the good boxes (n, 4) and scores (n,) of one picture."""
        boxes, scores = self.detector.detect(np.ascontiguousarray(image_rgb))
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        scores = np.asarray(scores, dtype=np.float64).ravel()
        good = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        good &= scores >= RELAXED * self.min_score
        return boxes[good], scores[good]


def _not_cut(boxes, part: Part, size) -> np.ndarray:
    """Tell which boxes, pixels of a part, do not end where the part was cut out of the image."""
    x0, y0, x1, y1 = part
    cut = np.zeros(len(boxes), dtype=bool)
    for column, border, inside in ((0, 0, x0 > 0), (1, 0, y0 > 0), (2, x1 - x0, x1 < size[0]),
                                   (3, y1 - y0, y1 < size[1])):
        if inside:
            cut |= np.abs(boxes[:, column] - border) < _CUT_PX
    return ~cut
