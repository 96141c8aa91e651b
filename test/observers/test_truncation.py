"""People with only the legs in view are not placed far away."""

from functools import cache

from niki_ros import load_pipeline
from niki_ros.body.body import OBSERVED
import pytest
from scenes import CAM04, clip_images, measured_clip

# the first row of the image for each visible part, and the distance of the person
ROWS = {'head': 460, 'thighs': 936, 'knees': 971, 'shanks': 1047}
NEAR_M = 2.9


@cache
def observed(row: int) -> tuple:
    """Return distances over the true one, and faults; images begin at ``row``, as if tilted."""
    size = 544, (1920 - row) // 2
    camera = CAM04.cropped(0, row, 1088, 1920 - row).resized(*size)
    pipeline, distances, faults = load_pipeline(), [], set()
    for index, image in enumerate(clip_images(measured_clip('cam04.mp4'), 16, size, 0, 2, row)):
        bodies = pipeline.process(image, camera, index * 33_333_333)
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
