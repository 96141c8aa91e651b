"""
Search for people in the whole image and in parts of it, in a thread of its own.

A search runs while the next images are processed, and its result is used some images later. That
moment depends on the stamps alone, so that the result does not depend on the speed of the machine.
"""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
import os
import sys
import threading
from time import thread_time
from typing import List, Optional, Tuple

from niki_ros.common.errors import ConfigError
from niki_ros.observers.detectors import Detector
import numpy as np

Part = Tuple[int, int, int, int]
"""A part of an image: x0, y0, x1, y1 in pixels."""
_NICENESS = 5  # with 10 a search takes 0.4 to 0.9 s next to two other busy programs


@dataclass(frozen=True)
class SearchNumbers:
    """Numbers of :class:`PersonSearch`."""

    delay_s: float = 0.06  # a result is used with the first image that is later by this
    idle_period_s: float = 0.1  # between two searches while no person is followed
    # an image waits so long for a search while no person is followed, where images do not wait
    max_wait_s: float = 0.5
    max_load_ratio: float = 1 / 10  # of one core, for searches where images do not wait for them
    # reported detections begin at this score over ``min_score``; the observer checks weak ones
    weak_score_ratio: float = 0.6
    part_counts: Tuple[int, ...] = (2, 3)  # parts are the longer side of the image over these
    min_part_ratio: float = 0.9  # least side of a part over that of the detector's input
    cut_px: float = 4.0  # a box this near to a cut through the image is that of half a person


@dataclass(frozen=True)
class SearchResult:
    """Detected people."""

    boxes_px: np.ndarray  # (n, 4) x0, y0, x1, y1 in the image
    scores: np.ndarray  # (n,) 0 … 1
    is_whole: bool  # the whole image was searched, not a part of it


def parts_of(width: int, height: int, input_px: int,
             numbers: SearchNumbers = SearchNumbers()) -> List[Part]:
    """
    Return bands across an image, overlapping by half, in which small people are searched.

    :param input_px: side of the detector's input, to which the whole image is reduced.
    """
    longer, parts = max(width, height), []
    for count in numbers.part_counts:
        side = longer // count
        if side < numbers.min_part_ratio * input_px:
            continue
        for step in range(2 * count - 1):
            low = step * (longer - side) // (2 * count - 2)
            parts += [(low, 0, low + side, height) if width >= height
                      else (0, low, width, low + side)]
    return parts


