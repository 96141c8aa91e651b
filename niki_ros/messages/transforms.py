"""A tree of TF frames for machines without tf2_ros."""

import threading
from typing import Dict, Tuple

from niki_ros.common.errors import InputError
import numpy as np
from scipy.spatial.transform import Rotation

_MAX_DEPTH_COUNT = 64


class TransformTree:
    """The newest transform of every frame, and lookups between frames."""

    def __init__(self):
        self._lock = threading.Lock()
        # child → parent, quaternion (4,) xyzw and translation (3,) of the child in the parent
        self._parents: Dict[str, Tuple[str, np.ndarray, np.ndarray]] = {}

    def put(self, transforms) -> None:
        """Add the geometry_msgs/TransformStamped of a message."""
        with self._lock:
            for stamped in transforms:
                quat, shift = stamped.transform.rotation, stamped.transform.translation
                self._parents[stamped.child_frame_id.lstrip('/')] = (
                    stamped.header.frame_id.lstrip('/'),
                    np.array([quat.x, quat.y, quat.z, quat.w]),
                    np.array([shift.x, shift.y, shift.z]))

    def lookup(self, target: str, source: str) -> Tuple[np.ndarray, np.ndarray]:
        """
        Return rotation matrix (3, 3) and translation (3,), metres, from ``source`` to ``target``.

        :raises InputError: when the frames are not connected or a rotation is invalid.
        """
        with self._lock:
            chains = [self._to_root(frame) for frame in (target, source)]
        (target_root, target_rotmat, target_m), (source_root, source_rotmat, source_m) = chains
        if target_root != source_root:
            raise InputError(f'no transform from {source!r} to {target!r}: the roots of their '
                             f'trees are {source_root!r} and {target_root!r}')
        return target_rotmat.T @ source_rotmat, target_rotmat.T @ (source_m - target_m)

    def _to_root(self, frame: str) -> Tuple[str, np.ndarray, np.ndarray]:
        """Return the root of the frame's tree, and the frame's rotation and translation in it."""
        rotmat, shift_m = np.eye(3), np.zeros(3)
        for _ in range(_MAX_DEPTH_COUNT):
            if frame not in self._parents:
                return frame, rotmat, shift_m
            parent, quat_xyzw, offset_m = self._parents[frame]
            if not np.isfinite(quat_xyzw).all() or np.linalg.norm(quat_xyzw) < 1e-6:
                raise InputError(f'the rotation of {frame!r} in {parent!r} is {quat_xyzw}')
            step = Rotation.from_quat(quat_xyzw).as_matrix()
            rotmat, shift_m, frame = step @ rotmat, step @ shift_m + offset_m, parent
        raise InputError(f'the frames above {frame!r} form a circle')
