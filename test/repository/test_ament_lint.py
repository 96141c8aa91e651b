"""The linters of ROS 2 that ``colcon test`` runs; skipped where they are not installed."""

import os
from pathlib import Path
import shutil

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ('niki_ros', 'launch', 'test', 'examples', 'docs', 'tools', 'setup.py')
"""niki_training is no ROS package; ``make check`` covers it."""

pytestmark = pytest.mark.linter


def run(name: str, arguments=()):
    main = pytest.importorskip(
        f'{name}.main', reason=f'{name} comes with a ROS 2 installation').main
    before = os.getcwd()
    os.chdir(ROOT)
    try:
        assert main(argv=list(arguments)) == 0
    finally:
        os.chdir(before)


@pytest.mark.flake8
def test_flake8():
    run('ament_flake8', SOURCES)


@pytest.mark.pep257
def test_pep257():
    run('ament_pep257', SOURCES)


@pytest.mark.xmllint
def test_xmllint():
    if not shutil.which('xmllint'):
        pytest.skip('xmllint is not installed: sudo apt install libxml2-utils')
    files = [str(path.relative_to(ROOT)) for folder in ('niki_ros', 'config')
             for path in sorted((ROOT / folder).rglob('*.xml'))]
    run('ament_xmllint', files)


@pytest.mark.copyright
def test_licence():
    parser = pytest.importorskip(
        'ament_copyright.parser', reason='ament_copyright comes with a ROS 2 installation')
    parsed = parser.parse_file(str(ROOT / 'LICENSE'))
    assert parsed.license_identifier == 'apache2'
