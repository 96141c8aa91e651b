"""Rendering without a body model; drawing is skipped without moderngl and EGL."""

import tarfile

import cv2
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import BackendError, InputError
from niki_ros.scene.camera import Camera
from niki_training.front_end.observe import observation_arrays, observation_of_person
from niki_training.render import furniture, scene, shards, visibility
from niki_training.render.anny_body import rotmat_between, t_pose, t_pose_rotmats
from niki_training.render.camera_effects import CameraEffects
from niki_training.render.image_shards import read_image_shard, write_image_shard
import numpy as np
import pytest

MATRIX = np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]])


def _standing():
    """Return joints (30, 29, 3) of a person who stands in the world, y up."""
    joints = open_skeleton().rest_joints_m + (0.0, 0.9, 0.0)
    return np.tile(joints, (30, 1, 1))


def test_a_camera_sees_its_aim_where_it_should():
    rng = np.random.default_rng(0)
    for _ in range(20):
        place, aim = rng.normal(size=3) * 3, rng.normal(size=3)
        pixel = rng.uniform((50, 50), (590, 430))
        turn = scene.look_at(place, aim, pixel, MATRIX, 0.0)
        assert np.allclose(turn @ turn.T, np.eye(3)) and np.linalg.det(turn) > 0.99
        seen = Camera(MATRIX, 640, 480).project(turn @ (aim - place))
        assert np.linalg.norm(seen - pixel) < 0.2 * np.linalg.norm(pixel - MATRIX[:2, 2]) + 0.01


def test_cameras_are_where_robots_have_them():
    rng = np.random.default_rng(1)
    heights, distances, inside = [], [], []
    for kind in np.resize(scene.KINDS, 200):
        joints = _standing()
        view = scene.draw_view(joints, str(kind), (640, 480), rng)
        heights.append(view.position_m[0, 1])
        seen = view.to_camera(joints)
        assert np.allclose(np.linalg.norm(seen[0, 3] - seen[0, 7]),
                           np.linalg.norm(joints[0, 3] - joints[0, 7]))
        if kind == 'clean':
            middle = joints[15].mean(0)
            distances.append(np.linalg.norm(view.position_m[0] - middle))
            pixels = visibility.project(seen, view.matrix)[0]
            inside.append(visibility.is_inside(pixels, (640, 480)).mean())
    assert min(heights) >= 0.3 and max(heights) <= 2.0
    assert max(distances) < 9 and min(distances) > 0.6
    assert np.mean(inside) > 0.95


def test_the_t_pose_is_straight_and_keeps_the_bones():
    rest = open_skeleton().rest_joints_m[:24]
    rng = np.random.default_rng(2)
    bent = rest + rng.normal(size=(24, 3)) * 0.03
    turns = t_pose_rotmats(bent)
    joints = t_pose(bent, turns)
    assert np.allclose(turns @ np.swapaxes(turns, 1, 2), np.eye(3))
    for upper, lower in ((1, 4), (5, 8), (16, 18), (19, 21)):
        bone = joints[lower] - joints[upper]
        assert np.isclose(np.linalg.norm(bone), np.linalg.norm(bent[lower] - bent[upper]))
        axis = 1 if upper < 6 else 0
        assert np.isclose(abs(bone[axis]), np.linalg.norm(bone))
    assert np.allclose(rotmat_between(np.array([0, 2.0, 0]), (1, 0, 0)) @ (0, 1, 0), (1, 0, 0))


def test_joints_behind_a_known_occluder_are_not_visible():
    joints = open_skeleton().rest_joints_m * (1, -1, -1) + (0, 0, 3.0)
    depth_m = np.full(29, 0.05)
    identity = np.ones((480, 640), np.uint8)
    depth = np.full((480, 640), 2.95, np.float32)
    seen = visibility.visible_joints(joints, MATRIX, identity, depth, 1, depth_m)
    pixels = visibility.project(joints, MATRIX)
    assert seen.sum() > 20 and not seen[~visibility.is_inside(pixels, (640, 480))].any()
    identity[:, :320], depth[:, :320] = 100, 1.5
    left = pixels[:, 0] < 319
    now = visibility.visible_joints(joints, MATRIX, identity, depth, 1, depth_m)
    assert not now[left].any() and (now[~left] == seen[~left]).all() and left.sum() > 8
    # an arm of the person's own, half a metre in front
    identity[:], depth[:] = 1, 2.4
    assert not visibility.visible_joints(joints, MATRIX, identity, depth, 1, depth_m).any()


