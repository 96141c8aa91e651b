"""Output of ``niki`` on terminals that cannot show every character."""

import os
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize('encoding, words', [
    ('ascii', ['run', '--help']), ('ascii', ['run', '日本 → 😀.mp4']), ('ascii', ['doctor']),
    ('latin-1', ['run', '日本 → 😀.mp4']), ('ascii', ['run', b'not utf-8 \xff.mp4'])])
def test_niki_prints_replacements(encoding, words):
    done = subprocess.run([sys.executable, '-m', 'niki_ros.cli.main', *words], cwd=ROOT,
                          timeout=60, capture_output=True,
                          env={**os.environ, 'PYTHONIOENCODING': encoding})
    text = (done.stdout + done.stderr).decode(encoding)
    assert 'Traceback' not in text and 'UnicodeEncodeError' not in text
    if words[-1] == '--help':
        assert '/dev/v4l/by-id/...' in text and 'rtsp://...' in text
    elif words[0] == 'run':
        assert done.returncode == 1 and '.mp4' in text
