"""Shared parts of tests: real clips, bodies, a scripted front end, processes, full disks."""

from contextlib import contextmanager
import os
from pathlib import Path
import resource

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.scene.camera import Camera
from niki_ros.scene.depth import DepthNumbers, TRUNK_CORNERS
import numpy as np
import pytest

FACING = np.diag([1.0, -1.0, -1.0])
"""Camera axes from body axes of an upright person who looks into the camera."""
T_POSE = np.concatenate([FACING[None], np.tile(np.eye(3), (23, 1, 1))])
"""Local rotations (24, 3, 3) of a person in T-pose who looks into the camera."""
CAM01 = Camera(np.array([[1681.2, 0, 533.0], [0, 1681.1, 948.1], [0, 0, 1]]), 1088, 1920)
CAM04 = Camera(np.array([[1675.2, 0, 540.1], [0, 1675.2, 964.0], [0, 0, 1]]), 1088, 1920)
"""Cameras of the measured clips; their distortion is below a pixel."""


def shared_folder() -> Path:
    """Return the folder of real data beside the repository; skip the test where there is none."""
    beside = Path(__file__).resolve().parents[1].parent / 'shared'
    folder = Path(os.environ.get('NIKI_SHARED', beside))
    if not (folder / 'data').is_dir():
        pytest.skip(f'no real data: {folder}/data is not there (set NIKI_SHARED to its parent)')
    return folder


def measured_clip(name: str) -> Path:
    return shared_folder() / 'data' / 'pose2sim' / name


def clip_images(path, count, size=None, first=0, every=1, row=0) -> list:
    """Return ``count`` images of a clip below ``row``, at another size (width, height)."""
    import cv2
    from niki_ros.sources.open import open_source
    with open_source(path, max_frames=first + count * every) as source:
        images = [np.ascontiguousarray(frame.image_rgb[row:]) for frame in source
                  if frame.index >= first and not (frame.index - first) % every]
    return images if size is None else [
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images]


def truncated(clip: Path, to: Path) -> Path:
    """Write a copy of an mp4 file without the second half of its images, but with its index."""
    whole = clip.read_bytes()
    middle = len(whole) // 2
    tail = max(whole.rfind(b'moov') - 4, middle)
    to.write_bytes(whole[:middle] + bytes(tail - middle) + whole[tail:])
    return to


def child_environment(**changes) -> dict:
    """Return the environment of a new process, which finds the ROS wheels by itself."""
    return {name: value for name, value in os.environ.items()
            if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'} | changes


@contextmanager
def full_disk(byte_count: int):
    """Fail to write more than this to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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


def trunk_depth_m(camera, *people_m, behind_m=6.0):
    """
    Return a depth image (480, 640): a box for the surface of each trunk, and a wall behind.

    :param people_m: joints (29, 3) of each, optical frame, the farthest first.
    """
    depth_m = np.full((480, 640), behind_m, np.float32)
    for joints_m in people_m:
        pixels = camera.project(joints_m)[TRUNK_CORNERS]
        (x0, y0), (x1, y1) = pixels.min(0).astype(int) - 4, pixels.max(0).astype(int) + 4
        depth_m[y0:y1, x0:x1] = joints_m[TRUNK_CORNERS, 2].mean() - DepthNumbers.surface_m
    return depth_m


class ScriptedObserver:
    """A front end whose observations are a function of the stamp."""

    def __init__(self, script):
        self.script = script
        self.resets = 0
        self.faults = {}
        self.waiting = frozenset()

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        return list(self.script(stamp_ns))

    def reset(self):
        self.resets += 1

    def close(self):
        pass

    def describe(self):
        return {'observer': 'scripted'}
