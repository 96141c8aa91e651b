"""After a full disk or a signal neither processes nor partial files remain."""

import errno
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
from niki_ros.backends.engine_cache import EngineCache, EngineKey, EngineRefused
from niki_ros.common.errors import BackendError, OutputError
from niki_ros.models.graph import sha256
from niki_ros.models.model_folder import write_model_folder
import numpy as np
import pytest
from scenes import child_environment, full_disk

KEY = EngineKey(sha256(b'graph'), 'tensorrt', '10.3.0', 'Orin', 'sm87', 'fp16', 16)
LARGE = bytes(12_000_000)


def files(folder: Path) -> list:
    """Return the names of all files below a folder, also hidden ones, without locks."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*')
                  if path.is_file() and path.suffix != '.lock')


def test_disk_full_while_an_engine_is_cached(tmp_path):
    """The error names the remedy; no partial engine remains, and none is found later."""
    cache = EngineCache(tmp_path / 'engines')
    with pytest.raises(BackendError, match='XDG_CACHE_HOME'), full_disk(10_000_000):
        cache.get(KEY, lambda: (LARGE, {}))
    assert files(tmp_path) == []
    with pytest.raises(EngineRefused, match='there is no engine'):
        cache.load(KEY)


def test_disk_full_while_the_old_engine_is_replaced(tmp_path):
    cache = EngineCache(tmp_path)
    cache.store(KEY, b'small', {})
    with pytest.raises(OSError, match='large'), full_disk(10_000_000):
        cache.store(KEY, LARGE, {})
    assert not [name for name in files(tmp_path) if name.endswith(('.tmp', '.json'))]
    with pytest.raises(EngineRefused):
        cache.load(KEY)


def test_no_space_says_so(tmp_path, monkeypatch):
    def refuse(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(os, 'fsync', refuse)
    with pytest.raises(BackendError, match='No space left on device.*XDG_CACHE_HOME'):
        EngineCache(tmp_path).get(KEY, lambda: (b'engine', {}))
    with pytest.raises(OutputError, match='No space'):
        write_model_folder(tmp_path / 'model', b'graph', {'name': 'a', 'kind': 'b'})
    assert files(tmp_path) == []


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / 'in' / 'clip.mp4'
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 30, (320, 240))
    for _ in range(3000):
        writer.write(np.full((240, 320, 3), 90, np.uint8))
    writer.release()
    return path


@pytest.fixture
def environment(tmp_path):
    return child_environment(XDG_CACHE_HOME=str(tmp_path / 'cache'), ROS_DOMAIN_ID='76',
                             ROS_AUTOMATIC_DISCOVERY_RANGE='LOCALHOST')


def interrupted(command, environment, number, after):
    """Run a command in a new session, send a signal after ``after()``; return code and stderr."""
    process = subprocess.Popen([str(word) for word in command], env=environment, text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True)
    try:
        after(process)
        process.send_signal(number)
        said = process.communicate(timeout=240)[1]
        assert session_of(process.pid) == [], 'a child process remains'
        return process.returncode, said
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def session_of(leader: int) -> list:
    found = []
    for entry in Path('/proc').glob('[0-9]*'):
        try:
            fields = (entry / 'stat').read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != 'Z':
            found.append(entry.name)
    return found


def waiting(seconds):
    """Return a function that waits, whatever phase the process is in then."""
    return lambda process: time.sleep(seconds)


def until_file(folder: Path, pattern: str):
    def wait(process):
        end = time.monotonic() + 60
        while not list(folder.glob(pattern)):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.02)
    return wait


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_files_are_written(clip, tmp_path, environment, number):
    """``niki run`` has started to write its video and its lines: neither remains."""
    out = tmp_path / 'out'
    out.mkdir()
    code, said = interrupted(
        [sys.executable, '-m', 'niki_ros.cli.main', 'run', clip, '--overlay', out / 'o.mp4',
         '--json', out / 'o.jsonl', '--solver', 'analytic'],
        environment, number, until_file(out, '.o.*.part.mp4'))
    # Python ends by the signal itself where it arrives within an import
    assert code in (128 + number, -number) and files(out) == [] and 'Traceback' not in said, said
    assert number != signal.SIGINT or said.rstrip().endswith('niki: interrupted')


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('module, words', [
    ('niki_ros.ros.pose_node', []), ('niki_ros.ros.video_source', ['-p', 'source:={clip}']),
    ('niki_ros.demo.demo', ['--video', '{clip}', '--out', '{out}'])])
def test_a_signal_in_any_phase(clip, tmp_path, environment, number, module, words):
    """While importing, configuring, loading or running: the process ends with complete files."""
    pytest.importorskip('rclpy')
    models = tmp_path / 'cache' / 'niki_ros'
    before = files(models)
    words = [word.format(clip=clip, out=tmp_path / 'out') for word in words]
    if not module.endswith('demo'):
        words = ['--ros-args', *words]
    for seconds in (0.05, 0.2, 0.4, 0.7, 1.0, 1.4, 1.8, 2.3, 3.0, 4.5, 7.0):
        code, said = interrupted([sys.executable, '-m', module, *words], environment, number,
                                 waiting(seconds))
        assert 'terminate called' not in said and 'Segmentation' not in said, said
        assert code in (0, 1, 130, 143, -signal.SIGINT, -signal.SIGTERM), (seconds, code, said)
        assert files(models) == before
        left = files(tmp_path / 'out') if (tmp_path / 'out').exists() else []
        assert not [name for name in left if '.part' in name or name.endswith('.tmp')], left
