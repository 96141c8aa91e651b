"""Frames of a video file."""

from pathlib import Path
from shlex import quote
from typing import List

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import (
    is_mp4,
    is_truncated,
    lacks_mp4_index,
    name_for_opencv,
    starts_with,
)
from niki_ros.sources.frame_source import FrameSource, SourceOptions
from niki_ros.sources.frame_times import FrameTimes, measured_rate_hz

# first bytes of files that hold JPEG as a video: JPEG, avi, mkv, ogg, mpeg-ts, asf, nut, flv, …
_MJPEG_HEADS = (b'\xff\xd8', b'RIFF', b'\x1aE\xdf\xa3', b'OggS', b'G', b'0&\xb2u', b'nut/',
                b'FLV', b'--', b'\x06\x0e+4')
_MJPEG_FOURCC = cv2.VideoWriter.fourcc(*'MJPG')


class VideoFile(FrameSource):
    """A file that OpenCV decodes, with the times of its container; rotation tags are applied."""

    def __init__(self, path, options: SourceOptions):
        """Read the first frame, so that an unreadable file is refused at once."""
        self._path, self._has_own_times = Path(path), options.rate_hz is None
        capture = self._open()
        good, image = capture.read()
        stated_hz = capture.get(cv2.CAP_PROP_FPS)
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        found_hz = measured_rate_hz(capture, stated_hz) if good else None
        capture.release()
        if not good:
            raise SourceError(f'{self._label()} holds no image that can be decoded; '
                              f'{self._remedy()}')
        rate_hz = options.rate_hz or found_hz
        if rate_hz is None:
            raise SourceError(f'{self._label()} states a rate of {stated_hz:g} frames a second; '
                              'give the true one as rate_hz (--rate-hz)')
        self._stated_s = count / stated_hz if count > 0 and stated_hz > 0 else None
        if found_hz and self._stated_s and not self._has_index():
            count = round(self._stated_s * found_hz)
        self._stated_count = count if count > 0 else None
        self._lacks_frames = False
        super().__init__(self._label(), rate_hz, self._stated_count, image, options)

    def remarks(self) -> List[str]:
        """Return whether the file has fewer frames than its length and rate give."""
        return [f'{self.name} has fewer frames than its length and its rate give '
                f'({self._stated_count}): it has no fixed rate, or a part of it is damaged'
                ] if self._lacks_frames else []

    def _label(self) -> str:
        return str(self._path)

    def _open(self) -> cv2.VideoCapture:
        """Return a decoder at the beginning of the video."""
        return _open_video(self._path)

    def _remedy(self) -> str:
        return f'check it with: ffprobe {quote(str(self._path))}'

    def _has_index(self) -> bool:
        """Whether the container lists its frames, as mp4 and mov do; others estimate them."""
        return is_mp4(self._path)

    def _is_truncated(self) -> bool:
        return is_truncated(self._path)

    def _one_pass(self):
        capture, times = self._open(), FrameTimes(self.rate_hz)
        number = offset_ns = 0
        try:
            while True:
                good, image = capture.read()
                if not good:
                    break
                offset_ns = (times.next_ns(capture.get(cv2.CAP_PROP_POS_MSEC))
                             if self._has_own_times else round(number * 1e9 / self.rate_hz))
                yield offset_ns, self._rgb(image, f'frame {number} of {self.name}')
                number += 1
        finally:
            capture.release()
        self._check_end(number, offset_ns * 1e-9 + 1 / self.rate_hz)

    def _check_end(self, count: int, duration_s: float):
        """Raise a SourceError where decoding stopped well before the stated end of the file."""
        stated_count = self._stated_count or 0
        # the length of a container without an index is an estimate
        missing = max(0, stated_count - max(3, stated_count // 20) - count)
        early = missing > 0
        if early and self._stated_s and self._has_own_times and not self._has_index():
            # with a variable rate, the length does not give the number of frames
            early = duration_s < self._stated_s - max(3 / self.rate_hz, self._stated_s / 20)
        if count == 0 or early or self._is_truncated():
            raise SourceError(
                f'{self.name} breaks off: frame {count} of '
                f'{stated_count if count < stated_count else "?"} cannot be decoded; copy the '
                f'file again, or read only its good part: max_frames={count} (--max-frames)')
        self._lacks_frames = missing > 0


def _open_video(path: Path) -> cv2.VideoCapture:
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
                              'its recorder was killed; copy it again, or repair it with another '
                              f'video of the same camera: untrunc GOOD.mp4 {name}')
        raise SourceError(f'{path} is not a video that OpenCV can read; check it with: ffprobe '
                          f'{name}, or convert it: ffmpeg -i {name} converted.mp4')
    # FFmpeg finds JPEGs in any file, such as a dump or an archive
    if capture.get(cv2.CAP_PROP_FOURCC) == _MJPEG_FOURCC and not (
            starts_with(path, *_MJPEG_HEADS) or is_mp4(path)):
        capture.release()
        raise SourceError(f'{path} is not a video: it holds images without times; extract '
                          'them into a folder')
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture
