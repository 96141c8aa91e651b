"""Shared parts of tests: the folder of real data, bodies, a scripted front end."""

import os
from pathlib import Path

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
import numpy as np
import pytest

FACING = np.diag([1.0, -1.0, -1.0])
"""Camera axes from body axes of an upright person who looks into the camera."""


def shared_folder() -> Path:
    """Return the folder of real data beside the repository; skip the test where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / 'shared'
    folder = Path(os.environ.get('NIKI_SHARED', beside))
    if not (folder / 'data').is_dir():
        pytest.skip(f'no real data: {folder}/data is not there (set NIKI_SHARED to its parent)')
    return folder


def random_pose(rng, people=1, spread_rad=0.4) -> np.ndarray:
    """Return random local rotations (N, 24, 3, 3) of people who roughly face the camera."""
    rotmat = rotmat_from_rotvec(rng.normal(size=(people, 24, 3)) * spread_rad)
    rotmat[:, 0] = FACING @ rotmat[:, 0]
    return rotmat


def observe_body(rotmat, root_m, camera, betas=None, sigma=0.0) -> JointObservation:
    """Return the observation of a body (24, 3, 3) at ``root_m`` by an exact front end."""
    joints, _ = forward_kinematics(rotmat, open_skeleton().offsets(betas))
    pixels = camera.project(joints + root_m)
    box = np.concatenate([np.nanmin(pixels, axis=0), np.nanmax(pixels, axis=0)])
    return JointObservation(
        joints.astype(np.float32), np.full(29, sigma, np.float32), pixels.astype(np.float32),
        box.astype(np.float32), 0.9, np.full(29, 2.0, np.float32))


class ScriptedObserver:
    """A front end whose observations are a function of the stamp."""

    def __init__(self, script):
        self.script = script
        self.resets = 0
        self.faults = {}

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        return list(self.script(stamp_ns))

    def reset(self):
        self.resets += 1

    def close(self):
        pass

    def describe(self):
        return {'observer': 'scripted'}
