"""
Corruptions of the evaluation protocol, one function each.

A row of the evaluation's table is the name of a corruption, or name and value: ``noise-20``.
"""

from typing import Callable

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINT
import numpy as np

from niki_training.corrupt import joint_groups as groups

PROTOCOL_ROWS = (
    'clean', 'noise-10', 'noise-20', 'noise-40', 'noise-80', 'depth-40', 'occluded-1',
    'occluded-2', 'occluded-4', 'truncated-legs', 'truncated-waist', 'silent-1', 'silent-2',
    'swapped')
"""The rows of the evaluation's table."""
TRUNCATED_JOINTS = {'legs': groups.LEGS,
                    'waist': groups.LEGS + groups.HIPS + (0, JOINT['spine1'], JOINT['spine2'])}

Corrupted = tuple[np.ndarray, float, np.ndarray | None]
CORRUPTIONS: dict[str, Callable[..., Corrupted]] = {}
"""
Name → function of joints (B, T, 29, 3), the value in the row's name and a random generator.

Returns joints, their sigma, and the hidden joints (B, 29) bool or None. Joints that are hidden by
a ``silent`` corruption keep that sigma; those of the others get 1.
"""


def corruption(function):
    CORRUPTIONS[function.__name__] = function
    return function


def corrupt_for_row(row: str, joints_m, rng):
    """
    Corrupt joints as a row of the evaluation's table says.

    :param row: such as ``noise-20`` (mm), ``depth-40``, ``occluded-2``, ``truncated-legs``.
    :param joints_m: (B, T, 29, 3); limbs are chosen once per sequence, noise is new in each frame.
    :return: joints (B, T, 29, 3) about the pelvis, sigma (B, T, 29), wrong (B, T, 29) bool.
    """
    name, _, value = row.partition('-')
    joints_m, sigma, hidden = CORRUPTIONS[name](joints_m, value, rng)
    if hidden is None:
        hidden = np.zeros((len(joints_m), 29), dtype=bool)
    wrong = np.broadcast_to(hidden[:, None], joints_m.shape[:-1])
    misplaced_m = joints_m + rng.normal(size=joints_m.shape) * groups.HIDDEN_JOINT_ERROR_M
    joints_m = np.where(wrong[..., None], misplaced_m, joints_m)
    sigma = np.where(wrong & (name != 'silent'), 1.0, sigma)
    return joints_m - joints_m[..., :1, :], sigma, wrong


@corruption
def clean(joints_m, value, rng) -> Corrupted:
    return joints_m, 0.0, None


@corruption
def noise(joints_m, value, rng) -> Corrupted:
    """Add Gaussian noise of so many millimetres per coordinate."""
    noise_m = float(value) / 1000
    return joints_m + rng.normal(size=joints_m.shape) * noise_m, _sigma(noise_m), None


@corruption
def depth(joints_m, value, rng) -> Corrupted:
    """Add Gaussian noise of so many millimetres in depth, a third of it in the other axes."""
    noise_m = float(value) / 1000
    spread_m = (noise_m / 3, noise_m / 3, noise_m)
    return joints_m + rng.normal(size=joints_m.shape) * spread_m, _sigma(noise_m), None


@corruption
def occluded(joints_m, value, rng) -> Corrupted:
    """Hide so many limbs."""
    return joints_m, 0.0, groups.limb_mask(np.full(len(joints_m), int(value)), rng)


@corruption
def silent(joints_m, value, rng) -> Corrupted:
    """Hide so many limbs; the front end does not report it."""
    return occluded(joints_m, value, rng)


@corruption
def truncated(joints_m, value, rng) -> Corrupted:
    """Hide the ``legs``, or all joints below the chest (``waist``)."""
    hidden = np.zeros((len(joints_m), 29), dtype=bool)
    hidden[:, list(TRUNCATED_JOINTS[value])] = True
    return joints_m, 0.0, hidden


@corruption
def swapped(joints_m, value, rng) -> Corrupted:
    """Exchange the legs."""
    return groups.exchange_legs(joints_m), 0.0, None


def _sigma(noise_m: float) -> float:
    return min(1.0, noise_m / SIGMA_UNIT_M)
