"""How far away a person is: by size in the image, by depth image, or by the ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from niki_ros.scene.camera import Camera
from niki_ros.scene.depth import depth_z_offset_m, moved_along_ray
from niki_ros.scene.ground import FootLock, Ground, ground_z_offset_m
import numpy as np

# what depth or ground said about the size of a person is remembered with this time constant
_MEMORY_S = 1.0


@dataclass(frozen=True)
class Scene:
    """
    What is known of one image beside its pixels.

    :param depth_m: (h, w) metres, 0 = nothing, aligned with the image; or None.
    :param ground: the plane that people stand on, or None.
    """

    camera: Camera
    depth_m: Optional[np.ndarray] = None
    ground: Optional[Ground] = None


class Placing:
    """Distance of one person over time."""

    def __init__(self):
        """Nothing is known but the size in the image."""
        self._log_ratio = 0.0
        self._measured = False
        self._footing = FootLock()

    def distance(self, scene: Scene, root_m, joints_m, seen, dt_s: float) -> Tuple:
        """
        Return the root (3,) at its measured distance, and what it was measured with.

        :param root_m: (3,) by size in the image. :param joints_m: (29, 3) relative to it.
        :param seen: the observation: keypoints and sigma.
        """
        root_m = np.asarray(root_m, dtype=np.float64)
        joints, hidden = joints_m + root_m, np.asarray(seen.sigma_200mm) >= 0.95
        shift, source = None, 'camera'
        if scene.depth_m is not None:
            size = (scene.camera.width, scene.camera.height)
            shift = depth_z_offset_m(scene.depth_m, size, seen.keypoints_px, joints, hidden)
            source = 'depth'
        if shift is None and scene.ground is not None:
            shift, source = ground_z_offset_m(scene.ground, joints, hidden), 'ground'
        if shift is not None:
            moved = moved_along_ray(root_m, shift)
            ratio = float(np.log(moved[2] / root_m[2]))
            share = min(dt_s / _MEMORY_S, 1.0) if self._measured else 1.0
            self._log_ratio += share * (ratio - self._log_ratio)
            self._measured = True
            # the ground's word on one frame is no better than its foot: take what lasts
            return (moved if source == 'depth' else root_m * np.exp(self._log_ratio)), source
        return root_m * np.exp(self._log_ratio), 'camera'

    def on_the_ground(self, scene: Scene, root_m, joints_m, hidden, dt_s: float) -> np.ndarray:
        """
        Return the root (3,) with standing feet on the ground, at the place where they stood.

        :param joints_m: (29, 3) relative to the root. :param hidden: (24,) joints not seen.
        """
        if scene.ground is None:
            return root_m
        unseen = np.append(hidden, [hidden[15], hidden[22], hidden[23], hidden[10], hidden[11]])
        return root_m + self._footing.correction_m(scene.ground, joints_m + root_m, unseen, dt_s)
