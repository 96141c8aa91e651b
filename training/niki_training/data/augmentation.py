"""Augmentation of motion: mirrored poses, camera orientations and body shapes."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import MIRROR_29, Skeleton
import numpy as np

CAMERA_FROM_UPRIGHT = np.diag([1.0, -1.0, -1.0])  # the person (y up) faces the camera (y down)


def mirror_poses(rotvec) -> np.ndarray:
    """Return poses (..., 24, 3), radians, mirrored: sides exchanged, y and z negated."""
    return rotvec[..., list(MIRROR_29[:24]), :] * np.asarray([1.0, -1.0, -1.0])


def random_cameras(count: int, rng, pitch_deg: float = 40.0, roll_deg: float = 10.0) -> np.ndarray:
    """
    Return camera-from-upright rotations (count, 3, 3): any heading, moderate pitch and roll.

    :param pitch_deg: largest pitch. :param roll_deg: largest roll, two standard deviations.
    """
    heading, pitch, roll = np.zeros((3, count, 3))
    heading[:, 1] = rng.uniform(-np.pi, np.pi, count)
    pitch[:, 0] = np.radians(rng.uniform(-pitch_deg, pitch_deg, count))
    roll[:, 2] = np.radians(np.clip(rng.normal(size=count) * roll_deg / 2, -roll_deg, roll_deg))
    tilt = rotmat_from_rotvec(roll) @ rotmat_from_rotvec(pitch)
    return tilt @ CAMERA_FROM_UPRIGHT @ rotmat_from_rotvec(heading)


def random_betas(count: int, rng, components: int = 10) -> np.ndarray:
    """
    Return betas (count, components) of people.

    In 40 % of them only the size differs from the mean body; half of the sizes are uniform over
    0.8 … 1.2 of it.
    """
    betas = np.clip(rng.normal(size=(count, components)), -2.5, 2.5)
    betas[rng.random(count) < 0.4, 1:] = 0.0
    betas[:, 0] = np.where(rng.random(count) < 0.5, betas[:, 0], rng.uniform(-3, 3, count))
    return betas


def random_bodies(rotvec, rng, skeleton: Skeleton):
    """
    Return bodies of random shape in front of random cameras, in camera axes.

    :param rotvec: (B, T, 24, 3) radians, y up.
    :return: rotmat (B, T, 24, 3, 3), joints (B, T, 29, 3) in metres about the pelvis, betas (B,
        10).
    """
    mirror = rng.random((len(rotvec), 1, 1, 1)) < 0.5
    rotmat = rotmat_from_rotvec(np.where(mirror, mirror_poses(rotvec), rotvec))
    cameras = random_cameras(len(rotvec), rng)
    rotmat[:, :, 0] = cameras[:, None] @ rotmat[:, :, 0]
    betas = random_betas(len(rotvec), rng)
    joints_m, _ = forward_kinematics(rotmat, skeleton.offsets(betas)[:, None])
    return rotmat, joints_m, betas
