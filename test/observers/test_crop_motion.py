"""Crops move on with the people in them, so that they fit at low rates of the camera, too."""

from dataclasses import replace
from types import SimpleNamespace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.observers.crop import Crop
from niki_ros.observers.followed_person import CropMotion, CropMotionNumbers, FollowedPerson
from niki_ros.observers.person_network import CropEstimate
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np
import pytest

MS = 1_000_000


def view_at(x, roll_rad=0.2):
    return PersonView.towards(np.array([x, 0.1, 1.0]), 0.5, roll_rad)


def test_a_moved_view_has_the_same_width_and_roll():
    ray = np.array([0.3, -0.2, 1.0])
    moved = view_at(0.0).moved(ray)
    expected = PersonView.towards(ray, 0.5, 0.2)
    np.testing.assert_allclose(moved.camera_from_view, expected.camera_from_view, atol=1e-9)
    np.testing.assert_allclose(moved.middle_ray, ray / np.linalg.norm(ray), atol=1e-9)
    assert moved.width == 0.5


def moving():
    """Return the motion and the last crop of a person who moves by 0.1 in 80 ms."""
    motion, views = CropMotion(), [view_at(0.1 * i) for i in range(6)]
    for before, now in zip(views, views[1:]):
        motion = motion.after(before, now, 80 * MS)
    return motion, views[-1]


def test_a_crop_moves_on_with_the_person():
    motion, last = moving()

    def x_at(ms):
        ray = motion.moved(last, ms * MS).middle_ray
        return ray[0] / ray[2]
    assert x_at(0) == pytest.approx(0.5) and x_at(80) == pytest.approx(0.6, abs=0.03)
    assert 0.5 < x_at(20) < x_at(40) < x_at(80)


def test_a_motion_ends_in_a_gap_and_crops_never_leave_their_place_by_far():
    motion, last = moving()
    far = [motion.moved(last, gap_ms * MS).middle_ray[0] for gap_ms in (300, 5000)]
    assert far[0] == pytest.approx(far[1])
    apart = np.linalg.norm(motion.moved(last, 5000 * MS).middle_ray - last.middle_ray)
    assert apart <= CropMotionNumbers.max_ratio * last.width + 1e-6
    motion = motion.after(last, view_at(0.0), 2000 * MS)
    assert motion.moved(last, 80 * MS) is last


def test_crops_of_other_networks_stay_where_they_are():
    crop = Crop(np.array([100.0, 100.0]), 50.0)
    motion = CropMotion().after(crop, Crop(np.array([110.0, 100.0]), 50.0), 80 * MS)
    assert motion.moved(crop, 80 * MS) is crop


def estimate_at(x):
    view = view_at(x)
    seen = SimpleNamespace(box_px=np.array([10.0, 10.0, 60.0, 110.0]))
    return CropEstimate(seen, 1.0, view, np.zeros((4, 2)))


def test_an_estimate_that_is_taken_back_moves_no_crop():
    one = FollowedPerson(1, view_at(0.0), np.array([10.0, 10.0, 60.0, 110.0]), 0, 0)
    for i in range(1, 4):
        one.update(estimate_at(0.0), i * 33 * MS, 0.5)
    one.update(estimate_at(0.3), 4 * 33 * MS, 0.5)
    one.take_back()
    np.testing.assert_allclose(one.crop_at(5 * 33 * MS).middle_ray, view_at(0.0).middle_ray)


def test_a_crop_that_is_not_finite_is_forgotten():
    nan = replace(view_at(0.0), camera_from_view=np.full((3, 3), np.nan))
    motion = CropMotion().after(view_at(0.0), nan, 80 * MS)
    assert not motion.velocity.any()


def test_the_crop_of_a_person_who_walks_fits_at_twelve_images_a_second(monkeypatch):
    picture = np.ascontiguousarray(np.pad(check_images()[3].image_rgb, ((0, 0), (0, 300), (0, 0)),
                                          mode='edge'))
    camera = Camera.from_fov(picture.shape[1], picture.shape[0], 60.0)
    observer = load_observer(PipelineConfig())
    crops, off_px, step_px = [], [], 18
    run = observer.network.estimate

    def estimate(image_rgb, camera, views):
        crops.extend(views)
        return run(image_rgb, camera, views)
    monkeypatch.setattr(observer.network, 'estimate', estimate)
    for i in range(9):
        image = np.ascontiguousarray(np.roll(picture, i * step_px, axis=1))
        crops.clear()
        seen = observer.observe(image, camera, i * 83 * MS)
        hips = seen[0].keypoints_px[[1, 2]].mean(0)
        off_px.append(abs(camera.project(crops[-1].middle_ray) - hips)[0])
    observer.close()
    assert max(off_px[4:]) < 0.5 * step_px, 'without it the whole step'
