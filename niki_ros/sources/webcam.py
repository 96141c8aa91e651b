"""Frames of a camera of this machine."""

import os
import stat
import time

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.sources.frame_source import (
    DEFAULT_RATE_HZ,
    FrameSource,
    MAX_RATE_HZ,
    SourceOptions,
)

_VIDEO4LINUX_MAJOR = 81  # device number in Linux


def is_webcam(spec: str) -> bool:
    """Whether a text is a camera number, or a path or link (/dev/v4l/by-id/…) to a camera."""
    if spec.isdecimal():
        return True
    real = os.path.realpath(spec)
    try:
        found = os.stat(real)
    except OSError:
        return real.removeprefix('/dev/video').isdecimal()
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == _VIDEO4LINUX_MAJOR


class Webcam(FrameSource):
    """A camera that OpenCV reads; stamps are the time since it was opened."""

    live = True

    def __init__(self, device: str, options: SourceOptions):
        self._capture = (cv2.VideoCapture(int(device)) if device.isdecimal()
                         else cv2.VideoCapture(os.path.realpath(device), cv2.CAP_V4L2))
        good, image = self._capture.read() if self._capture.isOpened() else (False, None)
        if not good:
            self._capture.release()
            raise SourceError(f'no camera answers at {device}; plug one in (ls /dev/video*), '
                              'close other programs that use it, join the group "video"')
        if options.rate_hz:
            self._capture.set(cv2.CAP_PROP_FPS, options.rate_hz)
        rate_hz = self._capture.get(cv2.CAP_PROP_FPS)
        if not 0 < rate_hz < MAX_RATE_HZ:
            rate_hz = options.rate_hz or DEFAULT_RATE_HZ
        self._start_ns = time.monotonic_ns()
        super().__init__(device, rate_hz, None, image, options)

    def _one_pass(self):
        while True:
            good, image = self._capture.read()
            if not good:
                raise SourceError(f'{self.name} stopped sending images; check its cable')
            stamp_ns = time.monotonic_ns() - self._start_ns
            yield stamp_ns, self._rgb(image, f'an image of {self.name}')

    def close(self):
        """Release the camera."""
        self._capture.release()
