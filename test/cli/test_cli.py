"""Command ``niki``: help, exit codes, settings, doctor."""

import json
import os
from pathlib import Path
import subprocess
import sys

from niki_ros.cli import main as cli
from niki_ros.cli.arguments import parse_settings
from niki_ros.common.errors import ConfigError
import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ('numpy', 'scipy', 'cv2', 'onnxruntime', 'rclpy', 'yaml', 'tqdm')


def niki(*words, **options):
    """Run the command in its own process."""
    return subprocess.run([sys.executable, '-m', 'niki_ros.cli.main', *map(str, words)], cwd=ROOT,
                          capture_output=True, text=True, timeout=120, **options)


def test_help_imports_nothing_heavy():
    code = ('import sys\nfrom niki_ros.cli.main import main\n'
            'try:\n    main(["--help"])\nexcept SystemExit:\n    pass\n'
            f'print("HEAVY", [name for name in {HEAVY} if name in sys.modules])')
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith('HEAVY []\n'), done.stdout + done.stderr


def test_help_lists_the_verbs():
    text = niki('--help').stdout
    for verb in cli.VERBS:
        assert f'    {verb} ' in text, verb


@pytest.mark.parametrize('verb', cli.VERBS)
def test_help_of_every_verb(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, '--help'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: niki {verb}')


@pytest.mark.parametrize('words', [[], ['fly'], ['run'], ['run', 'a.mp4', '--wings'],
                                   ['run', 'a', '--camera', 'c.yaml', '--fov-deg', '60']])
def test_wrong_usage_is_2(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert 'usage: niki' in capsys.readouterr().err


def test_version_is_that_of_the_package():
    assert niki('--version').stdout.startswith('niki_ros ')


@pytest.mark.parametrize('words, message', [
    (['nowhere.mp4'], "niki: 'nowhere.mp4'"),
    (['nowhere.mp4', '--max-frames', '0'], 'niki: max_frames is 0')])
def test_errors_are_one_line_and_code_1(words, message, capsys):
    assert cli.main(['run', *words]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == '' and 'Traceback' not in captured.err


@pytest.mark.parametrize('error, code', [(KeyboardInterrupt, 130), (BrokenPipeError, 0)])
def test_interrupted_and_unread(error, code, monkeypatch):
    from niki_ros.cli import doctor

    def stop(args):
        raise error

    monkeypatch.setattr(doctor, 'main', stop)
    stdout = os.dup(1)
    try:
        assert cli.main(['doctor']) == code
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)


def test_closed_stdout_is_no_error():
    done = subprocess.run(f'{sys.executable} -m niki_ros.cli.main doctor --json | head -c 1',
                          shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == '{' and done.stderr == ''


def test_settings_take_the_type_of_their_default():
    assert parse_settings(['smoothing.beta=2', 'smoothing.enabled=false', 'observer.max_people=3',
                           'solver.name=a=b']) == {
        'smoothing.beta': 2.0, 'smoothing.enabled': False, 'observer.max_people': 3,
        'solver.name': 'a=b'}


@pytest.mark.parametrize('pair, message', [
    ('smoothing.beta', 'NAME=VALUE'), ('beta=1', 'smoothing.beta'),
    ('smoothing.beta=x', "smoothing.beta is 'x'"), ('smoothing.enabled=1', 'type bool'),
    ('observer.max_people=2.5', 'type int')])
def test_settings_that_cannot_be_read_are_named(pair, message):
    with pytest.raises(ConfigError, match=message):
        parse_settings([pair])


def test_doctor_finds_what_the_tests_use():
    done = niki('doctor', '--json')
    report = json.loads(done.stdout)
    states = {finding['name']: finding['state'] for finding in report['findings']}
    assert states['numpy'] == 'OK' and 'mediapipe' not in states
    details = {finding['name']: finding['detail'] for finding in report['findings']}
    for name, role in (('people', 'detector'), ('landmarks-full', 'landmarks'),
                       ('niki-temporal', 'solver')):
        assert states[f'graph {name}'] == 'OK'
        assert f'{role} by default; onnxruntime' in details[f'graph {name}']
    assert 'cpu, fp32; sha256 agrees' in details['graph landmarks-heavy']
    assert 'not used by default' in details['graph niki']
    assert states['cv2'] in ('OK', 'WARN')
    assert report['ok'] == (done.returncode == 0) == ('BROKEN' not in states.values())


def test_doctor_prints_the_remedy_of_a_missing_library(tmp_path):
    blocker = tmp_path / 'onnxruntime'
    blocker.mkdir()
    (blocker / '__init__.py').write_text('raise ImportError("made for another Python")')
    done = niki('doctor', env={**os.environ, 'XDG_CACHE_HOME': str(tmp_path / 'empty'),
                               'PYTHONPATH': str(tmp_path)})
    assert done.returncode == 1
    assert 'made for another Python' in done.stdout
    assert '→ pip install --force-reinstall onnxruntime' in done.stdout
    assert 'sha256 agrees; does not run: backend onnxruntime' in done.stdout


@pytest.mark.parametrize('folder, good', [('', True), ('/proc/nobody/log', False)])
def test_doctor_looks_at_the_log_folder(tmp_path, monkeypatch, folder, good):
    """A node needs a log folder that it can write to."""
    from niki_ros.cli.doctor import log_folder, OK, WARN
    monkeypatch.setenv('ROS_LOG_DIR', folder or str(tmp_path / 'new' / 'log'))
    found = log_folder()
    assert found.state == (OK if good else WARN) and bool(found.remedy) == (not good)
    assert not any(tmp_path.iterdir())


def test_a_user_without_a_home_folder(monkeypatch, capsys):
    """In a container with any user id, only the cache needs a home folder."""
    import pwd

    def unknown(number):
        raise KeyError(number)
    monkeypatch.setattr(pwd, 'getpwuid', unknown)
    for name in ('HOME', 'XDG_CACHE_HOME'):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(['run', '~nobody-here/x.mp4']) == 1
    assert '~nobody-here/x.mp4' in capsys.readouterr().err
    assert cli.main(['engine', 'list']) == 1
    assert 'XDG_CACHE_HOME=' in capsys.readouterr().err
