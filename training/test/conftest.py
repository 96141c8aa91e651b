"""Fixtures of all tests of niki_training."""

import os
from pathlib import Path

from niki_training.data.motion import Motion
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get('NIKI_SHARED', ROOT.parent / 'shared'))
DATA = Path(os.environ.get('NIKI_DATA', SHARED / 'data'))
# in products as small as these, threads wait longer for each other than they save
torch.set_num_threads(1)


def real_data(path: str, holds: str) -> Path:
    """Return a folder of real data, or skip the test where it lacks the file ``holds``."""
    if not (DATA / path / holds).is_file():
        pytest.skip(f'no {path}/{holds} in {DATA}; set NIKI_DATA to its folder')
    return DATA / path


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
def store(motion, tmp_path_factory):
    file = tmp_path_factory.mktemp('data') / 'store.npz'
    np.savez(file, rotvec=motion.rotvec, lengths=motion.lengths, names=motion.names, fps=30.0)
    return file


@pytest.fixture
def refused(capsys):
    """Return a function that asserts that a command ends with 2 and one line with all parts."""
    def check(command, words, *parts):
        capsys.readouterr()
        assert command([str(word) for word in words]) == 2
        lines = capsys.readouterr().err.replace('\r', '\n').strip().splitlines()
        lines = [line for line in lines if 'it/s' not in line and 's/it' not in line]
        assert len(lines) == 1 and all(part in lines[0] for part in parts), lines
    return check
