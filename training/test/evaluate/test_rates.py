"""Dependence on the rate of the camera: what is compared, and how large it is behind the crops."""

import json

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.scene.camera import Camera
from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.rates import (
    differences,
    joints_after_stages,
    matched,
    RateClip,
    Recorded,
    STAGES,
)
import numpy as np
import pytest

CAMERA = Camera.from_fov(640, 480, 60.0)
SETTINGS = {'solver.name': 'analytic', 'lifter.name': ''}


def observation(turn_rad, root_m):
    """Return an exact observation of a person with both arms turned."""
    rotvec = np.zeros((24, 3))
    rotvec[[16, 17], 2] = np.array([1, -1]) * turn_rad
    rotmat = rotmat_from_rotvec(rotvec)
    rotmat[0] = np.diag([1.0, -1.0, -1.0]) @ rotmat[0]  # the person faces the camera
    joints_m, _ = forward_kinematics(rotmat, open_skeleton().offsets())
    keypoints_px = CAMERA.project(joints_m + root_m)
    box_px = np.concatenate([keypoints_px.min(0), keypoints_px.max(0)])
    return JointObservation(joints_m.astype(np.float32), np.full(29, 0.1, np.float32),
                            keypoints_px, box_px, 1.0, np.full(29, 2.0))


@pytest.fixture(scope='module')
def recorded():
    """Return two people, one of whom raises the arms, at 60 images a second."""
    stamps_ns = [round(index * 1e9 / 60) for index in range(60)]
    seen = [[observation(0.9 * np.sin(index / 12), np.array([-0.7, 0.0, 4.0])),
             observation(0.0, np.array([0.7, 0.0, 4.0]))] for index in range(60)]
    return Recorded((640, 480), stamps_ns, seen)


def every(recorded, n):
    return Recorded(recorded.size, recorded.stamps_ns[::n], recorded.observations[::n])


def test_people_are_compared_with_themselves_in_the_same_image(recorded):
    clip = RateClip('two people', '', CAMERA)
    whole = joints_after_stages(clip, recorded, SETTINGS)
    same = differences(matched(whole, whole))
    assert same['frames'] > 100 and same['published_mm'] == 0
    part = joints_after_stages(clip, every(recorded, 3), SETTINGS)
    apart = differences(matched(whole, part))
    assert apart['frames'] <= same['frames'] / 3 + 1
    assert set(apart['stages']) == set(STAGES)
    assert apart['stages']['front end']['all'] == 0, 'the same observations'
    assert 0 < apart['stages']['smoothed']['all'] < 20, 'the arms lag behind, nobody is exchanged'
    assert apart['stages']['smoothed']['arms'] > apart['stages']['smoothed']['legs']


@pytest.mark.long
def test_every_third_image_of_the_trial(trial, capsys):
    assert evaluate_cli.main(['rates', str(trial), '--every', '3', '--replayed', '--json']) == 0
    row = json.loads(capsys.readouterr().out)['rates']['3']
    assert row['frames'] > 120
    assert row['stages']['smoothed']['all'] < 12
