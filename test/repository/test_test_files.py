"""Test files of both packages run in one process, where their names must differ."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_test_file_has_a_name_of_its_own():
    names = Counter(path.name for folder in ('test', 'training/test')
                    for path in (ROOT / folder).rglob('*.py') if path.name != 'conftest.py')
    assert [name for name, count in names.items() if count > 1] == []
