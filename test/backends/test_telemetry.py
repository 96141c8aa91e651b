"""ONNX Runtime sends no telemetry."""

from pathlib import Path
import subprocess
import sys

import pytest
from scenes import child_environment

TEST = Path(__file__).resolve().parents[1]


def run_python(tmp_path, code, **more) -> tuple:
    """Run code with an empty home folder; return the files in that folder and the output."""
    environment = child_environment(
        HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path), PYTHONPATH=str(TEST),
        PYTHONDONTWRITEBYTECODE='1', **more)
    if not more:
        environment.pop('ORT_DISABLE_TELEMETRY', None)
    done = subprocess.run([sys.executable, '-c', code], env=environment, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [path.name for path in tmp_path.rglob('*') if path.is_file()], done.stdout


def test_no_device_id_is_written(tmp_path):
    """ONNX Runtime 1.31 writes a device id and a queue of reports when it is imported."""
    pytest.importorskip('onnxruntime')
    code = ('from niki_ros import load_solver; import numpy as np;'
            's = load_solver("niki"); s.solve(np.zeros((1, 29, 3)), np.zeros((1, 29)))')
    files, _ = run_python(tmp_path, code)
    assert files == []


def test_a_value_of_the_user_takes_precedence(tmp_path):
    _, output = run_python(
        tmp_path, 'import niki_ros, os; print(os.environ["ORT_DISABLE_TELEMETRY"])',
        ORT_DISABLE_TELEMETRY='0')
    assert output.strip() == '0'
