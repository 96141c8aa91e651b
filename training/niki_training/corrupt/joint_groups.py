"""Groups of joints that are hidden or confused together."""

from niki_ros.body.skeleton import JOINT
import numpy as np

LIMBS = tuple(
    tuple(JOINT[f'{side}_{part}'] for part in parts)
    for parts in (('elbow', 'wrist', 'hand', 'middle_finger'),
                  ('knee', 'ankle', 'foot', 'big_toe'))
    for side in ('left', 'right')
)
"""Left arm, right arm, left leg, right leg."""
LEFT_LEG, RIGHT_LEG = LIMBS[2:]
LEGS = LEFT_LEG + RIGHT_LEG
HIPS = (JOINT['left_hip'], JOINT['right_hip'])
SHOULDERS = (JOINT['left_shoulder'], JOINT['right_shoulder'])
HIDDEN_JOINT_ERROR_M = 0.2  # standard deviation per coordinate of a joint that is not seen


def limb_mask(count, rng) -> np.ndarray:
    """Choose ``count`` (B,) of the four limbs of each body: mask (B, 29)."""
    order = np.argsort(rng.random((len(count), 4)), axis=1)
    mask = np.zeros((len(count), 29), dtype=bool)
    for limb, joints in enumerate(LIMBS):
        mask[:, joints] = (order[:, limb] < count)[:, None]
    return mask


def exchange_legs(joints_m) -> np.ndarray:
    """Return the joints (..., 29, 3) with the left and the right leg exchanged."""
    exchanged = joints_m.copy()
    exchanged[..., LEFT_LEG + RIGHT_LEG, :] = joints_m[..., RIGHT_LEG + LEFT_LEG, :]
    return exchanged
