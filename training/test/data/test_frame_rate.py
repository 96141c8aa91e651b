"""Motion of every frame rate becomes 30 frames a second, interpolated on SO(3)."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
from niki_training.data.frame_rate import at_30_fps, checked_rate_hz
from niki_training.data.readers import read_motion
from niki_training.data.store import load_motion
import numpy as np
import pytest
from test_data import BVH

RATES_HZ = (20, 24, 25, 29.97, 40, 50, 59.94, 60, 100, 120)
SPIN_RAD_S = 2.0
AXIS = np.asarray([0.6, 0.0, 0.8])


def spinning(rate_hz: float, seconds: float = 3.0):
    """Return rotation vectors (T, 3) of a steady turn; past pi they jump to the other side."""
    angle = SPIN_RAD_S * np.arange(round(seconds * rate_hz)) / rate_hz
    return np.mod(angle + np.pi, 2 * np.pi)[:, None] * AXIS - np.pi * AXIS


def check(rotvec, rate_hz: float, seconds: float = 3.0, axis=AXIS):
    """Assert that rotvec (T, 3) is that turn at 30 frames a second, of the same duration."""
    assert len(rotvec) == pytest.approx(seconds * 30, abs=1.01)
    wanted = (SPIN_RAD_S * np.arange(len(rotvec)) / 30)[:, None] * axis
    apart = rotmat_from_rotvec(rotvec) - rotmat_from_rotvec(wanted)
    assert np.abs(apart).max() < 1e-4


@pytest.mark.parametrize('rate_hz', RATES_HZ)
def test_a_steady_turn_stays_one(rate_hz):
    check(at_30_fps(spinning(rate_hz), rate_hz), rate_hz)


@pytest.mark.parametrize('key', ['mocap_framerate', 'mocap_frame_rate'])
def test_amass(tmp_path, key):
    poses = np.zeros((300, 156))
    poses[:, 3:6] = spinning(100)
    np.savez(tmp_path / 'clip.npz', poses=poses, **{key: 100})
    check(read_motion(tmp_path / 'clip.npz', 'amass').rotvec[:, 1], 100)


@pytest.mark.parametrize('rate_hz', (25, 59.94))
def test_bvh(tmp_path, rate_hz):
    degrees = np.degrees(SPIN_RAD_S * np.arange(round(3 * rate_hz)) / rate_hz)
    rows = '\n'.join(f'0 0 0 0 0 0 0 0 {angle:.5f}' for angle in degrees)
    path = tmp_path / 'clip.bvh'
    times = f'Frames: {len(degrees)}\nFrame Time: {1 / rate_hz:.8f}\n'
    path.write_text(f'{BVH.partition("MOTION")[0]}MOTION\n{times}{rows}\n')
    rotvec = read_motion(path, 'bvh', {'left_hip': 'LeftLeg'}).rotvec[:, 1]
    check(rotvec, rate_hz, axis=[0, 1, 0])


def test_120_frames_at_40_are_90(tmp_path):
    assert len(at_30_fps(np.zeros((120, 24, 3)), 40.0)) == 90


def test_a_store_of_another_rate_is_resampled_piece_by_piece(tmp_path):
    rotvec = np.zeros((180, 24, 3))
    rotvec[:, 1] = np.tile(spinning(60, 1.5), (2, 1))
    np.savez(tmp_path / 'a.npz', rotvec=rotvec, lengths=[90, 90], names=['a_0', 'a_1'], fps=60.0)
    motion = load_motion(tmp_path / 'a.npz')
    assert motion.lengths.tolist() == [45, 45] and motion.fps == 30
    check(motion.rotvec[45:, 1], 60, 1.5)


def test_frames_of_the_file_stay_what_they_are():
    rotvec = np.random.default_rng(0).normal(size=(50, 24, 3))
    assert np.array_equal(at_30_fps(rotvec, 30.00003), rotvec)
    assert np.array_equal(at_30_fps(rotvec, 60.0), rotvec[::2])


@pytest.mark.parametrize('rate', [0, -30, np.nan, np.inf, 1e-9, 'fast', [30, 30]])
def test_a_rate_that_no_motion_has_is_refused(rate):
    with pytest.raises(InputError, match=r'clip\.npz'):
        checked_rate_hz('clip.npz', rate)
