"""Frames from the images of a folder, or from one image."""

from __future__ import annotations

import os
from pathlib import Path
import re
from typing import List

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import starts_with
from niki_ros.images.levels import Levels
from niki_ros.images.pixels import encoded_size
from niki_ros.sources.source import DEFAULT_RATE_HZ, FrameSource
import numpy as np

SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.webp', '.pgm', '.ppm', '.pnm')
_STARTS = (b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'\xff\xd8\xff\xe1', b'II*\0', b'MM\0*',
           b'BM', b'P5', b'P6')
# every depth and EXIF's orientation as stored; what is transparent has the colour that it hides
_HOW = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
_MOST_NAMES = 5
# a few bytes can claim to be a picture of gigabytes; where it says so
_MOST_PIXELS, _HEAD_BYTES = 1 << 28, 1 << 20


class ImageFolder(FrameSource):
    """
    The images of a folder in the order of their names, numbers by their value; or one image.

    Values of more than 8 bits are stretched over time, as those of infrared topics are.
    """

    def __init__(self, path: Path, loop, rate_hz, max_frames):
        """List the files and read the first."""
        self._paths = image_files(path) if path.is_dir() else [path]
        if not self._paths:
            raise SourceError(f'{path} holds no image; expected files that end in '
                              f'{", ".join(SUFFIXES)}{_what_else(path)}')
        self._said = ''
        super().__init__(str(path), rate_hz or DEFAULT_RATE_HZ, len(self._paths),
                         _pixels(self._paths[0]), loop, max_frames)

    def _one_pass(self):
        levels = Levels()
        for number, path in enumerate(self._paths):
            time_ns = round(number * 1e9 / self.rate_hz)
            pixels = _pixels(path)
            if pixels.dtype != np.uint8:
                pixels = levels.stretched(pixels, time_ns)
                self._said = levels.text or self._said
            if pixels.ndim == 2:
                pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
            yield time_ns, self._same_size(pixels, str(path))

    def remarks(self) -> List[str]:
        """Return how deep values were shown, where there were any."""
        return [f'values_stretched: {self._said}'] if self._said else []


def image_files(folder: Path) -> List[Path]:
    """Return the images of a folder, 2.jpg before 10.jpg, without hidden ones (macOS: ._1.jpg)."""
    def natural(path: Path):
        # text and numbers take turns, so a number is never compared with a text
        parts = re.split('([0-9]+)', path.name)
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES
                   and not p.name.startswith('.') and not p.is_dir()), key=natural)


def is_image(path: Path) -> bool:
    """Whether a file is one image and no video, by its name or by what it begins with."""
    if path.suffix.lower() in SUFFIXES:
        return True
    # without an ending; a stream of JPEGs (mjpeg) is a video
    return not path.suffix and starts_with(path, *_STARTS)


def _pixels(path: Path) -> np.ndarray:
    """Return (H, W) or BGR (H, W, 3), of any type of values."""
    try:
        # not imread: it has trouble with names, and says nothing of what went wrong
        data = np.fromfile(path, np.uint8)
        width, height = encoded_size(data[:_HEAD_BYTES].tobytes()) or (0, 0)
        if width * height > _MOST_PIXELS:
            raise SourceError(f'{path} says it is {width}x{height}; at most {_MOST_PIXELS >> 20} '
                              'million pixels are read')
        image = cv2.imdecode(data, _HOW) if data.size else None
    except OSError as error:
        raise SourceError(f'{path} cannot be opened: {error.strerror}') from error
    except cv2.error as error:
        raise SourceError(f'{path} cannot be read as an image: {error.err}') from error
    if image is None:
        raise SourceError(f'{path} cannot be read as an image; remove it or make it anew')
    return image


def _what_else(folder: Path) -> str:
    """Return what there is instead, for the end of a message."""
    there = sorted(one.name + ('/' if one.is_dir() else '') for one in os.scandir(folder)
                   if not one.name.startswith('.'))
    if not there:
        return '; it is empty'
    more = '' if len(there) <= _MOST_NAMES else f' and {len(there) - _MOST_NAMES} more'
    return f'; it holds {", ".join(there[:_MOST_NAMES])}{more}: give one of them'
