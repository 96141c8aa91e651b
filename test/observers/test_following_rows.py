"""Rows of people, composed of photographs, are all found within a second."""

import cv2
from niki_ros import load_pipeline
from niki_ros.observers.crop_runner import mask_other_people
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from scenes import shared_folder

# keypoints that a whole person shows
WIDTH, HEIGHT, PERIOD_NS = 1280, 720, 66_666_667
WHOLE = [0, 5, 6, 11, 12, 13, 14, 15, 16]


def people() -> list:
    folder = shared_folder() / 'data' / 'coco_people'
    known = np.load(folder / 'persons.npz')
    pictures = []
    for name, box, points in zip(known['image'], known['bbox'], known['keypoints']):
        _, y, width, height = box
        if (points[WHOLE, 2] < 2).any() or height < 140 or not 1.6 < height / width < 4 or y < 3:
            continue
        others = known['bbox'][(known['image'] == name) & (known['bbox'] != box).any(axis=1)]
        if any(shared(box, other) > 0.1 * width * height for other in others):
            continue
        image = cv2.imread(str(folder / 'images' / str(name)))[..., ::-1]
        if box[1] + height > image.shape[0] - 2:
            continue
        low = np.maximum(box[:2] - 0.04 * height, 0).astype(int)
        high = (box[:2] + box[2:] + 0.04 * height).astype(int)
        pictures.append(image[low[1]:high[1], low[0]:high[0]])
    return pictures


def shared(one, other) -> float:
    size = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    return float(np.maximum(size, 0).prod())


def composed(places, seed):
    pictures, boxes = people(), []
    order = np.random.default_rng(seed).permutation(len(pictures))
    canvas = np.full((HEIGHT, WIDTH, 3), (96, 104, 112), np.uint8)
    for index, (middle, foot, height) in zip(order, places):
        picture = pictures[index]
        width = round(picture.shape[1] * height / picture.shape[0])
        left, top = int(middle - width / 2), foot - height
        canvas[top:foot, left:left + width] = cv2.resize(picture, (width, height),
                                                         interpolation=cv2.INTER_AREA)
        boxes.append((left, top, left + width, foot))
    return canvas, np.array(boxes)


ROWS = {
    'four apart': ([(160 + 320 * i, 600, 380) for i in range(4)], 1),
    'four close': ([(415 + 150 * i, 560, 330) for i in range(4)], 4),
    'two rows of three': ([(640 + 190 * (i - 1), 380, 280) for i in range(3)]
                          + [(735 + 190 * (i - 1), 640, 360) for i in range(3)], 3)}


@pytest.mark.parametrize('name', list(ROWS))
def test_all_people_are_found_within_a_second(name):
    image, boxes = composed(*ROWS[name])
    camera, pipeline = Camera.from_fov(WIDTH, HEIGHT, 60.0), load_pipeline()
    for index in range(16):
        # the camera moves a little
        bodies = pipeline.process(np.roll(image, index % 3 - 1, axis=1), camera,
                                  10**9 + index * PERIOD_NS)
    pipeline.close()
    middles = np.array([np.nanmedian(body.keypoints_px[:24], axis=0) for body in bodies])
    within = ((middles[:, None] > boxes[:, :2]) & (middles[:, None] < boxes[:, 2:])).all(axis=-1)
    assert within.any(axis=0).all() and len(bodies) == len(boxes)


def test_masking_of_other_people():
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    mine, other = np.array([20, 10, 40, 50]), np.array([30, 0, 70, 55])
    painted = mask_other_people(image, mine, [other])
    assert np.array_equal(painted[10:50, 20:40], image[10:50, 20:40])
    assert np.ptp(painted[0:55, 45:70].reshape(-1, 3), axis=0).max() == 0
    assert np.array_equal(painted[:, :20], image[:, :20]) and (painted != image).any()
