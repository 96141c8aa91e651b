"""
Cameras that hang upside down or lie on their side: images turned upright, bodies turned back.

Detectors and landmark networks have learned people who stand upright. An image turned by quarters
is that of a camera turned about its optical axis, so everything behind it works as with any other
camera, and the bodies are turned back at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional, Tuple

from niki_ros.body.body import Body
from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
from niki_ros.scene.ground import Ground
import numpy as np

AUTO = 'auto'
# a camera that looks nearly along gravity shows people in any direction
_LEAST_LEVEL = np.sin(np.radians(20.0))
# the turn changes where another one fits better by more than 10 degrees
_MOST_OFF_DEG = 55.0


@dataclass(frozen=True)
class Turn:
    """
    Quarter turns, clockwise, from an image as the camera sends it to one with people upright.

    :param quarters: 0 … 3. :param width: of the image as sent. :param height: of the same, pixels.
    """

    quarters: int
    width: int
    height: int

    @property
    def size(self) -> Tuple[int, int]:
        """Return width and height of the upright image."""
        wide, high = self.width, self.height
        return (high, wide) if self.quarters % 2 else (wide, high)

    @property
    def upright_from_camera(self) -> np.ndarray:
        """Return the rotation (3, 3) from the camera's optical axes to the upright camera's."""
        return quarter_rotmat(self.quarters)

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """Return an image (H, W) or (H, W, 3) upright."""
        if not self.quarters:
            return pixels
        from niki_ros.images.pixels import turned
        return turned(pixels, self.quarters)

    def camera(self, camera: Camera) -> Camera:
        """
        Return the upright camera.

        :raises InputError: see :meth:`niki_ros.scene.camera.Camera.turned`.
        """
        if not self.quarters:
            return camera
        return camera.resized(self.width, self.height).turned(self.quarters)

    def boxes(self, boxes_px: np.ndarray) -> np.ndarray:
        """Return boxes (n, 4) x0, y0, x1, y1 in the upright image."""
        boxes = np.asarray(boxes_px)
        for size in self._sizes():
            x0, y0, x1, y1 = boxes.T
            boxes = np.stack([size[1] - y1, x0, size[1] - y0, x1], axis=-1)
        return boxes

    def ground(self, ground: Ground) -> Ground:
        """Return the ground in the upright camera's axes."""
        return Ground(self.upright_from_camera @ ground.up, ground.height_m)

    def body_back(self, body: Body) -> Body:
        """Return a body of the upright camera in axes and pixels of the one that is there."""
        if not self.quarters:
            return body
        turn = self.upright_from_camera
        rotmat = body.rotmat.copy()
        rotmat[0] = turn.T @ rotmat[0]
        return replace(
            body, rotmat=rotmat, root_m=body.root_m @ turn, joints_m=body.joints_m @ turn,
            root_velocity_m_s=body.root_velocity_m_s @ turn,
            keypoints_px=self._pixels_back(body.keypoints_px))

    def _pixels_back(self, pixels: np.ndarray) -> np.ndarray:
        """Return pixels (n, 2) of the upright image in the image as sent."""
        for size in reversed(self._sizes()):
            pixels = np.stack([pixels[:, 1], size[1] - 1 - pixels[:, 0]], axis=-1)
        return pixels

    def _sizes(self):
        """Return width and height of the image before each quarter turn."""
        sizes = [(self.width, self.height), (self.height, self.width)]
        return [sizes[i % 2] for i in range(self.quarters)]


def quarter_rotmat(quarters: int) -> np.ndarray:
    """Return the rotation (3, 3) about the optical axis by quarter turns, clockwise."""
    c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters % 4]
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


class TurnChooser:
    """
    How far images are turned: as the setting says, or by where up is.

    :ivar quarters: of the last image. :ivar fault: what is not known, or empty.
    """

    def __init__(self):
        """Take images as they are."""
        self.quarters = 0
        self.fault = ''

    def choose(self, setting: str, up: Optional[np.ndarray]) -> int:
        """
        Return the quarter turns of this image.

        :param setting: of ``image_rotation``.
        :param up: (3,) direction away from gravity, camera's optical axes, any length; or None.
        """
        self.fault = ''
        if setting != AUTO:
            self.quarters = int(setting) // 90
        elif up is None:
            self.fault = ('image_rotation is auto and nothing says where up is; images are '
                          f'turned by {90 * self.quarters}°')
        else:
            self.quarters = quarters_by_gravity(up, self.quarters)
        return self.quarters

    def describe(self, setting: str) -> str:
        """Return how images are turned, for diagnostics."""
        chosen = f' ({AUTO})' if setting == AUTO else ''
        return f'{90 * self.quarters}{chosen}'


def quarters_by_gravity(up, before: int) -> int:
    """
    Return the clockwise quarter turns that bring ``up`` (3,) to the top of the image.

    :param before: those of the last image, kept where they still fit, and where the camera looks
        so steeply up or down that nothing in the image is upright.
    :raises InputError: for a direction that is none.
    """
    up = np.asarray(up, dtype=np.float64)
    length = float(np.linalg.norm(up)) if up.shape == (3,) else np.nan
    if not np.isfinite(length) or length < 1e-6:
        raise InputError(f'up is {up.tolist()}; expected a direction of three numbers')
    x, y = up[:2] / length
    if np.hypot(x, y) < _LEAST_LEVEL:
        return before
    # of the direction up in the image, clockwise from its top
    angle_deg = np.degrees(np.arctan2(x, -y))
    off_deg = abs((angle_deg + 90 * before + 180) % 360 - 180)
    return before if off_deg <= _MOST_OFF_DEG else int(round(-angle_deg / 90)) % 4
