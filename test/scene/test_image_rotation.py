"""Rotation of images and bodies for cameras mounted upside down or on their side."""

import cv2
from niki_ros import load_pipeline
from niki_ros.common.errors import InputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.scene.camera import Camera, rotmat_from_quarter_turns
from niki_ros.scene.ground import Ground
from niki_ros.scene.image_rotation import ImageRotation, quarter_turns_by_gravity
import numpy as np
import pytest
from scenes import CAM01, clip_images, measured_clip

T0, PERIOD_NS = 10**9, 33_000_000
MATRIX = np.array([[900.0, 0, 305.0], [0, 880.0, 261.0], [0, 0, 1]])
LENSES = [('plumb_bob', [-0.3, 0.12, 0.004, -0.006, 0.01]), ('equidistant', [0.1, -0.05, 0, 0]),
          ('rational_polynomial', [0.2, -0.1, 1e-3, 2e-3, 0.01, 0.1, 0.02, 0, 0.01, 0, 0.02, 0,
                                   0.01, 0.02])]


@pytest.mark.parametrize('quarters', [1, 2, 3])
@pytest.mark.parametrize(('model', 'numbers'), LENSES, ids=lambda one: str(one)[:12])
def test_projection_into_the_rotated_image(model, numbers, quarters):
    camera = Camera(MATRIX, 640, 480, np.array(numbers), model)
    points = np.array([[0.3, -0.2, 2.0], [-0.5, 0.3, 2.5], [0.05, 0.3, 1.5]])
    image = np.zeros((480, 640), np.uint8)
    pixels = np.round(camera.project(points)).astype(int)
    image[pixels[:, 1], pixels[:, 0]] = [50, 100, 150]
    turn = ImageRotation(quarters, 640, 480)
    upright, other = turn.image(image), turn.camera(camera)
    assert upright.shape[::-1] == turn.size == (other.width, other.height)
    assert np.array_equal(upright, np.rot90(image, -quarters))
    there = np.stack(np.nonzero(upright)[::-1], axis=-1)
    found = other.project(points @ turn.upright_from_camera.T)
    order = np.argsort(upright[there[:, 1], there[:, 0]])
    assert np.abs(found - there[order]).max() <= 0.501
    rays = other.rays(found)
    assert np.abs(rays[:, :2] * points[:, 2:] - (points @ turn.upright_from_camera.T)[:, :2]
                  ).max() < 1e-5


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_boxes_and_ground(quarters):
    turn = ImageRotation(quarters, 640, 480)
    image = np.zeros((480, 640), np.uint8)
    image[100:180, 30:60] = 1
    x0, y0, x1, y1 = (int(value) for value in turn.boxes(np.array([[30, 100, 60, 180]]))[0])
    upright = turn.image(image)
    assert upright[y0:y1, x0:x1].all() and upright.sum() == (y1 - y0) * (x1 - x0)
    ground = Ground(np.array([0.1, -0.9, 0.3]), 1.2)
    point = np.array([0.4, 0.5, 3.0])
    assert turn.ground(ground).heights(turn.upright_from_camera @ point) == pytest.approx(
        ground.heights(point))


@pytest.mark.parametrize(('up', 'quarters'), [
    ((0, -1, 0), 0), ((0, -1, 0.9), 0), ((1, 0, 0), 3), ((0, 2, 0), 2), ((-1, 0, -0.5), 1),
    ((0.6, -0.8, 0), 0), ((0, 0.1, 1), 0)])
def test_quarter_turns_by_gravity(up, quarters):
    assert quarter_turns_by_gravity(up, 0) == quarters
    # up points to the top of the rotated image
    if quarters or up[1] < 0:
        x, y, _ = rotmat_from_quarter_turns(quarters) @ up
        assert y < 0 and abs(x) <= abs(y)


def test_rotation_has_hysteresis():
    """At 45 degrees both rotations fit: the last one stays until the other is clearly better."""
    seen, quarters = [], 0
    for angle in np.radians([0, 40, 50, 44, 50, 60, 50, 44, 40, 30, 0]):
        quarters = quarter_turns_by_gravity((np.sin(angle), -np.cos(angle), 0), quarters)
        seen.append(quarters)
    assert seen == [0, 0, 0, 0, 0, 3, 3, 3, 3, 0, 0]
    with pytest.raises(InputError):
        quarter_turns_by_gravity((0, np.nan, 1), 0)


