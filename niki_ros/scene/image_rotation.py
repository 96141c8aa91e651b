"""
Rotation of images by quarter turns, for cameras mounted upside down or on their side.

Networks are trained on upright people. A rotated image is that of a camera rotated about its
optical axis: the pipeline works in the axes of that upright camera, and rotates the bodies back.
"""

from dataclasses import dataclass, replace
from typing import List, Optional, Tuple

from niki_ros.body.body import Body
from niki_ros.common.errors import InputError
from niki_ros.images.pixels import rotated_image
from niki_ros.scene.camera import Camera, rotmat_from_quarter_turns
from niki_ros.scene.ground import Ground
import numpy as np

AUTO = 'auto'
# a camera within 20 degrees of the vertical shows people in any direction
_MIN_LEVEL_RATIO = np.sin(np.radians(20.0))
# above 45 degrees, so that a camera near the diagonal does not alternate between two rotations
_MAX_OFF_DEG = 55.0


@dataclass(frozen=True)
class ImageRotation:
    """Clockwise rotation from an image as the camera sends it to an image with upright people."""

    quarter_turns: int  # 0 … 3
    width: int  # of the image as sent, pixels
    height: int

    @property
    def size(self) -> Tuple[int, int]:
        """Return width and height of the upright image, pixels."""
        wide, high = self.width, self.height
        return (high, wide) if self.quarter_turns % 2 else (wide, high)

    @property
    def upright_from_camera(self) -> np.ndarray:
        """Return the rotation (3, 3) from the camera's optical axes to the upright camera's."""
        return rotmat_from_quarter_turns(self.quarter_turns)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image (H, W) or (H, W, 3) upright."""
        return rotated_image(pixels, self.quarter_turns) if self.quarter_turns else pixels

    def camera(self, camera: Camera) -> Camera:
        """Return the upright camera, by :meth:`niki_ros.scene.camera.Camera.rotated`."""
        if not self.quarter_turns:
            return camera
        return camera.resized(self.width, self.height).rotated(self.quarter_turns)

    def boxes(self, boxes_px: np.ndarray) -> np.ndarray:
        """Return boxes (n, 4) x0, y0, x1, y1 in pixels of the upright image."""
        boxes = np.asarray(boxes_px)
        for _, height in self._sizes():
            x0, y0, x1, y1 = boxes.T
            boxes = np.stack([height - y1, x0, height - y0, x1], axis=-1)
        return boxes

    def ground(self, ground: Ground) -> Ground:
        """Return the ground in the upright camera's axes."""
        return Ground(self.upright_from_camera @ ground.up, ground.height_m)

    def body_to_camera(self, body: Body) -> Body:
        """Return a body of the upright camera in axes and pixels of the camera as mounted."""
        if not self.quarter_turns:
            return body
        turn, rotmat = self.upright_from_camera, body.rotmat.copy()
        rotmat[0] = turn.T @ rotmat[0]
        return replace(
            body, rotmat=rotmat, root_m=body.root_m @ turn, joints_m=body.joints_m @ turn,
            root_velocity_m_s=body.root_velocity_m_s @ turn,
            keypoints_px=self._pixels_to_camera(body.keypoints_px))

    def _pixels_to_camera(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels (n, 2) of the upright image in the image as sent."""
        for _, height in reversed(self._sizes()):
            pixels = np.stack([pixels[:, 1], height - 1 - pixels[:, 0]], axis=-1)
        return pixels

    def _sizes(self) -> List[Tuple[int, int]]:
        sizes = [(self.width, self.height), (self.height, self.width)]
        return [sizes[i % 2] for i in range(self.quarter_turns)]


def select_quarter_turns(setting: str, up: Optional[np.ndarray], before: int) -> Tuple[int, str]:
    """
    Return the clockwise quarter turns of an image, 0 … 3, and a fault or an empty text.

    :param setting: of ``image_rotation``: degrees, or ``auto``. :param before: quarter turns of
        the previous image. :param up: (3,) away from gravity, camera's optical axes, any length.
    :raises InputError: where ``auto`` is set and ``up`` is not a direction.
    """
    if setting != AUTO:
        return int(setting) // 90, ''
    if up is None:
        return before, ('image_rotation is auto and the direction of gravity is unknown; images '
                        f'are rotated by {90 * before}°')
    return quarter_turns_by_gravity(up, before), ''


def quarter_turns_by_gravity(up, before: int) -> int:
    """
    Return the clockwise quarter turns that bring ``up`` (3,) to the top of the image.

    :param up: away from gravity, camera's optical axes, any length. :param before: quarter turns
        of the previous image; kept while they fit, or the camera looks steeply up or down.
    :raises InputError: where ``up`` is not a direction.
    """
    up = np.asarray(up, dtype=np.float64)
    length = float(np.linalg.norm(up)) if up.shape == (3,) else np.nan
    if not np.isfinite(length) or length < 1e-6:
        raise InputError(f'up is {up.tolist()}; expected a direction of three numbers')
    x, y = up[:2] / length
    if np.hypot(x, y) < _MIN_LEVEL_RATIO:
        return before
    # direction of up in the image, clockwise from its top
    angle_deg = np.degrees(np.arctan2(x, -y))
    off_deg = abs((angle_deg + 90 * before + 180) % 360 - 180)
    return before if off_deg <= _MAX_OFF_DEG else int(round(-angle_deg / 90)) % 4
