"""Frames of an address (rtsp, http, …) or of a GStreamer pipeline."""

from pathlib import Path
import re
import threading
import time
from typing import List, Optional, Tuple
from urllib.parse import urlsplit

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.sources.frame_source import DEFAULT_RATE_HZ, FrameSource, SourceOptions
from niki_ros.sources.video_file import VideoFile
import numpy as np

_TIMEOUT_S = 10.0
# Ctrl-C does not interrupt a wait without a timeout on every system
_POLL_S = 0.2
_MAX_STREAM_RATE_HZ = 200
_ADDRESS = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
_PIPELINE = re.compile(r'\s!\s')
_FILE_SCHEMES = ('http', 'https', 'ftp')
_INDEXED_SUFFIXES = ('.mp4', '.m4v', '.mov')
_RECORDING_SUFFIXES = (*_INDEXED_SUFFIXES, '.ts', '.m2ts', '.mpg', '.mpeg', '.avi', '.mkv',
                       '.webm')


def is_stream(spec: str) -> bool:
    """Whether a text is an address or a GStreamer pipeline, and not the path of a file."""
    return bool(_ADDRESS.match(spec) or _PIPELINE.search(spec)) and not Path(spec).exists()


def open_stream(spec: str, options: SourceOptions) -> FrameSource:
    """Open an address or a pipeline; a recording at an address is read completely, like a file."""
    capture = _open(spec)
    if _is_recording(spec, capture):
        capture.release()
        return RemoteVideo(spec, options)
    if options.loop:
        capture.release()
        raise SourceError(f'{without_password(spec)} is a live stream and cannot restart at its '
                          'end; leave out loop')
    return Stream(spec, capture, options)


class RemoteVideo(VideoFile):
    """A recording on a server."""

    def __init__(self, url: str, options: SourceOptions):
        self._url = url
        super().__init__(url, options)

    def _label(self):
        return without_password(self._url)

    def _open(self):
        return _open(self._url)

    def _remedy(self):
        return 'where its index is at its end, download it first: curl -O ADDRESS'

    def _has_index(self):
        return urlsplit(self._url).path.lower().endswith(_INDEXED_SUFFIXES)

    def _is_truncated(self):
        return False


class Stream(FrameSource):
    """
    A network camera: yields the newest image; stamps are the time since it was opened.

    :ivar overtaken_count: number of images that a newer one replaced before they were read.
    """

    live = True

    def __init__(self, spec: str, capture: cv2.VideoCapture, options: SourceOptions):
        self._capture = capture
        good, image = capture.read()
        if not good:
            capture.release()
            raise SourceError(f'{without_password(spec)} answers, but sends no image; check it '
                              'with: ffplay ADDRESS')
        stated_hz = capture.get(cv2.CAP_PROP_FPS)
        if not 0 < stated_hz < _MAX_STREAM_RATE_HZ:
            stated_hz = DEFAULT_RATE_HZ
        super().__init__(without_password(spec), options.rate_hz or stated_hz, None, image,
                         options)
        self.overtaken_count = 0
        self._start_ns = time.monotonic_ns()
        self._changed = threading.Condition()
        self._newest: Optional[Tuple[int, np.ndarray]] = (0, image)
        self._ended = self._stopping = False
        self._thread = threading.Thread(target=self._receive, name='niki_stream', daemon=True)
        self._thread.start()

    def close(self):
        """Close the connection."""
        self._stopping = True
        self._thread.join()
        self._capture.release()

    def remarks(self) -> List[str]:
        """Return how many images were skipped."""
        return [f'{self.overtaken_count} images of {self.name} arrived while an older one was '
                'processed, and were skipped'] if self.overtaken_count else []

    def _receive(self):
        """Keep the newest image until the stream ends."""
        good = True
        while good and not self._stopping:
            good, image = self._capture.read()
            with self._changed:
                if good:
                    self.overtaken_count += self._newest is not None
                    self._newest = time.monotonic_ns() - self._start_ns, image
                else:
                    self._ended = True
                self._changed.notify()

    def _one_pass(self):
        while True:
            with self._changed:
                while not self._changed.wait_for(lambda: self._newest or self._ended, _POLL_S):
                    pass
                if self._newest is None:
                    raise SourceError(f'{self.name} ended, or its server sent nothing for '
                                      f'{_TIMEOUT_S:.0f} s')
                (stamp_ns, image), self._newest = self._newest, None
            yield stamp_ns, self._rgb(image, f'an image of {self.name}')


def without_password(address: str) -> str:
    """Return an address without user and password, for messages and logs."""
    return re.sub(r'(://)[^/@\s]*@', r'\1…@', address)


def _is_recording(spec: str, capture: cv2.VideoCapture) -> bool:
    """Whether an address has an end, by its stated length or by its file name ending."""
    if not _ADDRESS.match(spec):
        return False
    parts = urlsplit(spec)
    return capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0 or (
        parts.scheme in _FILE_SCHEMES and parts.path.lower().endswith(_RECORDING_SUFFIXES))


def _open(spec: str) -> cv2.VideoCapture:
    label = without_password(spec)
    if not spec.isprintable():
        raise SourceError(f'the address {label!r} has characters that no address has')
    if not _ADDRESS.match(spec):
        return _open_pipeline(spec)
    timeout_ms = round(1e3 * _TIMEOUT_S)
    capture = cv2.VideoCapture(spec, cv2.CAP_FFMPEG, [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms])
    if not capture.isOpened():
        raise SourceError(
            f'{label} cannot be opened as a video: no answer within {_TIMEOUT_S:.0f} s, no video '
            'there, or user and password are wrong; check the address with: ffplay ADDRESS')
    return capture


def _open_pipeline(pipeline: str) -> cv2.VideoCapture:
    if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        raise SourceError(
            f'{pipeline!r} is a GStreamer pipeline, and this OpenCV ({cv2.__version__}) was built '
            'without GStreamer; publish it as a topic instead (docs/cameras.md, "GStreamer '
            'pipelines"), or give the address of the camera: rtsp://…')
    capture = cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)
    if not capture.isOpened():
        raise SourceError(f'the GStreamer pipeline {pipeline!r} does not start; it must end in '
                          'appsink; check it with gst-launch-1.0 and fakesink for appsink')
    return capture
