"""Distance of a person by a depth image and by the ground."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.scene.depth import checked_depth, depth_z_offset_m
from niki_ros.scene.ground import FootLock, Ground, ground_z_offset_m
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import pytest
from scenes import FACING, observe_body, ScriptedObserver, trunk_depth_m

IMAGE = np.zeros((480, 640, 3), np.uint8)
FRAME_NS = 33_333_333
DT = FRAME_NS * 1e-9
SIZE = (640, 480)
TALL = np.array([1.5] + [0.0] * 9)
"""Betas of a person much larger than the mean body."""


@pytest.fixture
def camera():
    return Camera.from_fov(640, 480, 75.0)


def standing():
    rotvec = np.zeros((24, 3))
    rotvec[16, 2], rotvec[17, 2] = -1.2, 1.2
    rotmat = rotmat_from_rotvec(rotvec)
    rotmat[0] = FACING @ rotmat[0]
    return rotmat


def on_floor(z_m, height_m=1.1, betas=None):
    """Return the root (3,) of a standing person at this distance, the camera ``height_m`` up."""
    joints = forward_kinematics(standing(), open_skeleton().offsets(betas))[0]
    soles = [JOINT['left_big_toe'], JOINT['right_big_toe']]
    return np.array([0.1, height_m - 0.015 - joints[soles, 1].max(), z_m])


def as_mean_body(root, camera):
    tall = observe_body(standing(), root, camera, TALL, sigma=0.2)
    tall.joints_m = observe_body(standing(), root, camera, sigma=0.2).joints_m
    return tall


def depth_of(camera, root, betas=TALL):
    joints = forward_kinematics(standing(), open_skeleton().offsets(betas))[0] + root
    return trunk_depth_m(camera, joints)


def play(script, camera, frames=30, **extra):
    """Return the first body of every frame; ``extra`` are functions of the frame."""
    pipeline = Pipeline(ScriptedObserver(lambda stamp: script(round(stamp / FRAME_NS))),
                        AnalyticSolver())
    out = []
    for i in range(frames):
        given = {name: value(i) for name, value in extra.items()}
        out.append(pipeline.process(IMAGE, camera, i * FRAME_NS, **given)[0])
    return out


def test_tall_person_is_too_near_by_size(camera):
    root = on_floor(3.0, betas=TALL)
    body = play(lambda i: [as_mean_body(root, camera)], camera)[-1]
    assert body.root_source == 'camera' and body.root_m[2] < 2.9


@pytest.mark.parametrize('kind', ['float32', 'uint16', 'half size'])
def test_depth_image_corrects_the_distance(camera, kind):
    root = on_floor(3.0, betas=TALL)
    depth = depth_of(camera, root)
    depth = {'float32': depth, 'uint16': (depth * 1000).astype(np.uint16),
             'half size': depth[::2, ::2]}[kind]
    body = play(lambda i: [as_mean_body(root, camera)], camera, depth_m=lambda i: depth)[-1]
    assert body.root_source == 'depth'
    assert abs(body.root_m[2] - 3.0) < 0.03
    np.testing.assert_allclose(body.root_m[:2] / body.root_m[2], root[:2] / root[2], atol=0.01)


def test_depth_with_holes_noise_and_an_arm_in_front(camera):
    root, rng = on_floor(3.0, betas=TALL), np.random.default_rng(0)
    depth = depth_of(camera, root)
    depth[rng.uniform(size=depth.shape) < 0.3] = 0.0
    depth[rng.uniform(size=depth.shape) < 0.1] = np.nan
    depth += rng.normal(size=depth.shape).astype(np.float32) * 0.02 * (depth > 0)
    x, y = camera.project(root).astype(int)
    depth[y - 25:y - 10] = 1.5
    body = play(lambda i: [as_mean_body(root, camera)], camera, depth_m=lambda i: depth)[-1]
    assert body.root_source == 'depth' and abs(body.root_m[2] - 3.0) < 0.06


@pytest.mark.parametrize('empty', [0.0, np.nan, 1e6])
def test_depth_image_without_the_person_is_not_used(camera, empty):
    root = on_floor(3.0)
    depth = np.full((480, 640), empty, np.float32)
    body = play(lambda i: [observe_body(standing(), root, camera)], camera,
                depth_m=lambda i: depth)[-1]
    assert body.root_source == 'camera' and abs(body.root_m[2] - 3.0) < 0.05


def test_a_hidden_trunk_has_no_depth(camera):
    root = on_floor(3.0)
    seen = observe_body(standing(), root, camera)
    hidden = np.zeros(29, bool)
    hidden[JOINT['left_hip']] = True
    assert depth_z_offset_m(depth_of(camera, root, None), SIZE, seen.keypoints_px,
                       seen.joints_m + root, hidden) is None


def test_correction_by_depth_lasts(camera):
    """The distance does not jump back when a depth image is missing."""
    root = on_floor(3.0, betas=TALL)
    depth = depth_of(camera, root)
    bodies = play(lambda i: [as_mean_body(root, camera)], camera, 60,
                  depth_m=lambda i: depth if i < 30 else None)
    assert bodies[-1].root_source == 'camera' and abs(bodies[-1].root_m[2] - 3.0) < 0.05


@pytest.mark.parametrize('depth', [
    np.zeros((480, 480)), np.zeros((480, 640, 1)), np.zeros((480, 640), int), np.zeros((0, 0))])
def test_invalid_depth_images_are_refused(depth):
    with pytest.raises(InputError, match='depth'):
        checked_depth(depth, 640, 480)


LEVEL = Ground(np.array([0.0, -1.0, 0.0]), 1.1)


def test_plane_of_a_frame():
    turn = rotmat_from_rotvec(np.array([np.pi / 2 + 0.2, 0, 0]))
    ground = Ground.from_transform(turn, turn @ np.array([0.5, 0.3, 0.0]) + turn[:, 2] * -1.2)
    assert ground.height_m == pytest.approx(1.2)
    points = (turn @ np.array([[3.0, 1.0, 0.25]]).T).T + turn[:, 2] * -1.2
    assert ground.heights(points)[0] == pytest.approx(0.25)
    with pytest.raises(InputError, match='-0.50 m'):
        Ground.from_transform(turn, turn[:, 2] * 0.5)


def test_ground_corrects_the_distance(camera):
    root = on_floor(3.0, betas=TALL)
    alone = play(lambda i: [as_mean_body(root, camera)], camera)[-1]
    body = play(lambda i: [as_mean_body(root, camera)], camera, ground=lambda i: LEVEL)[-1]
    assert body.root_source == 'ground'
    assert abs(body.root_m[2] - 3.0) < 0.6 * abs(alone.root_m[2] - 3.0)
    feet = body.joints_m[[JOINT['left_big_toe'], JOINT['right_big_toe']]]
    assert np.abs(LEVEL.heights(feet) - 0.015).max() < 0.03


def test_person_on_a_ladder_is_not_moved(camera):
    """The feet are far above the plane."""
    root = on_floor(3.0) - [0, 0.9, 0]
    seen = observe_body(standing(), root, camera)
    assert ground_z_offset_m(LEVEL, seen.joints_m + root, np.zeros(29, bool)) is None
    body = play(lambda i: [seen], camera, ground=lambda i: LEVEL)[-1]
    assert body.root_source == 'camera' and abs(body.root_m[2] - 3.0) < 0.05


def test_hidden_feet_are_not_used(camera):
    root = on_floor(3.0)
    seen = observe_body(standing(), root, camera)
    assert ground_z_offset_m(LEVEL, seen.joints_m + root, np.zeros(29, bool)) is not None
    assert ground_z_offset_m(LEVEL, seen.joints_m + root, np.ones(29, bool)) is None


def test_standing_feet_do_not_slide(camera):
    """The front end's distance drifts; the feet stay."""
    rng = np.random.default_rng(0)
    wander = np.cumsum(rng.normal(size=90)) * 0.006

    def script(i):
        return [observe_body(standing(), on_floor(3.0) + [0, 0, wander[i]], camera)]

    def path(bodies):
        return np.abs(np.diff([b.joints_m[JOINT['left_big_toe'], 2] for b in bodies[10:]])).mean()
    assert path(play(script, camera, 90, ground=lambda i: LEVEL)) < 0.5 * path(
        play(script, camera, 90))


def test_moving_foot_is_not_locked():
    footing, joints = FootLock(), forward_kinematics(
        standing(), open_skeleton().offsets())[0] + on_floor(3.0)
    footing.correction_m(LEVEL, joints, np.zeros(29, bool), 0.0)
    for step in range(1, 10):
        moved = footing.correction_m(LEVEL, joints + [0.04 * step, 0, 0], np.zeros(29, bool), DT)
        assert np.abs(moved[[0, 2]]).max() < 1e-9
