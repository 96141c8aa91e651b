"""The effect of one number on figures: which numbers there are, and that they reach the stage."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ConfigError
from niki_ros.scene.camera import Camera
from niki_training.evaluate.sweep import figures, RecordedClip, value_in_use
from niki_training.evaluate.video_truth import LIMB_JOINTS
import numpy as np
import pytest

SETTINGS = {'solver.name': 'analytic', 'lifter.name': ''}


@pytest.fixture(scope='module')
def clip():
    """Return the observations of a person who raises both arms, seen a little wrong."""
    rng, camera = np.random.default_rng(0), Camera.from_fov(640, 480, 60.0)
    root_m, seen, true_m = np.array([0, 0, 3.0]), [], []
    for index in range(20):
        rotvec = np.zeros((24, 3))
        rotvec[[16, 17], 2] = np.array([1, -1]) * 0.1 * index
        rotmat = rotmat_from_rotvec(rotvec)
        rotmat[0] = np.diag([1.0, -1.0, -1.0]) @ rotmat[0]    # it faces the camera
        joints_m, _ = forward_kinematics(rotmat, open_skeleton().offsets())
        keypoints_px = camera.project(joints_m + root_m)
        box_px = np.concatenate([keypoints_px.min(0), keypoints_px.max(0)])
        noisy_m = (joints_m + rng.normal(size=(29, 3)) * 0.02).astype(np.float32)
        seen.append([JointObservation(noisy_m, np.full(29, 0.1, np.float32), keypoints_px, box_px,
                                      1.0, np.full(29, 2.0))])
        true_m.append(joints_m[LIMB_JOINTS] + root_m)
    stamps_ns = [index * 33_333_333 for index in range(20)]
    return RecordedClip(camera, (640, 480), stamps_ns, seen, np.array(true_m), np.zeros(20, bool))


def test_values_in_use_are_those_of_stages_and_settings():
    assert value_in_use('extrapolate_hidden_joints.full_weight_s', {}) == 1.0
    assert value_in_use('smoothing.beta', {'smoothing.beta': 0.5}) == 0.5
    for name in ('smoothing.enabled', 'smooth_root.unknown', 'unknown'):
        with pytest.raises(ConfigError, match=name):
            value_in_use(name, {})


@pytest.mark.parametrize('number, values', [
    ('smooth_rotations.max_turn_rad_s', (0.1, 25.0)), ('smoothing.min_cutoff_hz', (0.1, 6.0))])
def test_a_number_reaches_its_stage(clip, number, values):
    slow, usual = (figures([clip], SETTINGS, number, value) for value in values)
    assert slow['missed'] == usual['missed'] == 0
    assert slow['mpjpe_mm'] > usual['mpjpe_mm'] + 1, 'arms that lag behind'