def test_the_setting_takes_numbers():
    assert apply_settings(PipelineConfig(), {'image_rotation': 90}).image_rotation == '90'
    assert apply_settings(PipelineConfig(), {'image_rotation': 'auto'}).image_rotation == 'auto'


@pytest.fixture(scope='module')
def clip():
    camera = Camera(CAM01.matrix, 1088, 1920, np.array([-0.05, 0.09, 0.001, 0.0005, 0]))
    return clip_images(measured_clip('cam01.mp4'), 12, (544, 960)), camera.resized(544, 960)


def bodies_of(frames, camera, change=None, **settings):
    """Return bodies of every image, nearest first, and description and faults of the pipeline."""
    pipeline = load_pipeline(**{'observer.model': 'lite', **settings})
    said = []
    for index, image in enumerate(frames):
        given = {} if change is None else change(index)
        bodies = pipeline.process(image, camera, T0 + index * PERIOD_NS, **given)
        said.append(sorted(bodies, key=lambda body: body.root_m[2]))
    about, faults = pipeline.describe(), dict(pipeline.faults)
    pipeline.close()
    return said, about, faults


@pytest.fixture(scope='module')
def upright_bodies(clip):
    return bodies_of(*clip)[0]


@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_bodies_of_a_rotated_camera(clip, upright_bodies, degrees):
    frames, camera = clip
    # images that a clockwise turn by ``degrees`` makes upright
    hung = ImageRotation(4 - degrees // 90, 544, 960)
    found, about, _ = bodies_of([hung.image(image) for image in frames], hung.camera(camera),
                                image_rotation=degrees)
    assert about['image_rotation'] == str(degrees)
    turn = hung.upright_from_camera
    for bodies, wanted in zip(found, upright_bodies):
        assert [body.id for body in bodies] == [body.id for body in wanted]
        for body, true in zip(bodies, wanted):
            assert np.abs(body.joints_m @ turn - true.joints_m).max() < 1e-3
            assert np.abs(body.root_m @ turn - true.root_m).max() < 1e-3
            assert np.abs(turn.T @ body.rotmat[0] - true.rotmat[0]).max() < 1e-3
            assert np.array_equal(body.status, true.status)
            pixels = hung.camera(camera).project(body.joints_m)
            seen = np.isfinite(body.keypoints_px).all(1) & np.append(body.status == 0, [False] * 5)
            assert np.median(np.linalg.norm(pixels - body.keypoints_px, axis=1)[seen]) < 15
    assert sum(map(len, found)) >= 10


def test_auto_follows_a_rolling_camera(clip):
    """The camera rolls onto its side within a second: one rotation, the same id and position."""
    image, camera = clip[0][0], Camera(clip[1].matrix, 544, 960)
    centre = camera.matrix[:2, 2]
    pipeline = load_pipeline(**{'observer.model': 'lite', 'image_rotation': 'auto'})
    nearest, said = [], []
    for index, degrees in enumerate([0] * 6 + list(range(0, 96, 6))):
        roll = cv2.getRotationMatrix2D(tuple(centre), -degrees, 1.0)
        rolled = cv2.warpAffine(image, roll, (544, 960), borderMode=cv2.BORDER_REPLICATE)
        angle = np.radians(degrees)
        up = np.array([np.sin(angle), -np.cos(angle), 0.1])
        bodies = pipeline.process(rolled, camera, T0 + index * PERIOD_NS, up=up)
        said.append(pipeline.describe()['image_rotation'])
        body = min(bodies, key=lambda body: body.root_m[2])
        back = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                         [0, 0, 1.0]])
        nearest.append((body.id, body.root_m @ back, body.root_source))
    pipeline.close()
    assert said == sorted(said) and {'0 (auto)', '270 (auto)'} == set(said)
    assert len({number for number, _, _ in nearest}) == 1
    roots = np.stack([root for _, root, _ in nearest])
    assert np.abs(roots - roots[5]).max() < 0.4, roots


def test_auto_without_gravity_is_a_fault(clip):
    frames, camera = clip
    _, about, faults = bodies_of(frames[:1], camera, image_rotation='auto')
    assert about['image_rotation'] == '0 (auto)' and 'gravity' in faults['image_rotation_unknown']
