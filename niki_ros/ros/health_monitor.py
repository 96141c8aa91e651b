"""Comparison of the figures of the node with the thresholds of the settings."""

import time
from typing import Callable

from niki_ros.ros.faults import ERROR, WARN
from niki_ros.ros.health import Health, WARM_UP_COUNT
from niki_ros.ros.settings import HealthConfig

# latencies outside of these limits mean that the clocks differ
_MAX_LATENCY_S, _MIN_LATENCY_S = 10.0, -0.5
_MIN_IMAGES = 5


class HealthMonitor:
    """
    Warns of silence, latency, low rates and skipped images; checked once per diagnostics period.

    :param warn: called with name, text and level of every fault. :param topic: full name of the
        image topic. :param hint: returns a text about other image topics, or ''.
    """

    def __init__(self, config: HealthConfig, health: Health, warn: Callable, topic: str,
                 hint: Callable[[], str] = str):
        self._config, self._health, self._warn = config, health, warn
        self._topic, self._hint = topic, hint
        self._counted = (0, 0)
        self._arrival_s = time.monotonic()

    def arrived(self) -> None:
        """Note the arrival of an image."""
        self._arrival_s = time.monotonic()

    def check(self) -> None:
        """Compare every figure once."""
        config, silent_s = self._config, time.monotonic() - self._arrival_s
        hint = self._hint() if silent_s > config.silent_warn_s else ''
        is_silent = self._check_maximum(
            'no_images', silent_s, config.silent_warn_s, config.silent_error_s,
            f'no image on {self._topic} for {silent_s:.0f} s{hint}')
        rate_hz, latency_s, image_count = self._health.figures()
        if image_count >= _MIN_IMAGES and not is_silent:
            self._check_latency(latency_s)
            self._check_rate(rate_hz)
        self._check_overtaken()

    def _check_latency(self, latency_s: float) -> None:
        if not _MIN_LATENCY_S <= latency_s <= _MAX_LATENCY_S:
            self._warn('clock_differs', f'the stamps of the images are {latency_s:.1f} s before '
                       'the clock of this node; latencies mean nothing', WARN)
            return
        self._check_maximum(
            'latency_high', latency_s * 1e3, self._config.latency_warn_ms,
            self._config.latency_error_ms,
            f'bodies are published {latency_s * 1e3:.0f} ms after their image (p99)')

    def _check_rate(self, rate_hz: float) -> None:
        for level, minimum_hz in ((ERROR, self._config.rate_error_hz),
                                  (WARN, self._config.rate_warn_hz)):
            if minimum_hz and rate_hz < minimum_hz:
                self._warn('rate_low', f'bodies are published at {rate_hz:.1f} Hz; the minimum is '
                           f'{minimum_hz:g} Hz', level)
                return

    def _check_overtaken(self) -> None:
        counts = self._health.received, self._health.skipped['overtaken']
        received, overtaken = (new - old for new, old in zip(counts, self._counted))
        self._counted = counts
        if received >= _MIN_IMAGES and self._health.processed > WARM_UP_COUNT:
            self._check_maximum(
                'slow', overtaken / received, self._config.skipped_warn,
                self._config.skipped_error,
                f'{overtaken} of the last {received} images were skipped for newer ones')

    def _check_maximum(self, name: str, value: float, warn: float, error: float,
                       text: str) -> bool:
        """Warn of a value that has reached a threshold, and return whether; 0 = no threshold."""
        for level, threshold in ((ERROR, error), (WARN, warn)):
            if threshold and value >= threshold:
                self._warn(name, text, level)
                return True
        return False
