"""People are recognised by their colours after they have been close to each other."""

from niki_ros.body.skeleton import JOINT
from niki_ros.common.replace import replace
from niki_ros.observers.appearance import Appearance
from niki_ros.observers.followed_person import FollowedPerson, without_duplicates
from niki_ros.observers.person_network import CropEstimate
from niki_ros.observers.recognition import exchange_mistaken, recognise
import numpy as np
import pytest
from scenes import observe_body, T_POSE

STEP_NS, SECOND_NS = 33_000_000, 10**9
RED, BLUE = (200, 30, 40), (30, 60, 200)


@pytest.fixture
def seen(camera):
    def at(x_m):
        return observe_body(T_POSE, np.array([x_m, 0.0, 4.0]), camera, sigma=0.1)
    return at


def painted(camera, *people):
    """Return an image with the trunk and thighs of observations in a colour each."""
    image = np.full((camera.height, camera.width, 3), 90, np.uint8)
    for one, colour in people:
        points = one.keypoints_px[[JOINT['left_shoulder'], JOINT['right_shoulder'],
                                   JOINT['left_knee'], JOINT['right_knee']]]
        low, high = points.min(0).astype(int) - 2, points.max(0).astype(int) + 3
        image[low[1]:high[1], low[0]:high[0]] = colour
    return image


def followed(number, observation):
    one = FollowedPerson(number, None, np.asarray(observation.box_px), 0, 0)
    return update(one, observation, 0)


def update(one, observation, stamp_ns):
    one.update(CropEstimate(observation, 1.0, None), stamp_ns, 0.5)
    return one


def test_colours_tell_people_apart_and_brightness_hardly_does(seen, camera):
    one, other = seen(0.0), seen(1.5)
    image = painted(camera, (one, RED), (other, BLUE))
    red, blue = (Appearance.of(person, image) for person in (one, other))
    darker = Appearance.of(one, (image * 0.8).astype(np.uint8))
    assert red.difference(red) == 0.0
    assert red.difference(blue) > 3 * red.difference(darker) > 0.0


def test_what_is_hidden_or_outside_the_image_has_no_colour(seen, camera):
    one = seen(0.0)
    image = painted(camera, (one, RED))
    sigma = np.array(one.sigma_200mm)
    sigma[[JOINT['left_hip'], JOINT['left_knee']]] = 1.0
    nothing = Appearance.of(replace(one, sigma_200mm=sigma), image)
    outside = Appearance.of(seen(40.0), image)
    whole = Appearance.of(one, image)
    assert np.isnan(nothing.colours).all() and np.isnan(outside.colours).all()
    assert np.isnan(whole.difference(nothing)) and np.isnan(whole.difference(None))


def close_pair(seen, camera, colour=BLUE):
    """Return a red and another person, who are next to each other now; with the image."""
    one, other = followed(1, seen(0.0)), followed(2, seen(1.85))
    recognise([one, other], painted(camera, (seen(0.0), RED), (seen(1.85), colour)), 0)
    update(other, seen(0.5), SECOND_NS)
    image = painted(camera, (seen(0.0), RED), (seen(0.5), colour))
    recognise([one, other], image, SECOND_NS)
    return one, other, image


def observe_exchanged(seen, one, other, image, count):
    """Observe each in the other one's place in images of this number."""
    for step in range(1, count + 1):
        stamp_ns = SECOND_NS + step * STEP_NS
        update(one, seen(0.5), stamp_ns)
        update(other, seen(0.0), stamp_ns)
        recognise([one, other], image, stamp_ns)
        exchange_mistaken([one, other], stamp_ns)


def test_people_in_each_others_place_exchange_their_numbers(seen, camera):
    one, other, image = close_pair(seen, camera)
    observe_exchanged(seen, one, other, image, 2)
    assert (one.number, other.number) == (2, 1)
    stamp_ns = SECOND_NS + 2 * STEP_NS
    recognise([one, other], image, stamp_ns)
    exchange_mistaken([one, other], stamp_ns)
    assert (one.number, other.number) == (2, 1)


def test_people_of_one_colour_keep_their_numbers(seen, camera):
    one, other, image = close_pair(seen, camera, colour=RED)
    observe_exchanged(seen, one, other, image, 4)
    assert (one.number, other.number) == (1, 2)


@pytest.mark.parametrize(('place_m', 'number'), [(0.0, 1), (0.5, 2)])
def test_of_two_crops_of_one_person_that_of_the_same_colour_is_kept(seen, camera, place_m,
                                                                    number):
    one, other, image = close_pair(seen, camera)
    stamp_ns = SECOND_NS + STEP_NS
    for person in (one, other):
        update(person, seen(place_m), stamp_ns)
    recognise([one, other], image, stamp_ns)
    people = without_duplicates([one, other], stamp_ns, established_ns=0)
    assert {p.number for p in people if p.estimate is not None} == {number}
    assert {p.number for p in people if p.is_behind} == {3 - number}
