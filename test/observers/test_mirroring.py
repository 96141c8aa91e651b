"""Crops that are mirrored in turn, and the difference that mirroring makes."""

from dataclasses import replace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.mirroring import Alternation, FollowedView, Output
from niki_ros.observers.person_network import Workload
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

LEFT_RIGHT, OTHERS = np.array([[0], [1]]), np.array([1, 0, 2])
START = np.array([[0.2, 0.0, 0.0], [-0.2, 0.0, 0.0], [0.0, -0.5, 0.1]])
SPEED_PER_S = np.array([0.4, 0.1, 0.0])
HALF = np.array([[0.01, 0.0, 0.02], [0.01, -0.01, 0.0], [0.0, 0.01, -0.02]])


def moving(stamps_ns, sides=1.0):
    """Yield truth (3, 3) and the output of a network that errs by ±HALF in turn."""
    for number, stamp_ns in enumerate(stamps_ns):
        true = START * [sides, 1, 1] + SPEED_PER_S * stamp_ns * 1e-9
        sign = 1.0 if number % 2 else -1.0
        yield true, Output(true + sign * HALF, sign > 0, stamp_ns, 1.0)


@pytest.mark.parametrize('gaps_ms', [[33] * 8, [33, 33, 66, 33, 33, 100, 33, 33], [17] * 8])
def test_steady_motion_is_found_from_the_third_image_on(gaps_ms):
    alternation, errors = Alternation(), []
    for true, output in moving(1_000_000 * np.cumsum(gaps_ms)):
        points, alternation = alternation.step(output, LEFT_RIGHT, OTHERS)
        errors.append(np.abs(points - true).max())
    assert min(errors[:2]) > 0.01
    assert max(errors[2:]) < (0.01 if max(gaps_ms) > 33 else 1e-12)


def test_where_front_and_back_are_confused_outputs_stay_as_they_are():
    alternation = Alternation()
    stamps = 33_333_333 * np.arange(1, 7)
    front, back = moving(stamps), moving(stamps, sides=-1.0)
    for number, ((_, one), (_, other)) in enumerate(zip(front, back)):
        output = other if number % 2 else one
        points, alternation = alternation.step(output, LEFT_RIGHT, OTHERS)
        np.testing.assert_array_equal(points, output.points)


def test_while_the_person_in_the_crop_changes_nothing_is_mirrored():
    alternation, mirrored = Alternation(), []
    for number, (_, output) in enumerate(moving(33_333_333 * np.arange(1, 40))):
        other = np.array([0.3, 0.0, 0.0]) * (5 <= number < 9)
        now = output._replace(points=output.points + other,
                              is_mirrored=number > 0 and alternation.next_is_mirrored)
        points, alternation = alternation.step(now, LEFT_RIGHT, OTHERS)
        if number in (5, 9):
            np.testing.assert_array_equal(points, now.points)
        mirrored.append(alternation.next_is_mirrored)
    assert mirrored[:5] == [True, False, True, False, True]
    assert not any(mirrored[6:22])
    assert any(mirrored[25:])


def camera_of(person):
    height, width = person.image_rgb.shape[:2]
    return Camera.from_fov(width, height, 60.0)


def followed(network, person):
    """Return the camera, and the crop of a person who has been followed for an image."""
    camera = camera_of(person)
    crop = network.crop_of(person.boxes_px[0], camera)
    for stamp_ns in (1, 1, 1, 33_333_333):
        network.set_workload(Workload(stamp_ns, 1, None, 0.0))
        seen, = network.estimate(person.image_rgb, camera, [crop])
        crop = seen.next_crop
    return camera, crop


def test_a_mirrored_crop_shows_the_same_person():
    network = LandmarkNetwork(find_model('landmarks-full').path)
    for person in check_images()[:3]:
        camera, crop = followed(network, person)
        assert isinstance(crop, FollowedView) and crop.is_mirrored
        network.set_workload(Workload(66_666_666, 1, None, 0.0))
        plain, mirrored = network.estimate(
            person.image_rgb, camera, [replace(crop, is_mirrored=False), crop])
        assert mirrored.presence > 0.9 and not mirrored.next_crop.is_mirrored
        limbs = JOINT_OF_KEYPOINT[:12]
        off_px = np.linalg.norm(mirrored.observation.keypoints_px[limbs]
                                - plain.observation.keypoints_px[limbs], axis=1)
        off_m = np.linalg.norm(mirrored.observation.joints_m[limbs]
                               - plain.observation.joints_m[limbs], axis=1)
        assert np.median(off_px) < 0.1 * np.ptp(person.boxes_px[0][1::2])
        assert 0 < np.median(off_m) < 0.2
    network.close()


def three_estimates(network, person):
    """Return the estimates of a followed person in a crop, in its mirror image, and in both."""
    camera, crop = followed(network, person)
    crops = [replace(crop, alternation=replace(crop.alternation, half=None), is_mirrored=mirrored)
             for mirrored in (False, True)]
    network.set_workload(Workload(66_666_666, 1, None, 0.0))
    alone = network.estimate(person.image_rgb, camera, crops)
    network.set_workload(Workload(66_666_666, 1, None, 0.0, runs=2))
    return [*alone, *network.estimate(person.image_rgb, camera, crops[:1])]


def test_where_there_is_time_the_result_is_the_mean_of_both():
    """Of some people in rendered images front and back are confused in one of the two."""
    network = LandmarkNetwork(find_model('landmarks-full').path)
    are_means = []
    for person in check_images()[:4]:
        found = three_estimates(network, person)
        plain_px, mirrored_px, both_px = (one.observation.keypoints_px[JOINT_OF_KEYPOINT[:12]]
                                          for one in found)
        are_means.append(np.abs(both_px - (plain_px + mirrored_px) / 2).max() < 0.5)
        if are_means[-1]:
            assert found[2].presence == max(found[0].presence, found[1].presence)
        else:
            assert min(np.abs(both_px - plain_px).max(), np.abs(both_px - mirrored_px).max()) < 0.5
    assert any(are_means)
    network.close()


@pytest.mark.parametrize('turned', ['plain', 'mirrored'])
def test_of_two_contradicting_outputs_the_one_like_the_image_before_is_used(monkeypatch, turned):
    """One of the two takes the back of the person for the front."""
    network = LandmarkNetwork(find_model('landmarks-full').path)
    person = check_images()[0]
    run = network.engine.run

    def confused(inputs):
        outputs = {name: array.copy() for name, array in run(inputs).items()}
        if len(inputs['image']) == 2:
            world = outputs['world'][int(turned == 'mirrored')].reshape(-1, 3)
            world[:, [0, 2]] *= -1.0
        return outputs
    *_, undisturbed = three_estimates(network, person)
    monkeypatch.setattr(network.engine, 'run', confused)
    network.set_workload(Workload(99_999_999, 1, None, 0.0, runs=2))
    seen, = network.estimate(person.image_rgb, camera_of(person), [undisturbed.next_crop])
    off_m = np.linalg.norm(seen.observation.joints_m - undisturbed.observation.joints_m, axis=1)
    assert np.median(off_m) < 0.1
    network.close()
