"""People with only the legs in view are not placed far away."""

import cv2
from niki_ros import load_pipeline
from niki_ros.body.body import OBSERVED
from niki_ros.scene.camera import Camera
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from scenes import shared_folder

# intrinsics (the distortion is below a pixel), the first row of the image for each visible part,
# and the distance of the person
CAMERA = Camera(np.array([[1675.2, 0, 540.1], [0, 1675.2, 964.0], [0, 0, 1]]), 1088, 1920)
ROWS = {'head': 460, 'thighs': 936, 'knees': 971, 'shanks': 1047}
NEAR_M = 2.9


def observed(row: int, count: int = 16) -> tuple:
    """
    Return distances of observed bodies over the true one, and faults.

    :param row: the image begins here, as that of a camera that looks down does.
    """
    path = shared_folder() / 'data' / 'pose2sim' / 'cam04.mp4'
    camera = CAMERA.cropped(0, row, 1088, 1920 - row)
    size = 544, (1920 - row) // 2
    pipeline, distances, faults = load_pipeline(), [], set()
    with open_source(str(path)) as source:
        for frame in source:
            if frame.index == 2 * count:
                break
            if frame.index % 2:
                continue
            image = cv2.resize(np.ascontiguousarray(frame.image_rgb[row:]), size,
                               interpolation=cv2.INTER_AREA)
            bodies = pipeline.process(image, camera.resized(*size), frame.stamp_ns)
            faults |= set(pipeline.faults)
            distances.append([body.root_m[2] / NEAR_M for body in bodies
                              if (body.status == OBSERVED).any()])
    pipeline.close()
    return distances, faults


@pytest.mark.parametrize('part', ['thighs', 'knees', 'shanks'])
def test_legs_are_not_placed_far_away(part):
    distances, _ = observed(ROWS[part])
    assert not [value for values in distances for value in values if value > 1.5]


def test_whole_person_is_reported():
    distances, faults = observed(ROWS['head'])
    assert len([values for values in distances if values]) >= 15
    assert all(0.8 < value < 1.2 for values in distances for value in values)
    assert 'person_cut_off' not in faults


def test_truncated_person_is_a_fault():
    assert 'person_cut_off' in observed(ROWS['shanks'])[1]
