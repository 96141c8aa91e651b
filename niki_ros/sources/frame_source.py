"""Frames and the base class of the sources that yield them."""

from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.common.settings import CameraConfig, TrackingConfig
from niki_ros.scene.camera import Camera
import numpy as np

DEFAULT_RATE_HZ = 30.0
"""Rate of images and of cameras that state none."""
MAX_RATE_HZ = 1000.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One image of a source."""

    image_rgb: np.ndarray  # (H, W, 3) uint8
    stamp_ns: int  # since the start of the source; of a bag, the stamp of the message
    index: int
    camera: Optional[Camera] = None  # None where the source has no calibration
    depth_m: Optional[np.ndarray] = None  # (h, w) float metres or uint16 millimetres


@dataclass(frozen=True)
class SourceOptions:
    """Options of a source; those from ``image_topic`` on only affect bags."""

    loop: bool = False  # restart at the end; the stamps continue to increase
    rate_hz: Optional[float] = None  # None = that of the file, 30 for images
    max_frames: Optional[int] = None  # None = all
    image_topic: Optional[str] = None  # None = the only image topic of a camera
    info_topic: Optional[str] = None  # None = next to the image topic, or the only one
    depth_topic: Optional[str] = None  # images registered to the others; None = no depth
    # field of view that the pipeline assumes without calibration, for warnings; None = the
    # calibration is not read
    fov_deg: Optional[float] = CameraConfig.fov_deg
    images: str = CameraConfig.images
    late_s: float = TrackingConfig.late_s  # an image that is late by less is skipped

    def __post_init__(self):
        if self.rate_hz is not None and not 0 < self.rate_hz <= MAX_RATE_HZ:
            raise SourceError(f'rate_hz is {self.rate_hz}; expected more than 0, at most '
                              f'{MAX_RATE_HZ:g}')
        if self.max_frames is not None and self.max_frames < 1:
            raise SourceError(f'max_frames is {self.max_frames}; expected at least 1')


class FrameSource:
    """
    Base of all sources: an iterable of :class:`Frame` and a context manager.

    :ivar name: path or address, for messages.
    :ivar frame_count: number of frames; None = unknown or endless.
    :ivar width: of the images in pixels. :ivar height: likewise.
    :ivar live: True for a camera, which has no end and does not wait for its reader.
    :param frames_per_pass: number of frames until the end; None = unknown or endless.
    :param first_image: (H, W) or (H, W, 3), has the size of all images.
    """

    live = False

    def __init__(self, name: str, rate_hz: float, frames_per_pass: Optional[int],
                 first_image: np.ndarray, options: SourceOptions):
        self.name = name
        self.rate_hz = float(rate_hz)
        self.height, self.width = first_image.shape[:2]
        self._options = options
        limits = (None if options.loop else frames_per_pass, options.max_frames)
        self.frame_count = min((n for n in limits if n is not None), default=None)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; raise a SourceError where the source ends early."""
        index = start_ns = stamp_ns = 0
        while True:
            for offset_ns, image_rgb in self._one_pass():
                stamp_ns = start_ns + offset_ns
                yield Frame(image_rgb, stamp_ns, index)
                index += 1
                if index == self._options.max_frames:
                    return
            if not self._options.loop:
                return
            start_ns = stamp_ns + round(1e9 / self.rate_hz)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Release the device or file; may be called twice."""

    def remarks(self) -> List[str]:
        """Return remarks on the frames read so far, one line each."""
        return []

    def _one_pass(self) -> Iterator[Tuple[int, np.ndarray]]:
        """Yield increasing nanoseconds since the start of the pass and RGB images (H, W, 3)."""
        raise NotImplementedError

    def _rgb(self, image_bgr: np.ndarray, label: str) -> np.ndarray:
        """Return a BGR image (H, W, 3) as RGB; ``label`` names it in the error for its size."""
        height, width = image_bgr.shape[:2]
        if (height, width) != (self.height, self.width):
            raise SourceError(f'{label} is {width}x{height}, the first image is {self.width}x'
                              f'{self.height}; all images of a source must have one size')
        return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