def test_hidden_percent_is_the_share_of_the_silhouette():
    y, x = np.mgrid[-0.2:0.2:60j, -0.2:0.2:60j]
    points = np.stack([x, y, np.full_like(x, 3.0)], -1).reshape(-1, 3)
    normals = np.tile((0.0, 0.0, -1.0), (len(points), 1))
    identity = np.ones((480, 640), np.uint8)
    assert visibility.hidden_percent(points, normals, MATRIX, identity, 1) == 0
    identity[240:] = 100
    assert abs(visibility.hidden_percent(points, normals, MATRIX, identity, 1) - 50) < 2
    # half of it beyond the left edge
    off = points - (1.92, 0, 0)
    assert abs(visibility.hidden_percent(off, normals, MATRIX, np.ones_like(identity), 1) - 50) < 4
    # what looks away from the camera does not count
    assert visibility.hidden_percent(points, -normals, MATRIX, identity, 1) == 100


def _observation(keypoints_px):
    return JointObservation(np.zeros((29, 3)), np.full(29, 0.2), keypoints_px,
                            np.array([0, 0, 1, 1.0]), 0.9, np.full(29, 3.0))


def test_the_observation_of_the_right_person_is_taken():
    true = visibility.project(open_skeleton().rest_joints_m * (1, -1, 1) + (0, 0, 4.0), MATRIX)
    other, mine = _observation(true + (150, 0)), _observation(true + 5)
    assert observation_of_person([other, mine], true) is mine
    assert observation_of_person([other], true) is None and observation_of_person([], true) is None
    out = observation_arrays([mine, None])
    np.testing.assert_array_equal(out['obs_uncorrected_m'][0], out['obs_joints_m'][0])
    assert out['obs_found'].tolist() == [True, False]
    assert np.isfinite(out['obs_joints_m'][0]).all() and np.isnan(out['obs_joints_m'][1]).all()
    assert np.allclose(out['obs_sigma'], [[0.2] * 29, [1.0] * 29])


def test_shards_are_written_whole_and_runs_refuse_to_mix(tmp_path):
    clips = [{'joints_m': np.full((4, 29, 3), float(k)), 'name': f'01_0{k}'} for k in range(3)]
    path = shards.shard_path(tmp_path, 'train', 0)
    shards.write_shard(path, clips)
    assert [p.name for p in tmp_path.iterdir()] == ['train-00000.npz']
    back = shards.read_shards(tmp_path, 'train')
    assert back['joints_m'].shape == (3, 4, 29, 3) and back['name'].tolist()[2] == '01_02'
    shards.start_run(tmp_path, {'split': 'train', 'seed': 0})
    shards.start_run(tmp_path, {'split': 'train', 'seed': 0})
    with pytest.raises(InputError, match="'seed': .0, 1."):
        shards.start_run(tmp_path, {'split': 'train', 'seed': 1})
    path.write_bytes(b'no shard')
    with pytest.raises(InputError, match=path.name):
        shards.read_shard(path)
    with pytest.raises(InputError, match="'val'"):
        shards.read_shards(tmp_path, 'val')


class _Picture:
    def __init__(self, value):
        self.image_rgb = np.full((48, 64, 3), value, np.uint8)
        self.identity = np.zeros((48, 64), np.uint8)
        self.identity[10:20] = 1


def test_shards_with_images_come_back(tmp_path):
    path = tmp_path / 'val-00000.tar'
    frames = [_Picture(40), _Picture(200)]
    keypoints = np.arange(2 * 29 * 2.0).reshape(2, 29, 2)
    write_image_shard(path, [(7, iter(frames), lambda: {'keypoints_px': keypoints, 'people': 1})])
    with tarfile.open(path) as tar:
        assert '000007-001.jpg' in tar.getnames() and '000007.npz' in tar.getnames()
    (found, images), = [(t, list(f)) for t, f in read_image_shard(path)]
    assert found['people'] == 1 and len(images) == 2
    assert abs(int(images[1].image_rgb.mean()) - 200) < 3
    assert images[0].mask[10:20].all() and images[0].mask.sum() == 640
    assert (images[1].keypoints_px == keypoints[1]).all()
    path.write_bytes(b'nothing')
    with pytest.raises(InputError, match=path.name):
        list(read_image_shard(path))


