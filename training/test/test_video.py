"""Calibrated video with measured joints: the readers, and one camera of the real trial."""

import json
import os
from pathlib import Path

from niki_ros.core.errors import SourceError
from niki_training import evaluate_cli
from niki_training.video_truth import limb_joints, pa_aligned, read_calibration, read_trc
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


def test_alignment_undoes_turn_size_and_place():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(5, 12, 3))
    turn = Rotation.random(random_state=0).as_matrix()
    np.testing.assert_allclose(pa_aligned(truth @ turn.T * 1.7 + 3.0, truth), truth, atol=1e-9)
    mirror = turn * [-1, 1, 1]
    error = np.abs(pa_aligned(truth @ mirror.T, truth) - truth).max()
    assert error > 0.1, 'a mirror is no rotation'


@pytest.fixture
def trial():
    """Return the folder of the Pose2Sim trial; skip where there is none."""
    beside = Path(__file__).resolve().parents[2].parent / 'shared'
    folder = Path(os.environ.get('NIKI_SHARED', beside)) / 'data' / 'pose2sim'
    if not (folder / 'calibration.toml').is_file():
        pytest.skip(f'no real data: {folder} is not there (set NIKI_SHARED)')
    return folder


def test_measured_joints_lie_in_every_image(trial):
    world = limb_joints(read_trc(next(trial.glob('*.trc'))))
    cameras = read_calibration(trial / 'calibration.toml')
    assert len(cameras) == 4
    for one in cameras.values():
        pixels = one.camera.project(one.points(world))
        assert (pixels > 0).all() and (pixels < [one.camera.width, one.camera.height]).all()


def test_a_folder_without_a_trial_is_named(tmp_path, capsys):
    assert evaluate_cli.main(['video', str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.long
def test_the_trial_end_to_end(trial, capsys):
    assert evaluate_cli.main(['video', str(trial), '--solver', 'analytic', '--json']) == 0
    figures = json.loads(capsys.readouterr().out)['all']
    assert figures['missed'] == 0 and figures['frames'] == 400
    assert figures['mpjpe_mm'] < figures['observer_mpjpe_mm']
