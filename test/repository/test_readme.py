"""What the documents promise is there."""

from __future__ import annotations

from pathlib import Path
import re

from niki_ros.cli.main import VERBS
from niki_ros.common.errors import InputError
from niki_ros.common.parameter_table import with_table
import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'docs/how_it_works.md')


def test_parameter_table_is_that_of_the_settings():
    text = (ROOT / 'README.md').read_text('utf-8')
    assert text == with_table(text), 'run: python -m niki_ros.common.parameter_table README.md'


def test_table_without_its_place_is_refused():
    with pytest.raises(InputError, match='no place for the table'):
        with_table('# nothing here')


@pytest.mark.parametrize('name', DOCUMENTS)
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text('utf-8')
    for target in re.findall(r'\]\(([^)]+)\)', text):
        if not target.startswith('https://'):
            assert (ROOT / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize('name', DOCUMENTS)
def test_commands_exist(name):
    text = (ROOT / name).read_text('utf-8')
    makefile = (ROOT / 'Makefile').read_text('utf-8')
    for target in re.findall(r'(?:^ {4}|`)make ([a-z-]+)', text, re.MULTILINE):
        assert re.search(rf'^{target}:', makefile, re.MULTILINE), target
    for verb in re.findall(r'(?:^ {4}|`|niki_ros )niki ([a-z]+)', text, re.MULTILINE):
        assert verb in VERBS and (ROOT / 'niki_ros' / 'cli' / f'{verb}.py').exists(), verb
    for module in re.findall(r'python -m (niki_ros[\w.]*)', text):
        assert (ROOT / (module.replace('.', '/') + '.py')).exists(), module


def test_picture_is_small():
    assert 10_000 < (ROOT / 'docs' / 'images' / 'overlay.jpg').stat().st_size < 300_000
