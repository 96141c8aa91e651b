"""Frames from a video file, a camera, an address, images or a bag; no ROS."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
import re
from shlex import quote
import stat
import time
from typing import Iterator, List, Optional, Tuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import (
    is_mp4,
    is_truncated,
    lacks_mp4_index,
    name_for_opencv,
    starts_with,
)
from niki_ros.scene.camera import Camera
from niki_ros.sources.bag_files import bag_files, is_bag
import numpy as np

DEFAULT_RATE_HZ = 30.0
# a stated rate is believed where the first frames, or some more, come about as fast
_FRAMES_OF_RATE, _RATE_SLACK = (12, 60), 1.25
# times that jump back by so much are those of another recording, less is a slip
_JOINED_NS = 300_000_000
# Linux' number of video4linux
_VIDEO_DEVICES = 81
# what a file with JPEGs as a video begins with: itself, avi, mkv, ogg, mpeg-ts, asf, nut, flv
_CONTAINERS = (b'\xff\xd8', b'RIFF', b'\x1aE\xdf\xa3', b'OggS', b'G', b'0&\xb2u', b'nut/', b'FLV',
               b'--', b'\x06\x0e+4')
_MJPG = cv2.VideoWriter.fourcc(*'MJPG')


@dataclass(frozen=True, eq=False)
class Frame:
    """
    One picture: (H, W, 3) uint8 RGB, its time, its running number.

    :ivar stamp_ns: nanoseconds since the source's start; of a bag the stamp of the message.
    :ivar camera: where the source knows it (a bag with camera_info).
    :ivar depth_m: (h, w) float metres or uint16 millimetres, where the source has it (a bag).
    """

    image_rgb: np.ndarray
    stamp_ns: int
    index: int
    camera: Optional[Camera] = None
    depth_m: Optional[np.ndarray] = None


class FrameSource:
    """
    Iterate it for :class:`Frame`; use it as a context manager.

    :ivar rate_hz: frames per second.
    :ivar frame_count: how many frames will come, None = not known or no end.
    :ivar width: of the images in pixels.
    :ivar height: of the images in pixels.
    :ivar live: True where frames come when they come (a webcam).
    """

    live = False

    def __init__(self, name, rate_hz, frames_a_pass, image, loop, max_frames):
        """Take what is known from the first ``image``; ``frames_a_pass`` None = no end."""
        self.name = name
        self.rate_hz = float(rate_hz)
        self.height, self.width = image.shape[:2]
        self._loop, self._max_frames = loop, max_frames
        known = [n for n in (None if loop else frames_a_pass, max_frames) if n is not None]
        self.frame_count = min(known) if known else None

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames; with ``loop`` the stamps go on growing from pass to pass."""
        index = start_ns = stamp_ns = 0
        while True:
            for offset_ns, image_rgb in self._one_pass():
                stamp_ns = start_ns + offset_ns
                yield Frame(image_rgb, stamp_ns, index)
                index += 1
                if index == self._max_frames:
                    return
            if not self._loop:
                return
            start_ns = stamp_ns + round(1e9 / self.rate_hz)

    def __enter__(self):
        """Return the source itself."""
        return self

    def __exit__(self, *_):
        """Close the source."""
        self.close()

    def close(self):
        """Free the device or file; may be called twice."""

    def remarks(self) -> List[str]:
        """Return what is to be said at the end: one line each."""
        return []

    def _one_pass(self) -> Iterator[Tuple[int, np.ndarray]]:
        """Yield (nanoseconds since the start of the pass, RGB image), times growing."""
        raise NotImplementedError

    def _same_size(self, image_bgr, where: str) -> np.ndarray:
        """Return the image as RGB, or refuse one that is not as large as the first."""
        height, width = image_bgr.shape[:2]
        if (height, width) != (self.height, self.width):
            raise SourceError(f'{where} is {width}x{height}, the first image is {self.width}x'
                              f'{self.height}; all images of a source must have one size')
        return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)


