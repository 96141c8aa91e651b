"""
Bone lengths from the 33 landmarks, corrected by average ratios.

Where the network is unsure of a depth it returns the mean, which shortens shank and foot most.
"""

from niki_ros.body.rotations import length
from niki_ros.body.shape import PAIRS
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
import numpy as np

# observed over true length, and its standard deviation over people, of the lengths that the
# network measures; all others are constructed from these
_MEASURED_RATIOS = {
    ('hip', 'knee'): (0.92, 0.11), ('knee', 'ankle'): (0.90, 0.12),
    ('shoulder', 'elbow'): (0.855, 0.13), ('elbow', 'wrist'): (0.86, 0.15),
    ('hip', 'hip'): (1.1, 0.2), ('spine1', 'spine2'): (0.965, 0.15),
    ('spine2', 'spine3'): (0.935, 0.15), ('left_collar', 'right_collar'): (0.935, 0.15),
}
_UNMEASURED_SIGMA_M = 1.0
_NEAR, _FAR = PAIRS.T.copy()


def _kind(joint: int) -> str:
    return JOINTS_29[joint].replace('left_', '').replace('right_', '')


def _tables():
    """Return length ratio (34,) and expected error (34,), metres, for each of ``PAIRS``."""
    rest = open_skeleton().rest_joints_m
    ratio, sigma_m = np.ones(len(PAIRS)), np.full(len(PAIRS), _UNMEASURED_SIGMA_M)
    for row, (near, far) in enumerate(PAIRS):
        names = (JOINTS_29[near], JOINTS_29[far])
        known = _MEASURED_RATIOS.get(names) or _MEASURED_RATIOS.get((_kind(near), _kind(far)))
        if known:
            ratio[row] = known[0]
            sigma_m[row] = known[1] * np.linalg.norm(rest[far] - rest[near])
    return ratio, sigma_m.astype(np.float32)


_LENGTH_RATIO, _LENGTH_SIGMA_M = _tables()


def bone_lengths(joints_m):
    """Return distances of ``PAIRS`` (34,) and their sigma (34,), metres, of joints (29, 3)."""
    raw = length(joints_m.take(_FAR, 0) - joints_m.take(_NEAR, 0))
    return (raw / _LENGTH_RATIO).astype(np.float32), _LENGTH_SIGMA_M
