"""A second look at people next to others."""

from niki_ros.body.skeleton import JOINT
from niki_ros.observers.followed_person import FollowedPerson
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.second_look import SecondLook
import numpy as np
import pytest
from scenes import observe_body, T_POSE

TRUNK = JOINT['spine2']
STEP_NS = 33_000_000


class Network:
    """Returns the estimates of a list in turn, then the last one, and keeps the images."""

    def __init__(self, *estimates):
        self.estimates, self.images = list(estimates), []

    def estimate(self, image_rgb, camera, crops):
        self.images.append(image_rgb)
        return [self.estimates.pop(0) if len(self.estimates) > 1 else self.estimates[0]
                for _ in crops]


@pytest.fixture
def seen(camera):
    def at(x_m, z_m=4.0, presence=1.0):
        return CropEstimate(observe_body(T_POSE, np.array([x_m, 0.0, z_m]), camera, sigma=0.1),
                            presence, None)
    return at


def followed(number, estimate):
    one = FollowedPerson(number, None, np.asarray(estimate.observation.box_px), 0, 0)
    one.update(estimate, STEP_NS, 0.5)
    return one


def looked_at(network, people, estimates, camera):
    image = np.random.default_rng(0).integers(0, 255, (camera.height, camera.width, 3), np.uint8)
    return image, SecondLook(network, 0.5).improved(image, camera, people, estimates, 2 * STEP_NS)


def test_sure_people_are_looked_at_once(seen, camera):
    network = Network()
    now = [seen(0.02), seen(0.52)]
    _, result = looked_at(network, [followed(1, seen(0.0)), followed(2, seen(0.5))], now, camera)
    assert result == now and not network.images


def test_nobody_is_painted_over_where_people_are_apart(seen, camera):
    network = Network()
    now = [seen(-2.0, presence=0.6), seen(2.0)]
    _, result = looked_at(network, [followed(1, seen(-2.0)), followed(2, seen(2.0))], now, camera)
    assert result == now and not network.images


def test_who_jumps_onto_another_is_looked_at_without_the_other(seen, camera):
    again, unsure = seen(0.02), seen(0.5, presence=0.1)
    network = Network(again, unsure)
    people = [followed(1, seen(0.0)), followed(2, seen(0.5))]
    image, result = looked_at(network, people, [seen(0.5), seen(0.5)], camera)
    assert result[0] is again and result[1].observation.box_px[0] > again.observation.box_px[0]
    painted = network.images[0]
    off = (painted != image).any(axis=-1)
    other = seen(0.5).observation.keypoints_px[TRUNK].astype(int)
    assert off[other[1], other[0]] and not off[:10].any() and 0 < off.mean() < 0.5


def test_the_own_body_is_kept_where_the_first_look_does_not_fit(seen, camera):
    again = seen(0.02)
    network = Network(seen(0.02, presence=0.1), again, seen(0.15, presence=0.1))
    people = [followed(1, seen(0.0)), followed(2, seen(0.15))]
    image, result = looked_at(network, people, [seen(0.15), seen(0.15)], camera)
    own = seen(0.0).observation.keypoints_px[TRUNK].astype(int)
    without_own, with_own = ((one != image).any(axis=-1)[own[1], own[0]]
                             for one in network.images[:2])
    assert result[0] is again and without_own and not with_own


def test_an_estimate_that_fits_no_better_is_not_used(seen, camera):
    now = [seen(0.02, presence=0.7), seen(0.52)]
    network = Network(seen(0.5), seen(0.5))
    _, result = looked_at(network, [followed(1, seen(0.0)), followed(2, seen(0.5))], now, camera)
    assert result == now and len(network.images) == 2


def test_two_people_at_most_are_looked_at_again(seen, camera):
    places = [0.0, 0.3, 0.6, 0.9]
    network = Network(*[seen(0.0, presence=0.1)] * 8)
    people = [followed(i, seen(x)) for i, x in enumerate(places)]
    looked_at(network, people, [seen(x, presence=0.6) for x in places], camera)
    assert len(network.images) == 4


def test_people_without_an_estimate_are_painted_over_outside_the_own_box():
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    mine, other = (FollowedPerson(number, None, np.array(box, float), 0, 0)
                   for number, box in enumerate([(20, 10, 40, 50), (30, 0, 70, 55)]))
    painted = SecondLook(Network(), 0.5).painted(image, mine, [other])
    assert np.array_equal(painted[10:50, 20:40], image[10:50, 20:40])
    assert np.ptp(painted[0:55, 45:70].reshape(-1, 3), axis=0).max() == 0
    assert np.array_equal(painted[:, :20], image[:, :20]) and (painted != image).any()
