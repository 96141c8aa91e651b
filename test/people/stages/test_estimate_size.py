"""The estimate of a body's proportions over time."""

from dataclasses import replace

from niki_ros.body.shape import PAIRS
from niki_ros.body.skeleton import open_skeleton
from niki_ros.people.body_shape import BodyShape
import numpy as np
from scenes import observe_body, random_pose


def test_body_shape_settles_on_the_true_one_and_moves_in_steps(camera):
    rng = np.random.default_rng(0)
    true = np.zeros(10)
    true[:3] = [1.2, -0.8, 0.5]
    shape, skeleton = BodyShape(open_skeleton()), open_skeleton()
    lengths = []
    for pose in random_pose(rng, 120):
        seen = observe_body(pose, np.array([0, 0, 3.0]), camera, true, sigma=0.1)
        seen.joints_m = seen.joints_m + rng.normal(size=(29, 3)).astype(np.float32) * 0.02
        lengths.append(skeleton.bone_lengths(shape.update(seen, 1 / 30)))
    error = np.abs(lengths[-1] - skeleton.bone_lengths(true))
    mean = np.abs(skeleton.bone_lengths() - skeleton.bone_lengths(true))
    # not all the way: a front end's own scale is not known better than people's sizes
    assert shape.settled and error.max() < 0.025 and error.sum() < 0.6 * mean.sum()
    steps = np.abs(np.diff(lengths, axis=0)).max(axis=1)
    assert 1 <= (steps > 0).sum() <= 6, 'few steps: a URDF is published with each'


def test_a_cut_off_view_counts_until_a_whole_one_and_not_after(camera):
    skeleton = open_skeleton()
    shape, size = BodyShape(skeleton), skeleton.bone_lengths
    pose = random_pose(np.random.default_rng(0))[0]
    tall, small = np.eye(10)[0] * 1.5, np.eye(10)[0] * -1.5
    cut_off = observe_body(pose, np.array([0, 0, 3.0]), camera, tall)
    cut_off.sigma_200mm[[7, 8]] = 1.0
    for _ in range(50):
        size_of_half = size(shape.update(cut_off, 1 / 30)).sum()
    assert size(None).sum() < size_of_half < size(tall).sum()
    whole = observe_body(pose, np.array([0, 0, 3.0]), camera, small)
    for _ in range(100):
        shape.update(whole, 1 / 30)
    assert size(shape.betas).sum() < size(None).sum()
    known = shape.betas.copy()
    for _ in range(100):
        assert (shape.update(cut_off, 1 / 30) == known).all()


def test_lengths_of_a_front_end_count_for_less_than_joints_without_lengths(camera):
    skeleton = open_skeleton()
    pose, tall = random_pose(np.random.default_rng(0))[0], np.eye(10)[0] * 2
    seen = observe_body(pose, np.array([0, 0, 3.0]), camera, tall, sigma=0.02)
    measured = replace(seen, lengths_m=np.linalg.norm(np.diff(
        seen.joints_m[PAIRS], axis=1)[:, 0], axis=1), length_sigma_m=np.full(34, 0.01))
    sizes = []
    for one in (seen, measured):
        shape = BodyShape(skeleton)
        for _ in range(100):
            shape.update(one, 1 / 30)
        sizes.append(skeleton.bone_lengths(shape.betas).sum())
    mean, true = skeleton.bone_lengths(None).sum(), skeleton.bone_lengths(tall).sum()
    assert mean < sizes[1] < sizes[0] and abs(sizes[0] / true - 1) < 0.01


def test_many_noisy_views_do_not_draw_the_size_towards_the_mean_body(camera):
    rng = np.random.default_rng(1)
    skeleton = open_skeleton()
    for first_beta in (-2.5, 2.5):
        true = np.eye(10)[0] * first_beta
        shape = BodyShape(skeleton)
        for pose in random_pose(rng, 60):
            seen = observe_body(pose, np.array([0, 0, 3.0]), camera, true, sigma=0.2)
            noise_m = rng.normal(size=(29, 3)).astype(np.float32) * 0.04
            shape.update(replace(seen, joints_m=seen.joints_m + noise_m), 1 / 30)
        ratio = skeleton.bone_lengths(shape.betas).sum() / skeleton.bone_lengths(true).sum()
        mean_ratio = skeleton.bone_lengths().sum() / skeleton.bone_lengths(true).sum()
        assert abs(ratio - 1) < 0.4 * abs(mean_ratio - 1)


def test_a_view_that_lasts_no_time_changes_nothing(camera):
    seen = observe_body(random_pose(np.random.default_rng(0))[0], np.array([0, 0, 3.0]), camera,
                        sigma=0.02)
    seen = replace(seen, lengths_m=np.full(34, 0.2), length_sigma_m=np.full(34, 0.01))
    shape = BodyShape(open_skeleton())
    known = shape.update(seen, 1 / 30).copy()
    for _ in range(3):
        assert (shape.update(seen, 0.0) == known).all()
