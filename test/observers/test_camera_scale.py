"""Refinement of the camera scale: against the released formula, and its effect."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton, PARENTS_29
from niki_ros.observers.camera_scale import adaptive_rotations, fitted_distance
from niki_ros.observers.crop import Crop, joints_from_uvd
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.hybrik import HybrikNetwork
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_hybrik import CAMERA, DEPTH_M, dot, heat_folder, SCALE

# a camera as the network assumes it: 1000 px over a crop of 256 px in the middle of the image
ASSUMED = Camera(np.array([[1000.0, 0, 128], [0, 1000, 128], [0, 0, 1]]), 256, 256)
MIDDLE = Crop(np.array([128.0, 128.0]), 256.0)
NO_TWIST = np.tile([1.0, 0.0], (23, 1))


def person(seed: int):
    rng = np.random.default_rng(seed)
    offsets = open_skeleton().offsets(rng.normal(size=10))
    rotmat = rotmat_from_rotvec(0.5 * rng.normal(size=(24, 3)))
    rotmat[0] = rotmat_from_rotvec(np.array([np.pi, 0, 0]))
    return offsets, rotmat, forward_kinematics(rotmat, offsets)[0]


@pytest.mark.parametrize('seed', range(4))
def test_joints_of_a_body_are_reproduced(seed):
    offsets, _, joints = person(seed)
    found = forward_kinematics(adaptive_rotations(joints, offsets, NO_TWIST), offsets)[0]
    # hips and collars are rigid groups, which an SVD fits; every other bone points as it did
    assert np.abs(found - joints).max() < 1e-6


def test_errors_do_not_add_up_along_a_limb():
    offsets, _, joints = person(1)
    seen = joints + 0.004 * np.random.default_rng(5).normal(size=joints.shape)
    found = forward_kinematics(adaptive_rotations(seen, offsets, NO_TWIST), offsets)[0]
    plain = np.zeros_like(found)
    for joint in range(1, 29):
        bone = seen[joint] - seen[PARENTS_29[joint]]
        plain[joint] = plain[PARENTS_29[joint]] + bone * (
            np.linalg.norm(offsets[joint]) / np.linalg.norm(bone))
    ends = [20, 21, 7, 8]
    assert np.linalg.norm(found - seen, axis=-1)[ends].mean() < np.linalg.norm(
        plain - (seen - seen[0]), axis=-1)[ends].mean()


def as_released(uvd, weight, scale, offsets, rotmat):
    """Return the scale by the released formula, in its own units, for a body already fitted."""
    size, focal, depth_factor = 256.0, 1000.0, DEPTH_M
    depth = focal / (size * scale)
    root = np.array([*uvd[0, :2] * size / focal * (uvd[0, 2] * depth_factor + depth),
                     uvd[0, 2] * depth_factor])
    xyz = forward_kinematics(rotmat, offsets)[0][:24] + root
    a = np.concatenate([uvd[:24, 0] * weight, uvd[:24, 1] * weight])
    b = np.concatenate([(xyz[:, i] - size * uvd[:24, i] / focal * xyz[:, 2]) * weight
                        for i in range(2)])
    return (a @ a) / (a @ b)


@pytest.mark.parametrize('guess', [0.8, 1.0, 1.3])
def test_formula_equals_the_released_one(guess):
    rng = np.random.default_rng(3)
    offsets, _, joints = person(3)
    sigma = rng.uniform(0, 0.6, 29)
    uvd = np.concatenate([(ASSUMED.project(joints + [0.1, -0.2, 5.0]) - 128) / 256,
                          (joints[:, 2:] + 0.05) / DEPTH_M], axis=1)
    seen, pixels = joints_from_uvd(uvd, MIDDLE, ASSUMED, guess, DEPTH_M)
    seen[:, 2] -= 1000 / (256 * guess)
    rotmat = adaptive_rotations(seen, offsets, NO_TWIST)
    distance = fitted_distance(seen, ASSUMED.rays(pixels), sigma, offsets, NO_TWIST)
    expected = as_released(uvd, 1 - 5 * sigma[:24], guess, offsets, rotmat)
    assert 1000 / (256 * distance) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize('guess', [0.75, 1.25])
def test_wrong_scale_is_refined(guess):
    offsets, _, joints = person(2)
    there = joints + [0.3, -0.2, 6.0]
    crop = Crop(np.array([700.0, 350.0]), 400.0)
    pixels = CAMERA.project(there)
    true = 900 / (crop.side_px * 6.0)
    uvd = np.concatenate([(pixels - crop.center_px) / crop.side_px,
                          joints[:, 2:] / DEPTH_M], axis=1)
    seen, _ = joints_from_uvd(uvd, crop, CAMERA, guess * true, DEPTH_M)
    seen[:, 2] -= 6.0 / guess
    distance = fitted_distance(seen, CAMERA.rays(pixels), np.full(29, 0.05), offsets, NO_TWIST)
    assert abs(distance - 6.0) < 0.65 * abs(6.0 / guess - 6.0)


def test_no_distance_without_weights():
    offsets, _, joints = person(0)
    rays = np.concatenate([joints[:, :2], np.ones((29, 1))], axis=1)
    assert fitted_distance(joints, rays, np.full(29, 0.2), offsets, NO_TWIST) is None
    assert fitted_distance(joints, -rays, np.zeros(29), offsets, NO_TWIST) is None
    assert fitted_distance(joints, np.nan * rays, np.zeros(29), offsets, NO_TWIST) is None


def test_description_tells_whether_the_scale_is_refined(tmp_path):
    plain = FollowingObserver(HybrikNetwork(heat_folder(tmp_path / 'a').path), None)
    body = heat_folder(tmp_path / 'b', skeleton=open_skeleton().to_dict())
    refining = FollowingObserver(HybrikNetwork(body.path), None)
    seen = [one.observe(dot(660, 370), CAMERA, 0, [(500, 200, 700, 600)])[0]
            for one in (plain, refining)]
    assert len({one.describe()['observer_camera_scale'] for one in (plain, refining)}) == 2
    # all joints in one pixel are no body that fits at the network's distance
    assert np.isfinite(seen[1].joints_m).all()
    error_px = [one.keypoint_sigma_px[0] for one in seen]
    assert error_px[0] == pytest.approx(0.1 * 0.2 * SCALE * 500) != error_px[1]


def test_rotations_are_orthonormal_and_twisted():
    offsets, _, joints = person(6)
    twist = np.random.default_rng(1).normal(size=(23, 2))
    found = adaptive_rotations(joints + 0.1, offsets, twist)
    np.testing.assert_allclose(found @ found.swapaxes(1, 2), np.tile(np.eye(3), (24, 1, 1)),
                               atol=1e-9)
    # a twist turns the bone about itself: the child stays where it was
    first = Rotation.from_matrix(adaptive_rotations(joints, offsets, NO_TWIST)[4])
    second = Rotation.from_matrix(adaptive_rotations(joints, offsets, twist)[4])
    assert (first.inv() * second).magnitude() > 0.01
