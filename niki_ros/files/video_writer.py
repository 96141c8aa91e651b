"""Writer of videos from RGB images with their time stamps."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

import cv2
from niki_ros.common.errors import InputError, OutputError
from niki_ros.files import mp4_times
from niki_ros.files.atomic_write import check_free_space, os_error_as_output_error
from niki_ros.files.file_kinds import name_for_opencv
import numpy as np

VIDEO_SUFFIXES = ('.mp4', '.m4v', '.mov', '.avi', '.mkv')
"""Containers whose encoded images were read back complete."""
# of MPEG-4 part 2; its clock has 16 bits
_MIN_SIDE_PX, _MAX_SIDE_PX, _MAX_RATE = 2, 8191, 65535
_MAX_JITTER_NS = 1_000_000  # of the time stamps of a fixed rate
_MAX_STEP_NS = 3_600_000_000_000  # between two time stamps; a longer step is a clock that was set


class VideoWriter:
    """
    Writer of MPEG-4 part 2, the one encoder of every OpenCV build.

    :ivar remark: after closing, why the frames do not have the given time stamps; else ''.
    :param width: of the images in pixels. :param height: likewise.
    :raises InputError: when OpenCV cannot write such a file.
    :raises OutputError: when the disk is full.
    """

    def __init__(self, path, rate_hz: float, width: int, height: int):
        # the codec halves the resolution of the colours, so an odd row or column is left out
        self._size = (width - width % 2, height - height % 2)
        self._path = Path(path)
        self._rate_hz = _encodable_rate_hz(rate_hz)
        self._times_ns: List[int] = []
        self._shift_ns = 0
        self.remark = ''
        self._writer = cv2.VideoWriter()
        code = cv2.VideoWriter.fourcc(*'mp4v')
        if min(self._size) == 0 or not self._writer.open(
                name_for_opencv(path), code, self._rate_hz, self._size):
            raise self._open_error(width, height)

    def write(self, image_rgb: np.ndarray, stamp_ns: Optional[int] = None):
        """
        Append an image; one of another size is scaled to the size of the video.

        :param image_rgb: (H, W, 3) uint8.
        :param stamp_ns: its time, which mp4 and mov can store; None = one period after the last.
        """
        width, height = self._size
        if image_rgb.shape[0] - height not in (0, 1) or image_rgb.shape[1] - width not in (0, 1):
            image_rgb = cv2.resize(image_rgb, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb[:height, :width], cv2.COLOR_RGB2BGR))
        self._times_ns.append(self._time_ns(stamp_ns))

    def close(self):
        """Finish the file; raise an OutputError when it is incomplete on the disk."""
        self._writer.release()
        count = len(self._times_ns)
        if count and not _is_complete(self._path, count):
            raise OutputError(f'the video could not be written to its end ({count} images); '
                              'is the disk full? See: df -h')
        # last: OpenCV seeks a frame by its number times the period
        with os_error_as_output_error(self._path):
            self._write_times()

    def _open_error(self, width: int, height: int) -> Exception:
        try:
            check_free_space(self._path)
        except OSError as error:
            return OutputError(f'the video could not be written: {error.strerror}; is the disk '
                               'full? See: df -h')
        return InputError(
            f'{self._path.suffix or "a file"} of {width}x{height} at {self._rate_hz:g} Hz cannot '
            f'be written as a video: the encoder takes {_MIN_SIDE_PX} to {_MAX_SIDE_PX} pixels '
            f'a side and up to {_MAX_RATE} Hz, and the file must end in .mp4')

    def _time_ns(self, stamp_ns: Optional[int]) -> int:
        """Return the time of the next frame; where the stamps jump, it follows after a period."""
        if stamp_ns is None or not self._times_ns:
            stamp_ns = stamp_ns or 0
            self._shift_ns = self._end_ns() - stamp_ns
        time_ns = stamp_ns + self._shift_ns
        if self._times_ns and not 0 < time_ns - self._times_ns[-1] < _MAX_STEP_NS:
            time_ns = self._end_ns()
            self._shift_ns = time_ns - stamp_ns
        return time_ns

    def _end_ns(self) -> int:
        return self._times_ns[-1] + round(1e9 / self._rate_hz) if self._times_ns else 0

    def _write_times(self):
        """Store the times in the file, unless they are those of its fixed rate."""
        fixed_ns = np.arange(len(self._times_ns)) * (1e9 / self._rate_hz)
        if np.abs(fixed_ns - self._times_ns).max(initial=0.0) < _MAX_JITTER_NS:
            return
        if self._path.suffix.lower() in mp4_times.SUFFIXES:
            mp4_times.write_times(self._path, [*self._times_ns, self._end_ns()])
        else:
            self.remark = (f'the overlay has {self._rate_hz:g} frames a second, but the source '
                           'has no fixed rate; mp4 and mov store the time of every frame')

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self._writer.release()


def _encodable_rate_hz(rate_hz: float) -> float:
    """Return the rate rounded to the decimals for which the encoder's 16-bit clock has room."""
    decimals = next((n for n in (3, 2, 1) if round(rate_hz * 10 ** n) <= _MAX_RATE), 0)
    return round(rate_hz, decimals)


def _is_complete(path: Path, image_count: int) -> bool:
    """Whether a video states this number of images and its last one can be decoded."""
    capture = cv2.VideoCapture(str(path))
    try:
        # an encoder does not report a failed write, but all that follows is lost: check the end
        stated_count = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
        capture.set(cv2.CAP_PROP_POS_FRAMES, image_count - 1)
        return abs(stated_count - image_count) <= 1 and capture.read()[0]
    finally:
        capture.release()