class VideoFile(FrameSource):
    """A file that OpenCV can decode, with the times of its frames; its rotation tag is obeyed."""

    _counts_bytes = True

    def __init__(self, path, loop, rate_hz, max_frames):
        """Read the first frame, so that a bad file is refused before anything else starts."""
        self._path, self._rate_given = path, rate_hz is not None
        capture = self._open()
        good, image = capture.read()
        stated_hz = capture.get(cv2.CAP_PROP_FPS)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        true_hz = _true_rate_hz(capture, stated_hz) if good else None
        capture.release()
        if not good:
            raise SourceError(f'{path} holds no picture that can be decoded; '
                              f'{self._how_to_see()}')
        if rate_hz is None and true_hz is None:
            raise SourceError(f'{path} states a rate of {stated_hz:g} frames a second; '
                              'give the true one as rate_hz (--rate-hz)')
        self._seconds_stated = count / stated_hz if count > 0 and stated_hz > 0 else None
        if true_hz and self._seconds_stated and not self._counts_frames():
            count = round(self._seconds_stated * true_hz)
        self._frames_stated = count if count > 0 else None
        self._missing = 0
        super().__init__(str(path), rate_hz or true_hz, self._frames_stated, image, loop,
                         max_frames)

    def remarks(self) -> List[str]:
        """Return how many frames the rate promised, where fewer came."""
        return [f'{self.name} has fewer frames than its length and its rate give '
                f'({self._frames_stated}): it has no fixed rate, or a part of it is damaged'
                ] if self._missing else []

    def _open(self) -> cv2.VideoCapture:
        """Return what decodes it, at its beginning."""
        return _open_video(self._path)

    def _how_to_see(self) -> str:
        return f'check it with: ffprobe {quote(str(self._path))}'

    def _counts_frames(self) -> bool:
        """Whether the container has a list of its frames: mp4 and mov; others estimate it."""
        return is_mp4(self._path)

    def _one_pass(self):
        capture = self._open()
        times = _Times(self.rate_hz)
        number = offset_ns = 0
        try:
            while True:
                good, image = capture.read()
                if not good:
                    break
                offset_ns = (round(number * 1e9 / self.rate_hz) if self._rate_given
                             else times.next_ns(capture.get(cv2.CAP_PROP_POS_MSEC)))
                yield offset_ns, self._same_size(image, f'frame {number} of {self._path}')
                number += 1
        finally:
            capture.release()
        self._refuse_early_end(number, offset_ns * 1e-9 + 1 / self.rate_hz)

    def _refuse_early_end(self, number: int, seconds: float):
        """Raise where decoding stopped well before the end that the file states."""
        stated, stated_s = self._frames_stated, self._seconds_stated
        # containers without an index only estimate their length: a few frames are no damage
        early = stated and number < stated - max(3, stated // 20)
        if early and stated_s and not self._rate_given and not self._counts_frames():
            # of a rate that varies the number of frames does not follow
            early = seconds < stated_s - max(3 / self.rate_hz, stated_s / 20)
        if number == 0 or early or (self._counts_bytes and is_truncated(self._path)):
            raise SourceError(
                f'{self._path} breaks off: frame {number} of '
                f'{stated if number < (stated or 0) else "?"} cannot be decoded; copy the file '
                f'again, or read only its good part: max_frames={number} (--max-frames)')
        self._missing = max(0, (stated or 0) - number - max(3, (stated or 0) // 20))


class _Times:
    """
    The times of a video's frames from 0 on, as its container has them.

    Where it has none, or they jump back (files that were joined), the next frame comes a period
    after the last one, and the others follow it. A single time that came before is moved on.
    """

    def __init__(self, rate_hz: float):
        """No frame has come."""
        self._period_ns = round(1e9 / rate_hz)
        self._last_ns = -self._period_ns
        self._first_stated_ns: Optional[int] = None
        self._shift_ns, self._has_times = 0, False

    def next_ns(self, stated_ms: float) -> int:
        """Return the time of the next frame, whose container says ``stated_ms``."""
        stated_ns = round(stated_ms * 1e6)
        if self._first_stated_ns is None:
            self._first_stated_ns = stated_ns
            self._shift_ns = -stated_ns
        self._has_times |= stated_ns != self._first_stated_ns
        time_ns = stated_ns + self._shift_ns
        if time_ns <= self._last_ns:
            if self._has_times and self._last_ns - time_ns < _JOINED_NS:
                time_ns = self._last_ns + self._period_ns // 8
            else:
                time_ns = self._last_ns + self._period_ns
                self._shift_ns = time_ns - stated_ns
        self._last_ns = time_ns
        return time_ns


def _true_rate_hz(capture, stated_hz: float) -> Optional[float]:
    """
    Return the rate of a video that was just begun to read: the stated one where it can be true.

    What a browser or a phone records has no fixed rate, and states that of its clock: 1000,
    90000. None = it has no times, and what it states is no rate.
    """
    times_ms = [capture.get(cv2.CAP_PROP_POS_MSEC)]

    def mean_hz(frames: int) -> Optional[float]:
        while len(times_ms) < frames and capture.grab():
            times_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        gaps_ms = np.diff(times_ms)
        gaps_ms = gaps_ms[gaps_ms > 0]
        return float(1e3 / gaps_ms.mean()) if len(gaps_ms) else None

    usable = 0 < stated_hz < 1000
    for frames in _FRAMES_OF_RATE:
        found_hz = mean_hz(frames)
        if usable and (found_hz is None or 1 / _RATE_SLACK < stated_hz / found_hz < _RATE_SLACK):
            return stated_hz
    # a frame at every tick of a clock is a container without times
    return found_hz if found_hz and found_hz < 999 else None


class Webcam(FrameSource):
    """A camera of this machine; stamps are the time since it was opened."""

    live = True

    def __init__(self, device: str, rate_hz, max_frames):
        """Open the camera by its number or by its path, and take its first picture."""
        self._capture = (cv2.VideoCapture(int(device)) if device.isdecimal()
                         else cv2.VideoCapture(os.path.realpath(device), cv2.CAP_V4L2))
        good, image = self._capture.read() if self._capture.isOpened() else (False, None)
        if not good:
            self._capture.release()
            raise SourceError(f'no camera answers at {device}; plug one in (ls /dev/video*), '
                              'close other programs that use it, be in the group "video"')
        if rate_hz:
            self._capture.set(cv2.CAP_PROP_FPS, rate_hz)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate < 1000 else rate_hz or DEFAULT_RATE_HZ
        self._start_ns = time.monotonic_ns()
        super().__init__(device, rate, None, image, False, max_frames)

    def _one_pass(self):
        while True:
            good, image = self._capture.read()
            if not good:
                raise SourceError(f'the camera {self.name} stopped sending pictures; '
                                  'check its cable')
            yield (time.monotonic_ns() - self._start_ns,
                   self._same_size(image, f'a picture of {self.name}'))

    def close(self):
        """Free the camera."""
        self._capture.release()


def open_source(spec, loop: bool = False, rate_hz: Optional[float] = None,
                max_frames: Optional[int] = None, **bag_options) -> FrameSource:
    """
    Open a video, an image or a folder of them, a bag, a camera or an address.

    :param spec: path, camera ('0', '/dev/video0', '/dev/v4l/by-id/…'), address ('rtsp://…') or
        GStreamer pipeline.
    :param loop: start again at the end; stamps go on growing.
    :param rate_hz: frames per second, None = the file's own (a folder: 30).
    :param max_frames: stop after so many, None = at the end.
    :param bag_options: of :class:`niki_ros.sources.bag.BagSource`; they say nothing to others.
    :raises SourceError: naming the source and what would mend it.
    """
    if rate_hz is not None and not 0 < rate_hz <= 1000:
        raise SourceError(f'rate_hz is {rate_hz}; expected more than 0, at most 1000')
    if max_frames is not None and max_frames < 1:
        raise SourceError(f'max_frames is {max_frames}; expected at least 1')
    from niki_ros.sources.image_folder import ImageFolder, is_image
    from niki_ros.sources.stream import is_stream, open_stream
    text = str(spec)
    path = _path_of(text)
    if is_stream(text) and not path.exists():
        return open_stream(text, loop, rate_hz, max_frames)
    if text.isdecimal() or is_camera(path):
        return Webcam(text if text.isdecimal() else str(path), rate_hz, max_frames)
    _refuse_no_file(text, path)
    if is_bag(path):
        if loop or rate_hz is not None:
            raise SourceError(f'{path} is a bag: its messages carry their own stamps, so it has '
                              'neither a rate to choose nor a loop')
        from niki_ros.sources.bag import BagSource
        return BagSource(path, max_frames, **bag_options)
    kind = ImageFolder if path.is_dir() or is_image(path) else VideoFile
    return kind(path, loop, rate_hz, max_frames)


def is_camera(path: Path) -> bool:
    """Whether a path, perhaps a link such as those in /dev/v4l/by-id, leads to a camera."""
    real = os.path.realpath(path)
    try:
        found = os.stat(real)
    except OSError:
        return real.removeprefix('/dev/video').isdecimal()
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == _VIDEO_DEVICES


def files_of(spec) -> List[Path]:
    """Return the files that :func:`open_source` reads; none where there is nothing."""
    from niki_ros.sources.image_folder import image_files
    path = _path_of(str(spec))
    if is_bag(path):
        return bag_files(path)
    return image_files(path) if path.is_dir() else [path]


def _path_of(text: str) -> Path:
    """Return the path that is meant, with or without file: before it."""
    if text.startswith('file://'):
        text = url2pathname(urlsplit(text).path)
    return Path(os.path.expanduser(text))


def _refuse_no_file(text: str, path: Path):
    """Say what else it is, where it is neither a file nor a folder."""
    if text and path.exists():
        if path.is_dir() or path.is_file():
            return
        what = 'a pipe' if path.is_fifo() else 'a device, but no camera'
        raise SourceError(f'{text} is {what}; give a file, a folder, or a camera (ls /dev/video*)')
    if path.is_symlink():
        raise SourceError(f'{text} is a link to {os.path.realpath(path)}, which does not exist')
    if text == '-':
        raise SourceError('a video cannot be read from a pipe; write it to a file first')
    topic = ('; topics are read by the node: ros2 launch niki_ros pose.launch.py '
             f'image:={text}' if re.fullmatch(r'(/[A-Za-z]\w*){2,}', text) else '')
    raise SourceError(f'{text!r} does not exist; give a video file, a folder of images, a bag, a '
                      f'camera such as 0 or /dev/video0, or an address such as rtsp://…{topic}')


def _open_video(path: Path) -> cv2.VideoCapture:
    """Open a file, or say why not."""
    try:
        size = path.stat().st_size
        with path.open('rb'):
            pass
    except OSError as error:
        raise SourceError(f'{path} cannot be opened: {error.strerror}') from error
    if size == 0:
        raise SourceError(f'{path} is empty (0 bytes); copy it again')
    capture = cv2.VideoCapture(name_for_opencv(path))
    if not capture.isOpened():
        name = quote(str(path))
        if lacks_mp4_index(path):
            raise SourceError(f'{path} has no index, which is written last: it was cut off, or '
                              'its recorder was killed; copy it again, or mend it with another '
                              f'video of the same camera: untrunc GOOD.mp4 {name}')
        raise SourceError(f'{path} is not a video that OpenCV can read; check it with: ffprobe '
                          f'{name}, or convert it: ffmpeg -i {name} converted.mp4')
    if capture.get(cv2.CAP_PROP_FOURCC) == _MJPG and not (
            starts_with(path, *_CONTAINERS) or is_mp4(path)):
        capture.release()
        raise SourceError(f'{path} is not a video: there are pictures in it, and no times; unpack '
                          'it, or give it as what it is')
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture

