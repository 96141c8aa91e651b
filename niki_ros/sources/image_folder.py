"""Frames of the images of a folder, or of one image."""

import os
from pathlib import Path
import re
from typing import List

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import IMAGE_SUFFIXES
from niki_ros.images.levels import Levels
from niki_ros.images.pixels import encoded_size
from niki_ros.sources.frame_source import DEFAULT_RATE_HZ, FrameSource, SourceOptions
import numpy as np

# any bit depth, rotated by EXIF; transparent pixels have the colour that is stored
_READ_FLAGS = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
_MAX_LISTED_NAMES = 5
# a file of a few bytes can state a size of gigabytes; the header of a JPEG or PNG is within these
_MAX_PIXELS, _HEADER_BYTES = 1 << 28, 1 << 20


class ImageFolder(FrameSource):
    """
    The images of a folder in natural order of their names, or one image.

    Values of more than 8 bits are stretched over time, like those of infrared topics.
    """

    def __init__(self, path, options: SourceOptions):
        path = Path(path)
        self._paths = image_files(path) if path.is_dir() else [path]
        if not self._paths:
            raise SourceError(f'{path} holds no image; expected files that end in '
                              f'{", ".join(IMAGE_SUFFIXES)}; {_contents(path)}')
        self._stretched = ''
        super().__init__(str(path), options.rate_hz or DEFAULT_RATE_HZ, len(self._paths),
                         _pixels(self._paths[0]), options)

    def remarks(self) -> List[str]:
        """Return how values of more than 8 bits were converted."""
        return [f'values_stretched: {self._stretched}'] if self._stretched else []

    def _one_pass(self):
        levels = Levels()
        for number, path in enumerate(self._paths):
            time_ns = round(number * 1e9 / self.rate_hz)
            pixels = _pixels(path)
            if pixels.dtype != np.uint8:
                pixels = levels.stretched(pixels, time_ns)
                self._stretched = levels.text or self._stretched
            if pixels.ndim == 2:
                pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
            yield time_ns, self._rgb(pixels, str(path))


def image_files(folder: Path) -> List[Path]:
    """Return the images of a folder, 2.jpg before 10.jpg, without hidden ones (macOS: ._1.jpg)."""
    def natural_order(path: Path):
        # text and numbers alternate, so that a number is never compared with a text
        parts = re.split('([0-9]+)', path.name)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES
                   and not p.name.startswith('.') and not p.is_dir()), key=natural_order)


def _pixels(path: Path) -> np.ndarray:
    """Return the image (H, W) or BGR (H, W, 3) of a file, of any data type."""
    try:
        # imread fails for some file names and does not report the reason
        data = np.fromfile(path, np.uint8)
        width, height = encoded_size(data[:_HEADER_BYTES].tobytes()) or (0, 0)
        if width * height > _MAX_PIXELS:
            raise SourceError(f'{path} states a size of {width}x{height}; at most '
                              f'{_MAX_PIXELS >> 20} million pixels are read')
        image = cv2.imdecode(data, _READ_FLAGS) if data.size else None
    except OSError as error:
        raise SourceError(f'{path} cannot be opened: {error.strerror}') from error
    except cv2.error as error:
        raise SourceError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise SourceError(f'{path} cannot be read as an image; remove it or create it again')
    return image


def _contents(folder: Path) -> str:
    names = sorted(one.name + ('/' if one.is_dir() else '') for one in os.scandir(folder)
                   if not one.name.startswith('.'))
    if not names:
        return 'it is empty'
    rest = len(names) - _MAX_LISTED_NAMES
    more = f' and {rest} more' if rest > 0 else ''
    return f'it holds {", ".join(names[:_MAX_LISTED_NAMES])}{more}: give one of them'
