"""Rectangles over a person, and the scores of their effect."""

import json

from niki_ros.body.body import Body
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT
from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.occlude import (
    Answers,
    ClipRecording,
    fastest_return_rad_s,
    hidden_after_stages_mm,
    observer_scores,
    solver_scores,
)
from niki_training.evaluate.occluders import PARTS, RectangleOccluder
from niki_training.evaluate.stage_errors import STAGES
from niki_training.evaluate.video_truth import LIMB_JOINTS
import numpy as np
import pytest

RATE_HZ, FRAMES = 30.0, 60
ARM = [JOINT[f'left_{part}'] for part in ('elbow', 'wrist', 'hand')]


def seen(shift_m=0.0, joints=()):
    """Return an observation: joints on a diagonal of the image, some of them moved."""
    place = np.zeros((29, 3), np.float32)
    place[list(joints)] += shift_m
    pixels = np.stack([10.0 * np.arange(29), 10.0 * np.arange(29)], axis=1)
    return JointObservation(place, np.zeros(29), pixels, np.array([0, 0, 290, 290.0]), 1.0,
                            np.ones(29))


def body(stamp_ns=0, shift_m=0.0, joints=(), turn=None, status=0):
    """Return a body at 3 m with some joints moved."""
    place = np.zeros((29, 3)) + [0, 0, 3.0]
    place[list(joints)] += shift_m
    rotmat = np.broadcast_to(np.eye(3), (24, 3, 3)).copy()
    if turn is not None:
        rotmat[turn[0]] = [[np.cos(turn[1]), -np.sin(turn[1]), 0],
                           [np.sin(turn[1]), np.cos(turn[1]), 0], [0, 0, 1]]
    return Body(1, stamp_ns, rotmat, np.zeros(10), place[0], place, np.ones(24),
                np.full(24, status, np.uint8), np.zeros((24, 3)), np.zeros(3), np.zeros((29, 2)))


def clip(one):
    """Return the recording of a front end: ``one`` in every frame."""
    return ClipRecording((640, 480), RATE_HZ, [[one] for _ in range(FRAMES)],
                         [round(i * 1e9 / RATE_HZ) for i in range(FRAMES)])


@pytest.fixture
def clear():
    return clip(seen())


@pytest.fixture
def occluder(clear):
    return RectangleOccluder(PARTS['left_arm'], clear, 0.5, 0.5)


def test_rectangles_hide_what_lies_behind_them_for_their_stretch(occluder):
    assert occluder.hiding_frames() == list(range(15, 30)) + list(range(45, 60))
    hidden = occluder.hidden[20]
    assert hidden[ARM].all() and not hidden[[0, 4, 12, 16]].any()
    assert [index for index, _ in occluder.reappearances()] == [30]
    image = np.full((480, 640, 3), 200, np.uint8)
    assert occluder.paint(image, 3) is image
    painted = occluder.paint(image, 20)
    x0, y0, x1, y1 = occluder.boxes_px[20].astype(int)
    assert (painted[y0:y1, x0:x1] == 96).all() and (painted != 200).sum() == 3 * (
        (y1 - y0) * (x1 - x0))


def test_figures_of_the_front_end(clear, occluder):
    row = observer_scores(clear, clip(seen(0.1, ARM)), occluder)
    assert row['seen_mm'] == 0 and row['hidden_mm'] > 70
    occluded = clip(seen())
    occluded.observations[20] = []
    assert observer_scores(clear, occluded, occluder)['missed_percent'] == pytest.approx(100 / 30)


def test_figures_of_a_solver(clear, occluder):
    was = [[body(stamp)] for stamp in clear.stamps_ns]
    now = [[body(stamp, 0.1, ARM, status=1)] for stamp in clear.stamps_ns]
    now[20] = []
    row = solver_scores(was, now, occluder, clear.stamps_ns)
    hidden = occluder.hidden[21]
    expected = 1e3 * 0.1 * np.sqrt(3) * hidden[ARM].sum() / hidden.sum()
    assert row['hidden_mm'] == pytest.approx(expected)
    assert row['seen_mm'] == pytest.approx(0) and row['ids'] == 1
    assert row['missed_percent'] == pytest.approx(100 / 30)
    assert row['claimed_percent'] == row['wrongly_percent'] == 0


def test_hidden_limbs_are_compared_stage_by_stage_about_the_hips(clear, occluder):
    def answers(arm_off_m):
        moved_m = [np.zeros((12, 3)) for _ in STAGES]
        for stage, (one_m, off_m) in enumerate(zip(moved_m, arm_off_m)):
            one_m[:] += stage  # a common shift is no error about the hips
            one_m[np.isin(LIMB_JOINTS, ARM), 2] += off_m
        return Answers([[body(stamp)] for stamp in clear.stamps_ns],
                       [{1: moved_m} for _ in clear.stamps_ns])
    hidden_limbs = occluder.hidden[20][LIMB_JOINTS].sum()
    ratio = np.isin(LIMB_JOINTS, ARM).sum() / hidden_limbs
    found = hidden_after_stages_mm(answers([0, 0, 0, 0]), answers([0.2, 0.1, 0.05, 0]), occluder)
    assert list(found) == list(STAGES)
    np.testing.assert_allclose(list(found.values()), ratio * np.array([200, 100, 50, 0]))
    no_person = Answers([[] for _ in clear.stamps_ns], [{} for _ in clear.stamps_ns])
    found = hidden_after_stages_mm(answers([0, 0, 0, 0]), no_person, occluder)
    assert set(found.values()) == {None}


def test_a_hidden_joint_that_is_called_observed_is_wrong_where_it_is_far_off(clear, occluder):
    was = [[body(stamp)] for stamp in clear.stamps_ns]
    for metres, wrong in ((0.05, False), (0.1, True)):
        now = [[body(stamp, metres, ARM, status=0)] for stamp in clear.stamps_ns]
        row = solver_scores(was, now, occluder, clear.stamps_ns)
        assert row['claimed_percent'] == 100
        assert (row['wrongly_percent'] > 0) == wrong


def test_how_fast_a_joint_comes_back(clear, occluder):
    bodies = [[body(stamp)] for stamp in clear.stamps_ns]
    for index in range(32, FRAMES):
        bodies[index] = [body(clear.stamps_ns[index], turn=(18, 0.3))]
    assert fastest_return_rad_s(bodies, occluder, clear.stamps_ns) == pytest.approx(
        0.3 * RATE_HZ, rel=1e-3)


@pytest.mark.long
def test_a_real_clip_end_to_end(trial, tmp_path, capsys):
    """The table has every solver; the video shows both runs side by side."""
    out = tmp_path / 'side.mp4'
    assert evaluate_cli.main(['occlude', str(trial / 'cam01.mp4'), '--fov-deg', '35.6', '--part',
                              'left_arm', '--json', '--overlay', str(out)]) == 0
    rows = json.loads(capsys.readouterr().out)['parts']['left_arm']
    assert set(rows) == {'observer', 'analytic', 'niki', 'niki-temporal'}
    assert rows['niki-temporal']['hidden_mm'] < 0.9 * rows['analytic']['hidden_mm']
    # the person, and another one at the left border
    assert rows['niki-temporal']['ids'] == 2 and rows['niki-temporal']['missed_percent'] == 0
    assert out.stat().st_size > 10_000
