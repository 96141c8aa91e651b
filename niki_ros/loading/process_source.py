"""Processing of all frames of a source by a pipeline, and the JSON form of the results."""

from dataclasses import dataclass
from typing import Iterator, List, Optional

from niki_ros.body.body import Body, OBSERVED, STATUS_NAMES
from niki_ros.images.overlay import draw_overlay
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.sources.frame_source import FrameSource
import numpy as np


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """An image and the bodies in it."""

    stamp_ns: int  # as the source defines it
    image_rgb: Optional[np.ndarray]  # (H, W, 3) uint8; None where a bag lacks the image
    bodies: List[Body]
    camera: Optional[Camera]  # None where a bag has no calibration

    def observed_count(self) -> int:
        """Return the number of observed joints of all bodies."""
        return sum(int((np.asarray(body.status) == OBSERVED).sum()) for body in self.bodies)

    def overlay(self) -> Optional[np.ndarray]:
        """Return the image (H, W, 3) uint8 with the skeletons, drawn where the camera is known."""
        if self.image_rgb is None or self.camera is None:
            return self.image_rgb
        return draw_overlay(self.image_rgb, self.bodies, self.camera)

    def overlay_jpeg(self) -> Optional[bytes]:
        """Return the image with the skeletons as a JPEG file."""
        overlay = self.overlay()
        return None if overlay is None else jpeg_from_rgb(overlay)


def process_source(source: FrameSource, pipeline: Pipeline,
                   camera: Optional[Camera] = None) -> Iterator[AnnotatedFrame]:
    """
    Yield each frame of a source with the bodies that the pipeline finds.

    :param camera: None = the camera of each frame, or one with the field of view of the settings.
    :raises SourceError: when the source ends early.
    """
    for frame in source:
        height, width = frame.image_rgb.shape[:2]
        known = camera.resized(width, height) if camera else frame.camera
        bodies = pipeline.process(frame.image_rgb, known, frame.stamp_ns, depth_m=frame.depth_m)
        yield AnnotatedFrame(frame.stamp_ns, frame.image_rgb, bodies,
                             known or pipeline.assumed_camera(frame.image_rgb))


def frame_record(frame: AnnotatedFrame) -> dict:
    """Return the JSON object of a frame, one line of ``niki run --json``."""
    return {'stamp_ns': frame.stamp_ns, 'bodies': [body_record(body) for body in frame.bodies]}


def body_record(body: Body) -> dict:
    """Return the JSON object of a body, in metres and pixels rounded below their accuracy."""
    return {
        'id': int(body.id),
        'root_m': _rounded(body.root_m, 6),
        'joints_m': _rounded(body.joints_m, 6),
        'confidence': _rounded(body.confidence, 4),
        'status': [STATUS_NAMES[status] for status in body.status],
        'keypoints_px': _rounded(body.keypoints_px, 3),
    }


def _rounded(array: np.ndarray, decimals: int) -> list:
    """Return nested lists of rounded floats; None (JSON null) for NaN and infinity."""
    if array.ndim > 1:
        return [_rounded(row, decimals) for row in array]
    return [round(x, decimals) if abs(x) < float('inf') else None for x in map(float, array)]
