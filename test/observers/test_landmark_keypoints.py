"""Keypoints of the lifter, made from landmarks."""

from niki_ros.body.keypoints import KEYPOINTS
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_ros.observers.landmark_keypoints import keypoint_rays
from niki_ros.scene.camera import Camera
import numpy as np


def test_keypoints_of_landmarks():
    rays = np.stack([np.arange(33.0), np.zeros(33), np.ones(33)], 1)
    rng = np.random.default_rng(0)
    observation = JointObservation(
        rng.normal(size=(29, 3)), np.zeros(29), rng.uniform(0, 400, (29, 2)), np.zeros(4), 1.0,
        np.ones(29))
    camera = Camera.from_fov(640, 480, 60.0)
    made = keypoint_rays(rays, np.arange(33) / 33, rays, observation, camera)
    knee, nose = KEYPOINTS.index('left_knee'), KEYPOINTS.index('nose')
    joint = JOINT['left_knee']
    assert np.allclose(camera.project(made.rays[knee]), observation.keypoints_px[joint])
    joints_m = observation.joints_m
    assert np.allclose(made.guess_m[knee], joints_m[joint] - joints_m[1:3].mean(0))
    assert np.allclose(made.rays[nose], [0, 0, 1]) and np.allclose(made.guess_m[nose], rays[0])
    assert made.seen[knee] == 25 / 33
    observation.keypoints_px[joint] = np.nan
    rays[[0, 25]] = np.nan
    blind = keypoint_rays(rays, np.ones(33), np.zeros((33, 3)), observation, camera)
    assert np.isfinite(blind.rays).all()
    assert blind.seen[knee] == 0 and blind.seen[nose] == 0 and blind.seen[0] == 1
