"""Fixtures of all tests of niki_training."""

from miniature_sets import write_body
from niki_training.data.motion import Motion
from niki_training.render.motion import RootedMotion
import numpy as np
import pytest
from real_data import real_data
import torch


@pytest.fixture(scope='session', autouse=True)
def one_thread():
    """Keep PyTorch at one thread: for small products others cost more than they save."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'set_num_threads', lambda count: None)
        yield


@pytest.fixture(scope='session')
def real_motion():
    return real_data('motion', 'cmu_smpl24_30fps_val.npz')


@pytest.fixture(scope='session')
def trial():
    return real_data('pose2sim', 'calibration.toml')


@pytest.fixture(scope='session')
def photographs():
    return real_data('coco_people', 'persons.npz')


@pytest.fixture(scope='session')
def motion():
    """Return smooth random motion: 4 subjects, 60 frames each."""
    rng = np.random.default_rng(0)
    time = np.arange(60)[:, None, None] / 30
    pieces = []
    for _ in range(4):
        size = rng.normal(size=(1, 24, 3)) * 0.3
        pieces.append(size * np.sin(2 * np.pi * time + rng.uniform(0, 6, (1, 24, 3))))
    names = np.asarray([f'{k:02d}_01.0' for k in range(4)])
    return Motion(np.concatenate(pieces).astype(np.float32), np.full(4, 60), names)


@pytest.fixture(scope='session')
def moving(motion):
    """Return the motion at half of its speed, with a path of the pelvis."""
    rotvec = np.repeat(motion.rotvec, 2, axis=0)
    path = np.zeros((len(rotvec), 3), np.float32)
    path[:, 0] = np.linspace(0, 2, len(rotvec))
    return RootedMotion(rotvec, motion.lengths * 2, motion.names, motion.fps, path)


@pytest.fixture(scope='session')
def store(motion, tmp_path_factory):
    file = tmp_path_factory.mktemp('data') / 'store.npz'
    np.savez(file, rotvec=motion.rotvec, lengths=motion.lengths, names=motion.names, fps=30.0)
    return file


@pytest.fixture(scope='session')
def smpl(tmp_path_factory):
    """Return a folder of SMPL files and the regressor of Human3.6M's joints."""
    return write_body(tmp_path_factory.mktemp('smpl'))


@pytest.fixture
def refused(capsys):
    """Return a function that asserts that a command ends with 2 and few lines with all parts."""
    def check(command, words, *parts, at_most=1):
        capsys.readouterr()
        assert command([str(word) for word in words]) == 2
        lines = capsys.readouterr().err.replace('\r', '\n').strip().splitlines()
        lines = [line for line in lines if 'it/s' not in line and 's/it' not in line]
        text = '\n'.join(lines)
        assert 1 <= len(lines) <= at_most and all(part in text for part in parts), text
    return check
