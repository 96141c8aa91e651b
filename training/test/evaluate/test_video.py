"""Calibrated video with measured joints: the readers, and one camera of the real trial."""

import json
from types import SimpleNamespace

from niki_ros.common.errors import InputError, SourceError
from niki_training.cli import evaluate as evaluate_cli
from niki_training.evaluate.metrics import procrustes_aligned
from niki_training.evaluate.passer_by import rotmat_to_x, stage_in_front, straightest_walk
from niki_training.evaluate.video_scores import acceleration_error_mm_frame2 as error_mm
from niki_training.evaluate.video_scores import is_of_person, nearest_body
from niki_training.evaluate.video_truth import (
    LIMB_JOINTS,
    limb_joints,
    read_calibration,
    read_trc,
)
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

TRC = """PathFileType\t4\t(X/Y/Z)\tx.trc
DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate
60\t60\t2\t2\t{units}\t60
Frame#\tTime\tRHip\t\t\tNose\t\t
\t\tX1\tY1\tZ1\tX2\tY2\tZ2
1\t0.0\t1\t2\t3\t4\t5\t6
2\t0.1\t1\t2\t3\t\t\t
"""


def test_trc_is_read_into_the_world_of_the_calibration(tmp_path):
    path = tmp_path / 'x.trc'
    path.write_text(TRC.format(units='mm'))
    markers = read_trc(path)
    np.testing.assert_allclose(markers['RHip'][0], [3e-3, 1e-3, 2e-3])
    assert np.isnan(markers['Nose'][1]).all()
    path.write_text(TRC.format(units='inch'))
    with pytest.raises(SourceError, match='inch'):
        read_trc(path)


def test_alignment_removes_rotation_scale_and_translation():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 12, 3))
    turn = Rotation.random(random_state=0).as_matrix()
    moved = truth @ turn.T * 1.7 + 3.0
    np.testing.assert_allclose(procrustes_aligned(moved, truth), truth, atol=1e-9)
    mirror = turn * [-1, 1, 1]
    error = np.abs(procrustes_aligned(truth @ mirror.T, truth) - truth).max()
    assert error > 0.1, 'a mirror is no rotation'


def test_measured_joints_lie_in_every_image(trial):
    world = limb_joints(read_trc(next(trial.glob('*.trc'))))
    cameras = read_calibration(trial / 'calibration.toml')
    assert len(cameras) == 4
    for one in cameras.values():
        pixels = one.camera.project(one.from_world(world))
        assert (pixels > 0).all() and (pixels < [one.camera.width, one.camera.height]).all()


def test_a_far_body_is_not_the_measured_person():
    true = np.zeros((12, 3))
    near, far = (SimpleNamespace(joints_m=np.full((29, 3), apart_m)) for apart_m in (0.3, 0.9))
    assert nearest_body([far, near], true) is near
    assert nearest_body([far], true) is None


def test_exchanged_sides_are_still_the_same_person():
    seen = SimpleNamespace(keypoints_px=np.full((29, 2), np.nan))
    true = np.random.default_rng(0).uniform(0, 500, (12, 2))
    seen.keypoints_px[LIMB_JOINTS] = true[[1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]]
    assert is_of_person(seen, true)
    seen.keypoints_px[LIMB_JOINTS] = true + 300
    assert not is_of_person(seen, true)


def test_acceleration_error_is_relative_to_the_hips():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(12, 3)) + 0.3 * np.sin(np.arange(60) / 12)[:, None, None]
    moved = truth + rng.normal(size=(60, 1, 3))
    assert error_mm(moved, truth) < 1.0
    noisy = truth + 0.01 * rng.normal(size=truth.shape)
    assert error_mm(moved, noisy) < 10.0 < error_mm(noisy, truth), 'noise of the truth'
    assert error_mm(moved + np.arange(12)[:, None] * rng.normal(size=(60, 1, 3)), truth) > 1.0


class Walk:
    """Two pieces: a person who sways in place, and one who walks along z, then in a circle."""

    lengths, starts = np.array([60, 120]), np.array([0, 60])
    root_m = np.zeros((180, 3))
    root_m[:60, 0] = 0.05 * np.sin(np.arange(60))
    root_m[60:120, 2] = np.linspace(0, 2.4, 60)
    root_m[120:, 0] = np.sin(np.linspace(0, 6.3, 60))
    root_m[120:, 2] = 2.4 + np.cos(np.linspace(0, 6.3, 60))


def test_the_walk_is_the_straight_one():
    assert 60 <= straightest_walk(Walk, 40, 1.6) <= 80
    with pytest.raises(InputError, match='9.0 m'):
        straightest_walk(Walk, 40, 9.0)
    way = Walk.root_m[60:100] @ rotmat_to_x(Walk.root_m[60:100]).T
    assert way[-1, 0] - way[0, 0] > 1.5 and np.abs(np.diff(way[:, [1, 2]], axis=0)).max() < 1e-9


def test_the_stage_is_between_camera_and_person():
    limbs = np.zeros((5, 12, 3)) + [0.2, 0.5, 4.0]
    limbs[:, 4:6, 1] = 1.4
    stage, origin = stage_in_front(limbs, np.array([0.0, -1.0, 0.0]))
    np.testing.assert_allclose(stage @ stage.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(stage) == pytest.approx(1.0)
    assert stage[0, 0] > 0.99, 'x leads to the right in the image'
    np.testing.assert_allclose(origin, [0.11, 1.48, 2.2], atol=1e-9)


@pytest.mark.long
def test_a_person_walks_past(trial, real_motion, capsys):
    pytest.importorskip('anny', reason="needs anny: pip install 'niki_training[render]'")
    pytest.importorskip('moderngl', reason="needs moderngl: pip install 'niki_training[render]'")
    motion = real_motion / 'cmu_smpl24_30fps_val.npz'
    command = ['video', str(trial), '--json', '--passer-by', str(motion)]
    assert evaluate_cli.main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['all']['missed'] <= 8, 'two in a hundred'
    assert result['covered']['frames'] > 40
    assert result['covered']['mpjpe_mm'] < 0.7 * result['covered']['observer_mpjpe_mm']
    assert all(row['ids'] == 1 for row in result['cameras'].values())


@pytest.mark.long
def test_the_trial_end_to_end(trial, capsys):
    assert evaluate_cli.main(['video', str(trial), '--solver', 'analytic', '--json']) == 0
    figures = json.loads(capsys.readouterr().out)['all']
    assert figures['missed'] == 0 and figures['frames'] == 400
    assert figures['mpjpe_mm'] < figures['observer_mpjpe_mm']
