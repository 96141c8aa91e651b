"""The Makefile: names with special characters, and the list of targets."""

import os
from pathlib import Path
import re
import subprocess

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('name', [
    "it's 5 o'clock.mp4", 'a "q" $HOME $$ `x`.mp4', '日本 😀.mp4', '-x.mp4',
    'back\\slash;rm #.mp4'])
def test_names_are_passed_on_literally(name, tmp_path):
    (tmp_path / 'show.mk').write_text(
        f'include {ROOT}/Makefile\nshow:\n\t@printf "%s\\n" "$$VIDEO" "$$OUT"\n')
    for given in ([f'VIDEO={name}', f'OUT={name}'], []):
        environment = {**os.environ, **({} if given else {'VIDEO': name, 'OUT': name})}
        done = subprocess.run(['make', '-s', '-f', str(tmp_path / 'show.mk'), 'show', *given],
                              cwd=ROOT, capture_output=True, text=True, env=environment)
        assert done.stdout.splitlines() == [name, name], done.stderr


def test_help_lists_every_target():
    text = (ROOT / 'Makefile').read_text('utf-8')
    targets = set(re.search(r'^\.PHONY: (.*)$', text, re.M)[1].split()) - {'help', 'same-ros'}
    done = subprocess.run(['make', '-s', 'help'], cwd=ROOT, capture_output=True, text=True)
    assert targets == set(re.findall(r'make ([a-z-]+)', done.stdout))


def test_fast_tests_and_engine_tests_exist():
    text = (ROOT / 'Makefile').read_text('utf-8')
    fast = re.search(r'addprefix test/,([\w\s\\]+)\)', text)[1].replace('\\', '').split()
    engine = re.search(r'^TENSORRT_TESTS := (.*)$', text, re.M)[1].split()
    for name in [f'test/{room}' for room in fast] + engine:
        assert (ROOT / name).exists(), name
