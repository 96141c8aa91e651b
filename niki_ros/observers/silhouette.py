"""The approximate silhouette of a person in an image: bones and trunk, with a thickness."""

from __future__ import annotations

from dataclasses import dataclass

from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT, PARENTS_29
import numpy as np

_SHOULDERS = [JOINT['left_shoulder'], JOINT['right_shoulder']]
_HIPS = [JOINT['left_hip'], JOINT['right_hip']]
_BONES = np.array([*((PARENTS_29[joint], joint) for joint in range(1, 29)),
                   tuple(_SHOULDERS), tuple(_HIPS), *zip(_SHOULDERS, _HIPS)])


@dataclass(frozen=True)
class Silhouette:
    """Bones, trunk and head of one person."""

    bones_px: np.ndarray  # (n, 2, 2) ends of each bone
    is_seen: np.ndarray  # (n,) bool, both ends are seen
    trunk_px: np.ndarray  # (4, 2) shoulders and hips, corners of the trunk
    head_px: np.ndarray  # (2,) middle of the head
    size_px: float  # the larger one of the trunk's length and width

    @classmethod
    def of(cls, one: JointObservation) -> Silhouette:
        points = np.asarray(one.keypoints_px, dtype=np.float64)
        up = points[_SHOULDERS].mean(0) - points[_HIPS].mean(0)
        across = points[_SHOULDERS[0]] - points[_SHOULDERS[1]]
        return cls(points[_BONES], ~one.hidden[_BONES].any(axis=1),
                   points[[*_SHOULDERS, *reversed(_HIPS)]],
                   points[[JOINT['head'], JOINT['head_top']]].mean(0),
                   max(float(np.linalg.norm(up)), float(np.linalg.norm(across))))

    def contains_seen(self, points_px, thickness_ratio: float) -> np.ndarray:
        """
        Return (n,) bool, True for image positions (n, 2) on seen bones.

        :param thickness_ratio: half the thickness of a bone, over the size of the trunk.
        """
        start, step = self.bones_px[:, 0], self.bones_px[:, 1] - self.bones_px[:, 0]
        off = np.asarray(points_px, dtype=np.float64)[:, None] - start
        along = (off * step).sum(-1) / np.maximum((step * step).sum(-1), 1e-9)
        distance = np.linalg.norm(off - np.clip(along, 0.0, 1.0)[..., None] * step, axis=-1)
        return ((distance < thickness_ratio * self.size_px) & self.is_seen).any(axis=1)
