"""
How long a body's bones are, from the 33 landmarks. Numpy only.

The landmark network shortens limbs: where it is unsure of a depth it answers with the mean, and
the shank and the foot lose most. The shares below undo that on average.
"""

from __future__ import annotations

from niki_ros.body.shape import PAIRS
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
import numpy as np

# observed over true length, and the spread of that over people, of what the network measures;
# everything else is constructed from these and says nothing of its own
_MEASURED = {
    ('hip', 'knee'): (0.955, 0.11), ('knee', 'ankle'): (0.84, 0.12),
    ('shoulder', 'elbow'): (0.90, 0.13), ('elbow', 'wrist'): (0.92, 0.15),
    ('hip', 'hip'): (0.95, 0.2), ('spine1', 'spine2'): (1.03, 0.15),
    ('spine2', 'spine3'): (1.0, 0.15), ('left_collar', 'right_collar'): (1.0, 0.15),
}
_NOTHING_M = 1.0


def _kind(joint: int) -> str:
    return JOINTS_29[joint].replace('left_', '').replace('right_', '')


def _tables():
    """Return share (34,) and expected error in metres (34,) for each of ``PAIRS``."""
    rest = open_skeleton().rest_joints_m
    share, spread_m = np.ones(len(PAIRS)), np.full(len(PAIRS), _NOTHING_M)
    for row, (near, far) in enumerate(PAIRS):
        names = (JOINTS_29[near], JOINTS_29[far])
        known = _MEASURED.get(names) or _MEASURED.get((_kind(near), _kind(far)))
        if known:
            share[row] = known[0]
            spread_m[row] = known[1] * np.linalg.norm(rest[far] - rest[near])
    return share, spread_m


LENGTH_SHARE, LENGTH_SIGMA_M = _tables()


def bone_lengths(joints_m):
    """
    Return the distances (34,) between the joints of ``PAIRS`` and their expected errors (34,).

    :param joints_m: (29, 3) made from landmarks, metres.
    """
    near, far = PAIRS.T
    raw = np.linalg.norm(joints_m[far] - joints_m[near], axis=-1)
    return (raw / LENGTH_SHARE).astype(np.float32), LENGTH_SIGMA_M.astype(np.float32)
