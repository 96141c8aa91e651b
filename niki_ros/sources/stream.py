"""Frames from an address (rtsp, http, …) or a GStreamer pipeline: what comes when it comes."""

from __future__ import annotations

import re
import threading
import time
from typing import List, Optional
from urllib.parse import urlsplit

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.sources.source import DEFAULT_RATE_HZ, FrameSource, VideoFile
import numpy as np

_WAIT_S = 10.0
_ADDRESS = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
_FILE_SCHEMES = ('http', 'https', 'ftp')
_RECORDINGS = ('.ts', '.m2ts', '.mpg', '.mpeg', '.avi', '.mkv', '.mp4', '.m4v', '.mov', '.webm')
_PIPELINE = re.compile(r'\s!\s')


def is_stream(text: str) -> bool:
    """Whether this is an address or a pipeline, and no name of a file."""
    return bool(_ADDRESS.match(text) or _PIPELINE.search(text))


def open_stream(text: str, loop: bool, rate_hz: Optional[float],
                max_frames: Optional[int]) -> FrameSource:
    """
    Open an address or a pipeline; a recording behind an address is read as a file is.

    :raises SourceError: naming it, without a password.
    """
    capture = _open(text)
    if _is_recording(text, capture):
        capture.release()
        return RemoteVideo(text, loop, rate_hz, max_frames)
    if loop:
        capture.release()
        raise SourceError(f'{without_password(text)} has no end after which it could start again; '
                          'leave out loop')
    return Stream(text, capture, rate_hz, max_frames)


class RemoteVideo(VideoFile):
    """A recording that a server has."""

    _counts_bytes = False

    def __init__(self, url: str, loop, rate_hz, max_frames):
        """Read the first frame."""
        self._url = url
        super().__init__(without_password(url), loop, rate_hz, max_frames)

    def _open(self):
        return _open(self._url)

    def _how_to_see(self):
        return 'where its index is at its end, fetch it first: curl -O ADDRESS'

    def _counts_frames(self):
        return urlsplit(self._url).path.lower().endswith(('.mp4', '.m4v', '.mov'))


class Stream(FrameSource):
    """
    A camera somewhere else; the newest picture wins, stamps are the time since it was opened.

    :ivar overtaken: how many pictures came while an older one was worked on.
    """

    live = True

    def __init__(self, text: str, capture, rate_hz, max_frames):
        """Wait for the first picture."""
        self._capture = capture
        good, image = capture.read()
        if not good:
            capture.release()
            raise SourceError(f'{without_password(text)} answers, and no picture comes; check it '
                              'with: ffplay ADDRESS')
        stated_hz = capture.get(cv2.CAP_PROP_FPS)
        self.overtaken = 0
        self._start_ns = time.monotonic_ns()
        self._changed = threading.Condition()
        self._newest: Optional[tuple] = (0, image)
        self._ended = self._stopping = False
        super().__init__(without_password(text),
                         rate_hz or (stated_hz if 0 < stated_hz < 200 else DEFAULT_RATE_HZ),
                         None, image, False, max_frames)
        self._thread = threading.Thread(target=self._receive, name='niki_stream', daemon=True)
        self._thread.start()

    def close(self):
        """End the connection."""
        self._stopping = True
        self._thread.join()
        self._capture.release()

    def remarks(self) -> List[str]:
        """Return how many pictures were left out."""
        return [f'{self.overtaken} pictures of {self.name} came while an older one was worked on, '
                'and were left out'] if self.overtaken else []

    def _receive(self):
        """Keep the newest picture until nothing comes any more."""
        good = True
        while good and not self._stopping:
            good, image = self._capture.read()
            with self._changed:
                if good:
                    self.overtaken += self._newest is not None
                    self._newest = time.monotonic_ns() - self._start_ns, image
                else:
                    self._ended = True
                self._changed.notify()

    def _one_pass(self):
        while True:
            with self._changed:
                # in pieces: Ctrl-C does not interrupt a wait without an end everywhere
                while not self._changed.wait_for(lambda: self._newest or self._ended, 0.2):
                    pass
                if self._newest is None:
                    raise SourceError(f'{self.name} ended, or its server was not heard for '
                                      f'{_WAIT_S:.0f} s')
                (stamp_ns, image), self._newest = self._newest, None
            yield stamp_ns, self._same_size(np.asarray(image), f'a picture of {self.name}')


def without_password(text: str) -> str:
    """Return an address as it may be shown and logged."""
    return re.sub(r'(://)[^/@\s]*@', r'\1…@', text)


def _is_recording(text: str, capture) -> bool:
    """Whether it has an end: by its length, or by a name that a live stream does not have."""
    if not _ADDRESS.match(text):
        return False
    known = urlsplit(text)
    return capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0 or (
        known.scheme in _FILE_SCHEMES and known.path.lower().endswith(_RECORDINGS))


def _open(text: str) -> cv2.VideoCapture:
    """Open an address or a pipeline, or say why not."""
    shown = without_password(text)
    if not text.isprintable():
        raise SourceError(f'the address {shown!r} has letters that no address has')
    if not _ADDRESS.match(text):
        return _open_pipeline(text)
    capture = cv2.VideoCapture(text, cv2.CAP_FFMPEG, [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1e3 * _WAIT_S),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1e3 * _WAIT_S)])
    if not capture.isOpened():
        raise SourceError(
            f'{shown} cannot be opened as a video: no answer within {_WAIT_S:.0f} s, no video '
            'there, or user and password are wrong; check the address with: ffplay ADDRESS')
    return capture


def _open_pipeline(text: str) -> cv2.VideoCapture:
    """Open a pipeline, or say why not."""
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            f'{text!r} is a GStreamer pipeline, and this OpenCV ({cv2.__version__}) was built '
            'without GStreamer; publish it as a topic instead (docs/cameras.md, "GStreamer '
            'pipelines"), or give the address of the camera: rtsp://…')
    capture = cv2.VideoCapture(text, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise SourceError(f'the GStreamer pipeline {text!r} does not start; it must end in '
                          'appsink; check it with gst-launch-1.0 and fakesink for appsink')
    return capture
