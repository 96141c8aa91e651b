"""The default front end on real video: accuracy and reproducibility."""

import cv2
from niki_ros.common.errors import InputError, ModelError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.model_store import find_model
from niki_ros.observers import load_observer
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import clip_images, shared_folder

FRAMES = 40
LIMBS = np.array([1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21])
"""Hips, knees, ankles, shoulders, elbows, wrists; left before right."""


def observer_of(**settings):
    return load_observer(apply_settings(PipelineConfig(), {
        name.replace('__', '.'): value for name, value in settings.items()}))


@pytest.fixture(scope='module')
def trial():
    """Return images, camera and true limb joints (frames, 12, 3) of a measured clip."""
    video_truth = pytest.importorskip('niki_training.evaluate.video_truth')
    folder = shared_folder() / 'data' / 'pose2sim'
    name, seen = sorted(video_truth.read_calibration(folder / 'calibration.toml').items())[3]
    truth = video_truth.limb_joints(video_truth.read_trc(folder / 'balancing_trial.trc'))
    return clip_images(folder / 'cam04.mp4', FRAMES), seen.camera, seen.from_world(truth[:FRAMES])


def observed(observer, images, camera):
    return [observer.observe(image, camera, i * 16_666_667 + 1) for i, image in enumerate(images)]


@pytest.fixture(scope='module')
def seen(trial):
    observer = observer_of()
    found = observed(observer, *trial[:2])
    observer.close()
    return found


def test_person_is_followed_in_every_image(seen):
    assert all(seen)
    assert len({people[0].follower for people in seen}) == 1


def test_error_of_the_joints(trial, seen):
    """Mean error of twelve limb joints about the hips; the graph alone has 116 mm here."""
    _, camera, truth = trial
    errors, pixels = [], []
    for people, true in zip(seen, truth):
        joints = people[0].joints_m[LIMBS]
        hips, true_hips = joints[:2].mean(0), true[:2].mean(0)
        errors.append(np.linalg.norm((joints - hips) - (true - true_hips), axis=1).mean())
        off = people[0].keypoints_px[LIMBS] - camera.project(true)
        pixels.append(np.median(np.linalg.norm(off, axis=1)) / np.ptp(
            camera.project(true), axis=0).max())
    assert np.mean(errors) < 0.130
    assert np.mean(pixels) < 0.04, 'in shares of the size in the image'


def test_observations_are_complete(seen):
    for one in seen[0]:
        assert one.joints_m.shape == (29, 3) and not one.joints_m[0].any()
        assert ((one.sigma_200mm >= 0) & (one.sigma_200mm <= 1)).all()
        assert (one.keypoint_sigma_px > 0).all()
        assert (one.box_px[2:] > one.box_px[:2]).all() and 0 <= one.score <= 1
        assert one.lengths_m.shape == (34,) and one.own_joints_m.shape == (29, 3)


def test_results_are_the_same_after_a_reset(trial, seen):
    images, camera, _ = trial
    observer = observer_of()
    for _ in range(2):
        again = observed(observer, images[:8], camera)
        for people, before in zip(again, seen):
            assert len(people) == len(before)
            for one, other in zip(people, before):
                np.testing.assert_array_equal(one.joints_m, other.joints_m)
                np.testing.assert_array_equal(one.keypoints_px, other.keypoints_px)
        observer.reset()
    observer.close()


@pytest.mark.parametrize('degrees', [-30, 35, 60])
def test_leaning_person_is_rotated_upright(trial, degrees):
    """The camera is rolled: other pixels, the same body."""
    images, camera, _ = trial
    side, angle = 2200, np.radians(degrees)
    roll = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0],
                     [0, 0, 1]])
    focal = camera.matrix[0, 0]
    rolled = Camera(np.array([[focal, 0, side / 2], [0, focal, side / 2], [0, 0, 1]]), side, side)
    warp = rolled.matrix @ roll @ np.linalg.inv(camera.matrix)
    corners = np.array([[250, 400, 1], [800, 400, 1], [800, 1500, 1], [250, 1500, 1.0]]) @ warp.T
    corners = corners[:, :2] / corners[:, 2:]
    boxes = [[250, 400, 800, 1500]], [[*corners.min(0), *corners.max(0)]]
    observer, last = observer_of(observer__detector=''), []
    for frames, lens, box in ((images[:6], camera, boxes[0]),
                              ([cv2.warpPerspective(image, warp, (side, side))
                                for image in images[:6]], rolled, boxes[1])):
        observer.reset()
        for i, image in enumerate(frames):
            seen = observer.observe(image, lens, i * 16_666_667 + 1, box if i == 0 else None)
        last.append(seen[0].joints_m)
    observer.close()
    apart = np.linalg.norm(last[1] @ roll - last[0], axis=1)
    assert np.median(apart) < 0.1


@pytest.mark.parametrize('shape', [(1, 1, 3), (7, 500, 3), (480, 640, 3), (2000, 9, 3)])
def test_images_of_any_size_without_people(shape):
    observer = observer_of()
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    for i in range(3):
        assert observer.observe(image, None, i + 1) == []
    observer.close()


@pytest.mark.parametrize('image', [
    np.zeros((10, 10), np.uint8), np.zeros((10, 10, 3), np.float32),
    np.zeros((0, 5, 3), np.uint8)])
def test_other_arrays_than_images_are_refused(image):
    observer = observer_of(observer__detector='')
    with pytest.raises(InputError, match='uint8'):
        observer.observe(image, None, 1)
    observer.close()


def test_another_kind_of_model_is_refused():
    with pytest.raises(ModelError, match='nanodet'):
        LandmarkNetwork(find_model('people').path)


def test_boxes_outside_the_image():
    observer = observer_of()
    image = np.full((480, 640, 3), 120, np.uint8)
    boxes = [(-500, -500, -400, -400), (-50, -50, 50, 50), (600, 400, 900, 900), (1, 1, 2, 2),
             (0, 0, 640, 480), (1e7, 1e7, 2e7, 2e7)]
    for i in range(3):
        assert observer.observe(image, None, i + 1, boxes) == []
    observer.close()
