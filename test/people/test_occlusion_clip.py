"""The real front end, a real clip, and a rectangle painted over the legs."""

from niki_ros.body.body import OBSERVED
from niki_ros.body.skeleton import JOINT
from niki_ros.loading.load_pipeline import load_pipeline
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from scenes import measured_clip

LEGS = [JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in ('knee', 'ankle')]
ARMS = [JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in ('shoulder', 'elbow')]
CLEAR, HIDDEN = 12, 30


@pytest.fixture(scope='module')
def frames():
    pipeline, out, legs = load_pipeline(), [], None
    with open_source(measured_clip('cam01.mp4'), max_frames=CLEAR + HIDDEN + 18) as source:
        for frame in source:
            image = frame.image_rgb.copy()
            if CLEAR <= frame.index < CLEAR + HIDDEN:
                x0, y0, x1, y1 = legs
                image[y0:y1, x0:x1] = 96
            bodies = pipeline.process(image, None, frame.stamp_ns)
            # an onlooker at the left border of the image is the second person
            out.append([body for body in bodies if body.root_m[0] > -1.0])
            if frame.index == CLEAR - 1:
                points = out[-1][0].keypoints_px[[*LEGS, 10, 11, 27, 28]]
                legs = np.concatenate([points.min(0) - 50, points.max(0) + 50])
                legs = np.clip(legs, 0, 1920).astype(int)
    pipeline.close()
    return out


def test_the_person_keeps_the_id_and_is_never_lost(frames):
    assert {body.id for bodies in frames for body in bodies} == {1}
    assert all(len(bodies) == 1 for bodies in frames)


def test_hidden_legs_fade_and_the_arms_do_not(frames):
    hidden = [bodies[0] for bodies in frames[CLEAR:CLEAR + HIDDEN]]
    assert (frames[CLEAR - 1][0].confidence[LEGS] > 0.5).all()
    # a second behind the rectangle; the right leg swings out from behind it
    assert (hidden[-1].status[LEGS[:2]] != OBSERVED).all()
    before = frames[CLEAR - 1][0].confidence[LEGS[:2]]
    after = hidden[-1].confidence[LEGS[:2]]
    assert (after < before - 0.1).all() and after.min() < 0.5 * before.max()
    assert (hidden[-1].status[ARMS] == OBSERVED).all()
    assert (frames[-1][0].status[LEGS] == OBSERVED).sum() >= 3, 'and are seen again'


def test_hidden_legs_do_not_leap(frames):
    """The front end alone moves the left ankle by 0.4 m in the first hidden frame."""
    joints = np.array([bodies[0].joints_m - bodies[0].root_m for bodies in frames])
    moved = np.linalg.norm(np.diff(joints[:, LEGS], axis=0), axis=-1)
    assert moved[CLEAR - 1:CLEAR + 9].max() < 0.12
