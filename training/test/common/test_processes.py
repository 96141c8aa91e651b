"""Processes of a pool end with the process that made them."""

import os
from pathlib import Path
import signal
import subprocess
import sys
import time

SCRIPT = """
import os, sys, time
from pathlib import Path
from niki_training.common.processes import process_pool

def note(folder):
    Path(folder, str(os.getpid())).touch()

if __name__ == '__main__':
    with process_pool(2, note, (sys.argv[1],)) as pool:
        list(pool.map(time.sleep, (0.0, 0.0)))
        Path(sys.argv[1], 'ready').touch()
        time.sleep(60)
"""


def _exists(pid: int) -> bool:
    # a process that ended stays a zombie until the one that inherited it asks
    try:
        return Path(f'/proc/{pid}/stat').read_text('utf-8').rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def _wait_for(condition) -> bool:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def test_workers_end_when_the_main_process_is_killed(tmp_path):
    script, folder = tmp_path / 'script.py', tmp_path / 'pids'
    script.write_text(SCRIPT, 'utf-8')
    folder.mkdir()
    main = subprocess.Popen([sys.executable, str(script), str(folder)])
    try:
        assert _wait_for((folder / 'ready').exists)
        pids = [int(file.name) for file in folder.iterdir() if file.name != 'ready']
        assert pids and all(map(_exists, pids))
    finally:
        os.kill(main.pid, signal.SIGKILL)
        main.wait()
    assert _wait_for(lambda: not any(map(_exists, pids)))