class PersonSearch:
    """
    Finds people by a detector: in the whole image every ``period_s``, and in a part in between.

    :param min_score: of a new person; results also contain people with lower scores.
    :param wait: for a search that is late, so that results are reproducible; False = use its
        result later, so that no image waits while people are followed.
    """

    def __init__(self, detector: Detector, min_score: float, period_s: float, wait: bool = True,
                 numbers: SearchNumbers = SearchNumbers()):
        input_px = getattr(detector, 'input_px', None)
        if not isinstance(input_px, (int, np.integer)) or input_px < 1:
            raise ConfigError(f'the detector {type(detector).__name__} has input_px = '
                              f'{input_px!r}; expected the side of its input, pixels')
        self.detector, self.min_score = detector, min_score
        self.fault = ''  # of the last search, empty where it succeeded
        self._period_s, self._wait, self._numbers = period_s, wait, numbers
        # where images do not wait, following people comes first
        self._pool = ThreadPoolExecutor(1, 'niki_search',
                                        initializer=None if wait else _lower_priority)
        self._running: Optional[Future] = None
        self._started_ns: Optional[int] = None
        self._turn, self._took_s = 0, 0.0

    def start(self, image_rgb, stamp_ns: int) -> None:
        """Start a search of the image (H, W, 3) uint8 if one is due; the image is copied."""
        pause_s = self._period_s / 2
        if not self._wait:
            pause_s = max(pause_s, self._took_s / self._numbers.max_load_ratio)
        if self._running is None and self._passed_s(stamp_ns) >= pause_s:
            self._started_ns = stamp_ns
            part = self._next_part(image_rgb)
            if part is not None:
                size = image_rgb.shape[1], image_rgb.shape[0]
                self._running = self._pool.submit(
                    self._search, np.array(_cut_out(image_rgb, part)), part, size)

    def result(self, stamp_ns: int) -> Optional[SearchResult]:
        """Return the result of a search if it is due, else None."""
        if self._running is None or self._passed_s(stamp_ns) < self._numbers.delay_s:
            return None
        if not self._wait and not self._running.done():
            return None
        running, self._running = self._running, None
        return running.result()

    def now(self, image_rgb, stamp_ns: int) -> Optional[SearchResult]:
        """
        Search the image (H, W, 3) uint8 while no person is followed, and a part of it if needed.

        :return: None shortly after another search, and where this one takes longer than an image
            waits; then :meth:`result` has it later.
        """
        if self._passed_s(stamp_ns) < min(self._numbers.idle_period_s, self._period_s):
            return None
        if not self._wait and self._running is not None and not self._running.done():
            return None
        self._discard()
        self._started_ns = stamp_ns
        running = self._pool.submit(self._search_twice, np.array(image_rgb))
        wait([running], None if self._wait else self._numbers.max_wait_s)
        if running.done():
            return running.result()
        self._running = running
        return None

    def reset(self) -> None:
        self._discard()
        self._started_ns, self._turn = None, 0

    def close(self) -> None:
        """End the thread and free the detector."""
        self._pool.shutdown()
        self.detector.close()

    def _passed_s(self, stamp_ns: int) -> float:
        """Return the time since the last search started, infinite before the first one."""
        return np.inf if self._started_ns is None else (stamp_ns - self._started_ns) * 1e-9

    def _discard(self) -> None:
        if self._running is not None and self._wait:
            self._running.result()
        self._running = None

    def _search_twice(self, image_rgb) -> SearchResult:
        """Search the whole image, and a part of it if that finds no person."""
        size = image_rgb.shape[1], image_rgb.shape[0]
        found = self._search(image_rgb, (0, 0, *size), size)
        if not len(found.boxes_px):
            self._turn += self._turn % 2 == 0  # the whole image was searched just now
            part = self._next_part(image_rgb)
            if part is not None:
                found = self._search(_cut_out(image_rgb, part), part, size)
        return found

    def _next_part(self, image_rgb) -> Optional[Part]:
        """Return the part to search: whole image and parts alternate; None where it has none."""
        height, width = image_rgb.shape[:2]
        turn, self._turn = self._turn, self._turn + 1
        if turn % 2 == 0:
            return 0, 0, width, height
        parts = parts_of(width, height, self.detector.input_px, self._numbers)
        return parts[turn // 2 % len(parts)] if parts else None

    def _search(self, part_rgb, part: Part, size) -> SearchResult:
        start = thread_time()
        try:
            boxes, scores = self._detect(part_rgb)
            self.fault = ''
        except Exception as error:  # a user's detector may raise any error
            self.fault = f'the detector failed with {type(error).__name__}: {error}'
            boxes, scores = np.zeros((0, 4)), np.zeros(0)
        self._took_s = thread_time() - start
        kept = ~_is_cut(boxes, part, size, self._numbers.cut_px)
        boxes = boxes[kept] + (part[0], part[1], part[0], part[1])
        return SearchResult(boxes, scores[kept], is_whole=part == (0, 0, *size))

    def _detect(self, image_rgb) -> tuple:
        """Return valid boxes (n, 4), pixels of the part, and scores (n,)."""
        boxes, scores = self.detector.detect(np.ascontiguousarray(image_rgb))
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        scores = np.asarray(scores, dtype=np.float64).ravel()
        valid = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        valid &= scores >= self._numbers.weak_score_ratio * self.min_score
        return boxes[valid], scores[valid]


def _lower_priority() -> None:
    """Give this thread a smaller share of a busy CPU, on Linux, where threads have priorities."""
    if sys.platform == 'linux':
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _cut_out(image_rgb, part: Part):
    x0, y0, x1, y1 = part
    return image_rgb[y0:y1, x0:x1]


def _is_cut(boxes, part: Part, size, cut_px: float) -> np.ndarray:
    """Return (n,) bool, True for boxes that end where the part was cut out of the image."""
    x0, y0, x1, y1 = part
    cut = np.zeros(len(boxes), dtype=bool)
    for column, border, inside in ((0, 0, x0 > 0), (1, 0, y0 > 0), (2, x1 - x0, x1 < size[0]),
                                   (3, y1 - y0, y1 < size[1])):
        if inside:
            cut |= np.abs(boxes[:, column] - border) < cut_px
    return cut
