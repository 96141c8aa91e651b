"""Folders of real data, which may be absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get('NIKI_SHARED', ROOT.parent / 'shared'))
DATA = Path(os.environ.get('NIKI_DATA', SHARED / 'data'))


def real_data(path: str, holds: str) -> Path:
    """Return a folder of real data, or skip the test where it lacks the file ``holds``."""
    if not (DATA / path / holds).is_file():
        pytest.skip(f'no {path}/{holds} in {DATA}; set NIKI_DATA to its folder')
    return DATA / path
