"""Terminals that do not know every letter, and names that shells and make would take apart."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1'])
@pytest.mark.parametrize('words', [
    ['run', '--help'], ['run', '日本 → 😀.mp4'], ['run', b'not utf-8 \xff.mp4'], ['doctor']])
def test_niki_on_another_terminal(encoding, words):
    done = subprocess.run([sys.executable, '-m', 'niki_ros.cli.main', *words], cwd=ROOT,
                          timeout=60, capture_output=True,
                          env={**os.environ, 'PYTHONIOENCODING': encoding})
    said = (done.stdout + done.stderr).decode(encoding)
    assert 'Traceback' not in said and 'UnicodeEncodeError' not in said
    if words[-1] == '--help':
        assert '/dev/v4l/by-id/...' in said and 'rtsp://...' in said
    elif words[0] == 'run':
        assert done.returncode == 1 and 'does not exist' in said


@pytest.mark.parametrize('name', [
    "it's 5 o'clock.mp4", 'a "q" $HOME $$ `x`.mp4', '日本 😀.mp4', '-x.mp4',
    'back\\slash;rm #.mp4'])
def test_make_hands_names_over_as_they_are(name, tmp_path):
    (tmp_path / 'show.mk').write_text(
        f'include {ROOT}/Makefile\nshow:\n\t@printf "%s\\n" "$$VIDEO" "$$OUT"\n')
    for given in ([f'VIDEO={name}', f'OUT={name}'], []):
        environment = {**os.environ, **({} if given else {'VIDEO': name, 'OUT': name})}
        done = subprocess.run(['make', '-s', '-f', str(tmp_path / 'show.mk'), 'show', *given],
                              cwd=ROOT, capture_output=True, text=True, env=environment)
        assert done.stdout.splitlines() == [name, name], done.stderr


def test_the_demonstration_quotes_for_yaml():
    pytest.importorskip('rclpy', reason='no ROS 2 here')
    from niki_ros.demo.demo import yaml_string
    import yaml
    for name in ("it's", '"q" \\ $x', '日本 😀', '0', 'a: b # c', '- x', 'tab\tline\n'):
        assert yaml.safe_load(f'source: {yaml_string(name)}') == {'source': name}
        assert 'd83d' not in yaml_string(name)
