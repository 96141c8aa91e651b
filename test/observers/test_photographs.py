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


def bodies_of(image, count=10):
    camera = Camera.from_fov(image.shape[1], image.shape[0], 60.0)
    pipeline = load_pipeline()
    for index in range(count):
        bodies = pipeline.process(np.roll(image, index % 2, axis=1), camera, index * 66_666_667)
    pipeline.close()
    return bodies


def distance_ratio(bodies, keypoints, box, joints) -> float:
    """Return the distance of the nearest body, over the longer side of the box."""
    return min((np.mean([np.hypot(*(body.keypoints_px[ours] - keypoints[theirs, :2]))
                         for theirs, ours in joints.items()]) for body in bodies),
               default=np.inf) / box[2:].max()


@pytest.mark.parametrize('name', ['000000000785.jpg', '000000541055.jpg'])
def test_skiers_are_found(photograph, name):
    image, boxes, keypoints = photograph(name)
    bodies = bodies_of(image)
    assert min(distance_ratio(bodies, points, box, {**SHOULDERS, **HIPS})
               for points, box in zip(keypoints, boxes)) < 0.1


@pytest.mark.parametrize('name', ['000000000370.jpg', '000000347254.jpg', '000000162415.jpg'])
def test_portraits_have_their_shoulders_where_they_are(photograph, name):
    image, boxes, keypoints = photograph(name)
    largest = boxes[:, 2:].prod(axis=1).argmax()
    bodies = bodies_of(image)
    assert distance_ratio(bodies, keypoints[largest], boxes[largest], SHOULDERS) < 0.15
