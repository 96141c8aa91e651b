"""Files that are either whole or not there: text lines, and an mp4 of the overlay."""

from __future__ import annotations

from contextlib import contextmanager
import os
from pathlib import Path
from typing import Iterator

import cv2
from niki_ros.core.errors import InputError
import numpy as np


@contextmanager
def whole_file(path) -> Iterator[Path]:
    """
    Hand out a temporary path beside ``path``; it takes that name when the block ends well.

    :raises InputError: where ``path`` cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f'{path} is a folder; give the name of a file in it')
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f'{path} cannot be written: make the folder {path.parent} first, '
                         'or choose one that you may write to')
    # the suffix stays at the end: the video writer takes its container from it
    part = path.with_name(f'.{path.stem}.{os.getpid()}.part{path.suffix}')
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class VideoWriter:
    """An mp4 of RGB images, MPEG-4 part 2: the one encoder that every build of OpenCV has."""

    def __init__(self, path, rate_hz: float, width: int, height: int):
        """
        Open the file.

        :raises InputError: where OpenCV cannot write such a file.
        """
        # the codec halves the colour's resolution, so an odd row or column is left out
        self._size = (width - width % 2, height - height % 2)
        code = cv2.VideoWriter.fourcc(*'mp4v')
        self._writer = cv2.VideoWriter()
        if min(self._size) == 0 or not self._writer.open(str(path), code, rate_hz, self._size):
            raise InputError(f'no video of {width}x{height} at {rate_hz:g} Hz can be written to '
                             f'{path}; give a name that ends in .mp4')

    def write(self, image_rgb: np.ndarray):
        """Append an image (height, width, 3) uint8; a video has one size, so others are scaled."""
        width, height = self._size
        if image_rgb.shape[0] - height not in (0, 1) or image_rgb.shape[1] - width not in (0, 1):
            image_rgb = cv2.resize(image_rgb, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb[:height, :width], cv2.COLOR_RGB2BGR))

    def close(self):
        """Finish the file."""
        self._writer.release()

    def __enter__(self):
        """Return the writer itself."""
        return self

    def __exit__(self, *_):
        """Finish the file."""
        self.close()
