"""Fixtures of all tests of niki_training."""

import os
from pathlib import Path

from niki_training.data.motion import Motion
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


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
def real_motion():
    """Return the folder of the real motion, or skip."""
    folder = Path(os.environ.get('NIKI_DATA', ROOT.parent / 'shared' / 'data')) / 'motion'
    if not (folder / 'cmu_smpl24_30fps_val.npz').is_file():
        pytest.skip(f'no motion data in {folder}; set NIKI_DATA to the folder that holds motion/')
    return folder