def test_a_lens_is_seeded_and_does_what_it_says():
    image = cv2.resize(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8), (640, 480))
    noisy = plain = 0
    for seed in range(30):
        first, second = (CameraEffects((640, 480), np.random.default_rng(seed)).apply(image)
                         for _ in range(2))
        assert (first == second).all() and first.shape == image.shape
        change = np.abs(first.astype(int) - image).mean()
        plain += change == 0
        noisy += change > 2
    assert plain >= 1 and noisy >= 10


def test_furniture_stands_between_camera_and_person():
    rng = np.random.default_rng(3)
    joints, hit = _standing(), 0
    for _ in range(40):
        view = scene.draw_view(joints, 'clean', (640, 480), rng)
        boxes = furniture.draw_furniture(joints, view, 1, rng)
        assert boxes
        hidden = False
        for frame in range(0, 30, 5):
            corners = furniture.triangles(boxes, view, frame)
            assert corners.shape == (36 * len(boxes), 13) and np.isfinite(corners).all()
            at = corners[corners[:, 2] > 0.1]
            box = visibility.project(at[:, :3], view.matrix)
            person = visibility.project(view.to_camera(joints)[frame], view.matrix)
            hidden |= len(at) > 0 and bool((
                (person > box.min(0)) & (person < box.max(0))).all(1).any())
        hit += hidden
    assert hit >= 30


class _Card:
    """A model whose whole mesh is one square, carried by the pelvis."""

    vertex_weights = np.tile(np.array([1, 0, 0, 0], np.float32), (4, 1))
    vertex_bones = np.zeros((4, 4), np.int32)
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 2, 1], [0, 3, 2]], np.int32)


@pytest.fixture
def renderer():
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    from niki_training.render.opengl import OpenGLRenderer
    try:
        renderer = OpenGLRenderer(_Card())
    except BackendError as error:
        pytest.skip(str(error))
    yield renderer
    renderer.close()


def _load_card(renderer, place_m):
    """Load the square and return the transform (1, 24, 3, 4) of every bone to ``place_m``."""
    square = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0.0]]) * 0.3
    flat = {'vertices': square, 'normals': np.tile((0, 0, -1.0), (4, 1)),
            'colour': np.full((4, 3), 0.8), 'colour2': np.full((4, 3), 0.8),
            'texture_at': np.zeros((4, 3))}
    renderer.load([flat], np.zeros((1, 128, 128), np.uint8), np.full((480, 640, 3), 90, np.uint8))
    bones = np.zeros((1, 24, 3, 4))
    bones[..., :3], bones[..., 3] = np.eye(3), place_m
    return bones


LIGHTS = {'light_to': np.eye(3)[:2], 'light_colour': np.zeros((2, 3)), 'sky': np.ones(3),
          'ground': np.ones(3), 'up': np.array([0, -1.0, 0]), 'gloss': 0.0}


def test_the_canvas_draws_where_the_camera_projects(renderer):
    bones = _load_card(renderer, (0.2, -0.1, 2.0))
    matrix = np.array([[480.0, 0, 300], [0, 510.0, 250], [0, 0, 1]])
    image, identity, depth = renderer.draw(matrix, LIGHTS, bones)
    rows, columns = np.nonzero(identity == 1)
    corners = Camera(matrix, 640, 480).project(np.array([(-0.1, -0.4, 2.0), (0.5, 0.2, 2.0)]))
    assert np.allclose([columns.min(), rows.min()], corners[0], atol=1)
    assert np.allclose([columns.max() + 1, rows.max() + 1], corners[1], atol=1)
    assert np.allclose(depth[identity == 1], 2.0, atol=2e-3)
    assert (image[identity == 0] == 90).all() and (image[identity == 1] == 204).all()


def test_what_stands_in_front_hides(renderer):
    bones = _load_card(renderer, (0, 0, 2.0))
    view = scene.View(MATRIX, np.eye(3)[None], np.zeros((1, 3)))
    box = furniture.Box(np.array([0.3, 0, 1.0]), np.full(3, 0.3), 0.0, np.zeros(3), 0)
    behind = furniture.Box(np.array([0, 0, 4.0]), np.full(3, 0.5), 0.0, np.zeros(3), 0, piece=1)
    _, alone, _ = renderer.draw(MATRIX, LIGHTS, bones)
    _, identity, depth = renderer.draw(MATRIX, LIGHTS, bones,
                                     furniture.triangles([box, behind], view, 0))
    assert (identity == furniture.FIRST_FURNITURE_ID).any()
    assert (identity[:, 321:] != 1).all()
    assert (identity[:, :319][alone[:, :319] == 1] == 1).all()
    assert abs(depth[240, 330] - 0.7) < 1e-3
