"""The bounding box of a body in the image."""

from typing import Optional

from niki_ros.body.body import Body
from niki_ros.scene.camera import Camera
import numpy as np

# head, hands and hips reach beyond the joints by about a tenth of the size of the body
_MARGIN_RATIO = 0.1


def body_box_px(body: Body, camera: Camera) -> Optional[np.ndarray]:
    """
    Return x0, y0, x1, y1 (4,) int in pixels around the whole body, clipped to the image.

    Observed joints count at their keypoints, other joints at their projection. None is returned
    for a body outside of the image.
    """
    points_px = np.where(np.isfinite(body.keypoints_px), body.keypoints_px,
                         camera.project(body.joints_m))
    points_px = points_px[np.isfinite(points_px).all(axis=1)]
    if not len(points_px):
        return None
    low_px, high_px = points_px.min(axis=0), points_px.max(axis=0)
    margin_px = _MARGIN_RATIO * float((high_px - low_px).max())
    size = np.array([camera.width, camera.height])
    box = np.concatenate([np.clip(np.floor(low_px - margin_px), 0, size),
                          np.clip(np.ceil(high_px + margin_px), 0, size)]).astype(int)
    return box if (box[2:] > box[:2]).all() else None
