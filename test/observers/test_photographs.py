"""People in photographs whom the detector scores low, and upper bodies cut off below."""

import cv2
from niki_ros import load_pipeline
from niki_ros.body.skeleton import JOINT
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import shared_folder

SHOULDERS = {5: JOINT['left_shoulder'], 6: JOINT['right_shoulder']}  # COCO's number: ours
HIPS = {11: JOINT['left_hip'], 12: JOINT['right_hip']}


@pytest.fixture(scope='module')
def photograph():
    folder = shared_folder() / 'data' / 'coco_people'
    known = np.load(folder / 'persons.npz')

    def find(name):
        rows = np.flatnonzero(known['image'] == name)
        image = cv2.imread(str(folder / 'images' / name))[..., ::-1].copy()
        return image, known['bbox'][rows], known['keypoints'][rows]
    return find


def bodies_of(image):
    camera = Camera.from_fov(image.shape[1], image.shape[0], 60.0)
    pipeline = load_pipeline()
    for index in range(10):
        bodies = pipeline.process(np.roll(image, index % 2, axis=1), camera, index * 66_666_667)
    pipeline.close()
    return bodies


def distance_ratio(bodies, keypoints, box, joints) -> float:
    """Return the distance of the nearest body, over the longer side of the box."""
    off_px = [np.mean([np.hypot(*(body.keypoints_px[ours] - keypoints[theirs, :2]))
                       for theirs, ours in joints.items()]) for body in bodies]
    return min((one for one in off_px if np.isfinite(one)), default=np.inf) / box[2:].max()


@pytest.mark.parametrize('name', ['000000000785.jpg', '000000541055.jpg'])
def test_skiers_are_found(photograph, name):
    image, boxes, keypoints = photograph(name)
    bodies = bodies_of(image)
    assert min(distance_ratio(bodies, points, box, {**SHOULDERS, **HIPS})
               for points, box in zip(keypoints, boxes)) < 0.1


def test_portraits_have_their_shoulders_where_they_are(photograph):
    """What the front end sees; whether all of it is visible enough for a body is close."""
    image, boxes, keypoints = photograph('000000347254.jpg')
    largest = boxes[:, 2:].prod(axis=1).argmax()
    camera, pipeline = Camera.from_fov(image.shape[1], image.shape[0], 60.0), load_pipeline()
    off = [distance_ratio(pipeline.observer.observe(np.roll(image, index % 2, axis=1), camera,
                                                    index * 66_666_667),
                          keypoints[largest], boxes[largest], SHOULDERS) for index in range(10)]
    pipeline.close()
    assert np.median(off) < 0.15


def test_upper_bodies_begin_with_the_crop_of_a_whole_person():
    camera, pipeline = Camera.from_fov(640, 480, 60.0), load_pipeline()
    crop_of = pipeline.observer.network.crop_of

    def width(x0, y0, x1, y1):
        return crop_of(np.array([x0, y0, x1, y1], float), camera).width
    cut_off, inside = width(200, 180, 440, 478), width(200, 90, 440, 388)
    assert cut_off > 1.4 * inside, 'a wide box at the lower border'
    assert width(260, 100, 390, 478) < 1.2 * width(260, 51, 390, 429), 'a whole person'
    pipeline.close()
