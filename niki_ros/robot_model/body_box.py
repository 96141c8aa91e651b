"""The part of an image that shows a person."""

from __future__ import annotations

from typing import Optional

from niki_ros.body.body import Body
from niki_ros.scene.camera import Camera
import numpy as np

# joints lie inside the body: head, hands and hips reach beyond them by about a tenth of its size
_MARGIN = 0.1


def body_box_px(body: Body, camera: Camera) -> Optional[np.ndarray]:
    """
    Return (4,) int x0, y0, x1, y1 around the whole body, cut off at the borders of the image.

    Joints count where they were observed, and the others where the camera sees them by the pose.
    None where no pixel is left.
    """
    places = np.where(np.isfinite(body.keypoints_px), body.keypoints_px,
                      camera.project(body.joints_m))
    places = places[np.isfinite(places).all(axis=1)]
    if not len(places):
        return None
    low, high = places.min(axis=0), places.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    size = np.array([camera.width, camera.height])
    box = np.concatenate([np.clip(np.floor(low - margin), 0, size),
                          np.clip(np.ceil(high + margin), 0, size)]).astype(int)
    return box if (box[2:] > box[:2]).all() else None
