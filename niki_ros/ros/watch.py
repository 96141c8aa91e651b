"""What the node notices of itself once a second: silence, slowness, clocks that do not agree."""

from __future__ import annotations

import time
from typing import Callable

from niki_ros.ros.diagnostics import ERROR, Health, WARM_UP, WARN
from niki_ros.ros.settings import HealthConfig

# an image that is older than this, or newer, is of another clock
_OTHER_CLOCK_S = 10.0
_FROM_THE_FUTURE_S = 0.5
_FEW = 5


class Watch:
    """
    Compares figures with the thresholds of the settings.

    :param warn: called with name, text and level of every fault.
    :param topic: full name of that of the images.
    :ivar elsewhere: returns words that name the topics on which images come instead, or ''.
    """

    def __init__(self, config: HealthConfig, health: Health, warn: Callable, topic: str = ''):
        """Start now."""
        self._config, self._health, self._warn = config, health, warn
        self.topic = topic
        self.elsewhere: Callable[[], str] = str
        self._counted = (0, 0)
        self._heard_s = time.monotonic()

    def heard(self):
        """Note that an image came."""
        self._heard_s = time.monotonic()

    def check(self):
        """Look at everything once."""
        silent_s = time.monotonic() - self._heard_s
        there = self.elsewhere() if silent_s > self._config.silent_warn_s else ''
        silent = self._above('no_images', silent_s, self._config.silent_warn_s,
                             self._config.silent_error_s,
                             f'no image on {self.topic} for {silent_s:.0f} s{there}')
        rate_hz, latency_s, frames = self._health.figures()
        if frames >= _FEW and not silent:
            self._check_latency(latency_s)
            self._check_rate(rate_hz)
        self._check_overtaken()

    def _check_latency(self, latency_s: float):
        if latency_s > _OTHER_CLOCK_S or latency_s < -_FROM_THE_FUTURE_S:
            self._warn('clock_differs', f'the images are stamped {latency_s:.1f} s before now: '
                       'latencies are of no meaning', WARN)
            return
        self._above('latency_high', latency_s * 1e3, self._config.latency_warn_ms,
                    self._config.latency_error_ms,
                    f'bodies are out {latency_s * 1e3:.0f} ms after their image (p99)')

    def _check_rate(self, rate_hz: float):
        for level, least in ((ERROR, self._config.rate_error_hz),
                             (WARN, self._config.rate_warn_hz)):
            if least and rate_hz < least:
                self._warn('rate_low', f'bodies at {rate_hz:.1f} Hz; at least {least:g} Hz was '
                           'asked for', level)
                return

    def _check_overtaken(self):
        """Compare what was overtaken since the last time."""
        now = self._health.received, self._health.skipped['overtaken']
        received, overtaken = (new - old for new, old in zip(now, self._counted))
        self._counted = now
        if received >= _FEW and self._health.processed > WARM_UP:
            self._above('slow', overtaken / received, self._config.skipped_warn,
                        self._config.skipped_error,
                        f'{overtaken} of the last {received} images were overtaken')

    def _above(self, name, value, warn, error, text) -> bool:
        """Report a value that has reached one of its thresholds; 0 = none."""
        for level, threshold in ((ERROR, error), (WARN, warn)):
            if threshold and value >= threshold:
                self._warn(name, text, level)
                return True
        return False
