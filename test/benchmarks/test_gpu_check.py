"""The table of error and speed of every graph, on the CPU."""

import json
from pathlib import Path
import subprocess
import sys

from scenes import child_environment

SCRIPT = Path(__file__).parents[2] / 'tools' / 'gpu_check.py'


def run(*arguments):
    short = '--seconds', '0.01', '--count', '5'
    return subprocess.run([sys.executable, SCRIPT, *arguments, *short],
                          text=True, capture_output=True, timeout=200, env=child_environment())


def test_table_has_error_and_times_of_each_precision(tmp_path):
    done = run('lift', '--run', 'onnxruntime:cpu', '--json', str(tmp_path / 'rows.json'))
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / 'rows.json').read_text())
    assert [row['precision'] for row in rows] == ['fp32', 'fp16']
    assert rows[0]['errors']['mm']['max'] == 0.0
    for row in rows:
        assert set(row['times']) == {'1', '4', '16'} and row['ran']['device'] == 'cpu'
    table = [line for line in done.stdout.splitlines() if line.startswith('| lift')]
    assert len(table) == 2 and all(' mm ' in line for line in table)


def test_device_that_is_missing_is_a_row_with_the_reason(tmp_path):
    done = run('lift', '--run', 'onnxruntime:elsewhere')
    assert done.returncode == 1
    assert 'did not run' in done.stdout and 'elsewhere' in done.stdout
