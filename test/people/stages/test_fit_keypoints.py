"""The fit to keypoints: its Jacobian, and its effect on a pose that is a little wrong."""

from niki_ros.body.kinematics import forward_kinematics, global_rotmats
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT, JOINTS_29, open_skeleton
from niki_ros.people.stages.fit_keypoints import fit_keypoints, FitNumbers, projection_jacobian
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import observe_body, random_pose

OFFSETS = open_skeleton().offsets()
ROOT = np.array([0.1, 0.2, 3.0])
NUMBERS = FitNumbers(root_sigma_ratio=(1 / 30, 1 / 30, 0.1))


def plane(rotmat, root):
    place = forward_kinematics(rotmat, OFFSETS)[0] + root
    return (place[:, :2] / place[:, 2:]).ravel()


def test_jacobian_is_the_derivative():
    rotmat = random_pose(np.random.default_rng(0))[0]
    joints, turned = forward_kinematics(rotmat, OFFSETS)
    exact = projection_jacobian(joints, joints + ROOT, np.ones(29, bool), turned)
    for column in range(75):
        step = np.zeros(75)
        step[column] = 1e-6
        turn = step[:72].reshape(24, 3)
        ends = [plane(rotmat @ rotmat_from_rotvec(s * turn), ROOT + s * step[72:])
                for s in (1, -1)]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-6, exact[:, column], atol=1e-7)


@pytest.mark.parametrize('distortion, model', [
    ([0.0], 'plumb_bob'), ([-0.2, 0.05, 0.001, 0.001], 'plumb_bob'), ([0.1, 0.01], 'equidistant')])
def test_a_pose_a_little_wrong_is_brought_onto_its_keypoints(distortion, model):
    rng = np.random.default_rng(1)
    camera = Camera(np.array([[550.0, 0, 320], [0, 560, 240], [0, 0, 1]]), 640, 480,
                    np.array(distortion), model)
    true = random_pose(rng)[0]
    seen = observe_body(true, ROOT, camera)
    wrong = true @ rotmat_from_rotvec(rng.normal(size=(24, 3)) * 0.1)
    rotmat, root = fit_keypoints(
        wrong, ROOT + [0.05, -0.05, 0.1], OFFSETS, seen.keypoints_px, seen.keypoint_sigma_px,
        camera, np.full(24, 0.3), NUMBERS)

    def off_px(pose, place):
        pixels = camera.project(forward_kinematics(pose, OFFSETS)[0] + place)
        return np.linalg.norm(pixels - seen.keypoints_px, axis=1).mean()
    assert off_px(rotmat, root) < 0.1 * off_px(wrong, ROOT + [0.05, -0.05, 0.1])
    assert off_px(rotmat, root) < 2.0


def test_without_keypoints_nothing_moves(camera):
    pose = random_pose(np.random.default_rng(2))[0]
    rotmat, root = fit_keypoints(
        pose, ROOT, OFFSETS, np.full((29, 2), np.nan), np.full(29, np.inf), camera,
        np.full(24, 0.3))
    np.testing.assert_array_equal(rotmat, pose)
    np.testing.assert_array_equal(root, ROOT)


def test_one_wild_keypoint_does_not_carry_the_body_away(camera):
    pose = random_pose(np.random.default_rng(3))[0]
    seen = observe_body(pose, ROOT, camera)
    seen.keypoints_px[20] += 300.0
    rotmat, root = fit_keypoints(
        pose, ROOT, OFFSETS, seen.keypoints_px, seen.keypoint_sigma_px, camera,
        np.full(24, 0.1), NUMBERS)
    assert np.linalg.norm(root - ROOT) < 0.05
    joints, true = (forward_kinematics(r, OFFSETS)[0] for r in (rotmat, pose))
    assert np.linalg.norm(joints - true, axis=1)[[1, 2, 15, 21]].max() < 0.05


def test_hidden_legs_keep_their_directions_while_the_trunk_turns(camera):
    rng = np.random.default_rng(3)
    true = random_pose(rng)[0]
    seen = observe_body(true, ROOT, camera)
    legs = [i for i, name in enumerate(JOINTS_29) if any(
        part in name for part in ('knee', 'ankle', 'foot', 'toe', 'heel'))]
    sigma_px = seen.keypoint_sigma_px.copy()
    sigma_px[legs] = np.inf
    wrong = true @ rotmat_from_rotvec(rng.normal(size=(24, 3)) * 0.1)
    rotmat, _ = fit_keypoints(wrong, ROOT, OFFSETS, seen.keypoints_px, sigma_px, camera,
                              np.full(24, 0.3), NUMBERS)
    before, after = global_rotmats(wrong), global_rotmats(rotmat)
    thighs_and_shanks = [JOINT[f'{side}_{part}'] for side in ('left', 'right')
                         for part in ('hip', 'knee')]
    np.testing.assert_allclose(after[thighs_and_shanks], before[thighs_and_shanks], atol=1e-9)
    assert np.abs(after[0] - before[0]).max() > 0.01, 'the pelvis turns'
