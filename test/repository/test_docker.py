"""The Dockerfile, checked without a Docker daemon: copied files, packages and commands."""

import argparse
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree
from zipfile import ZipFile

from niki_ros.cli import run, view
import pytest
from scenes import child_environment

ROOT = Path(__file__).resolve().parents[2]
PREFIX = 'ros-jazzy-'


def instructions() -> list:
    """Return ``(word, rest)`` of every instruction, with continued lines joined."""
    text = re.sub(r'^\s*#.*\n', '', (ROOT / 'Dockerfile').read_text('utf-8'), flags=re.M)
    lines = text.replace('\\\n', ' ').splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def lines_of(word) -> list:
    return [rest for name, rest in instructions() if name == word]


def copies() -> list:
    """Return ``(sources, target)`` of every COPY."""
    return [(words[:-1], words[-1]) for words in (rest.split() for rest in lines_of('COPY'))]


def installed_by_apt() -> list:
    found = []
    for rest in lines_of('RUN'):
        for step in rest.split('&&'):
            words = step.split()
            if words[:2] == ['apt-get', 'install']:
                found += [word for word in words[2:] if not word.startswith('-')]
    return found


def test_copied_files_exist():
    allowed = {line[1:] for line in (ROOT / '.dockerignore').read_text('utf-8').splitlines()
               if line.startswith('!')}
    sources = [source for some, _ in copies() for source in some]
    assert sources and all((ROOT / source).exists() for source in sources)
    assert {source.split('/')[0] for source in sources} == allowed


def test_copied_files_build(tmp_path):
    for sources, target in copies():
        if not target.startswith('src/niki_ros/'):
            continue
        for source in sources:
            path = ROOT / source
            into = tmp_path / target
            into.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, into, dirs_exist_ok=True,
                                ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(path, into)
    done = subprocess.run(
        [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation',
         '--no-index', '--disable-pip-version-check', '-w', str(tmp_path),
         str(tmp_path / 'src' / 'niki_ros')], capture_output=True, text=True,
        env=child_environment(LD_LIBRARY_PATH=''))
    assert done.returncode == 0, done.stderr
    wheel, = tmp_path.glob('*.whl')
    names = {name.partition('.data/data/')[2] or name for name in ZipFile(wheel).namelist()}
    assert {f'lib/niki_ros/{name}' for name in (
        'pose_node', 'video_source', 'humans_merger', 'niki')} <= names
    assert 'share/niki_ros/launch/pose.launch.py' in names
    data = {str(path.relative_to(ROOT)) for path in (ROOT / 'niki_ros').rglob('*')
            if path.suffix in ('.onnx', '.npz', '.json', '.html', '.xml')}
    assert data and data <= names


def test_every_dependency_is_installed():
    """Packages of ROS and Ubuntu come from apt; those that rosdep takes from PyPI from pip."""
    needed = {one.text for kind in ('depend', 'exec_depend')
              for one in ElementTree.parse(ROOT / 'package.xml').findall(kind)}
    apt, pip = set(installed_by_apt()), ' '.join(lines_of('RUN'))
    for name in needed:
        if name.endswith('-pip'):
            module = name.removeprefix('python3-').removesuffix('-pip')
            assert re.search(rf"pip install [^&]*'{module}==", pip), name
        elif name.startswith('python3-'):
            assert name in apt
        else:
            assert PREFIX + name.replace('_', '-') in apt
    optional = {'python3-pip', f'{PREFIX}hri-msgs', f'{PREFIX}vision-msgs'}
    assert optional <= apt
    known = {PREFIX + name.replace('_', '-') for name in needed} | needed | optional
    assert apt <= known


def test_layers_are_clean():
    """Package lists do not stay, no optional package is installed, the user is not root."""
    words = [name for name, _ in instructions()]
    assert words[0] == 'FROM' and lines_of('FROM')[0].split(':')[1] not in ('', 'latest')
    for rest in lines_of('RUN'):
        steps = [step.split() for step in rest.split('&&')]
        for number, step in enumerate(steps):
            if step[:2] == ['apt-get', 'install']:
                assert steps[number - 1] == ['apt-get', 'update']
                assert {'-y', '--no-install-recommends'} <= set(step)
                assert ['rm', '-rf', '/var/lib/apt/lists/*'] in steps[number:]
    assert installed_by_apt() == sorted(set(installed_by_apt()))
    assert lines_of('USER')[-1] not in ('root', '0') and lines_of('WORKDIR')[0].startswith('/')


def test_entry_point_and_command_exist():
    entry, = json.loads(lines_of('ENTRYPOINT')[-1])
    source, = [some[0] for some, target in copies() if target == entry]
    assert os.access(ROOT / source, os.X_OK)
    command = json.loads(lines_of('CMD')[-1])
    assert command[:3] == ['ros2', 'launch', 'niki_ros']
    assert (ROOT / 'launch' / command[3]).is_file()


@pytest.mark.skipif(not shutil.which('bash'), reason='no bash here')
def test_the_entry_point_passes_on_arguments_and_exit_code(tmp_path):
    text = (ROOT / 'docker' / 'entrypoint').read_text('utf-8')
    for name, folder in (('ROS', '/opt/ros/$ROS_DISTRO'), ('OURS', '/ws/install')):
        assert f'{folder}/setup.bash' in text
        (tmp_path / name).mkdir()
        (tmp_path / name / 'setup.bash').write_text(f'export FROM_{name}="$#"\n', 'utf-8')
        text = text.replace(folder, str(tmp_path / name))
    done = subprocess.run(
        ['bash', '-c', text, 'entrypoint', 'bash', '-c',
         'echo "$FROM_ROS $FROM_OURS $1"; exit 3', 'x', 'a  b'],
        capture_output=True, text=True, env={**os.environ, 'ROS_DISTRO': 'jazzy'})
    assert done.returncode == 3 and done.stdout.endswith('a  b\n'), done.stderr


def test_the_commands_of_the_page_exist():
    page = (ROOT / 'docs' / 'docker.md').read_text('utf-8')
    for name in set(re.findall(r'\w+\.launch\.py', page)):
        assert (ROOT / 'launch' / name).is_file()
        text = (ROOT / 'launch' / name).read_text('utf-8')
        for argument in re.findall(rf'{name}([^\n]*)', page):
            for word in re.findall(r'(\w+):=', argument):
                assert f"'{word}'" in text
    for verb, code in (('run', run), ('view', view)):
        parser = argparse.ArgumentParser()
        code.add_arguments(parser)
        line, = re.findall(rf'^ +niki {verb} (.*)$', page, flags=re.M)
        parser.parse_args(line.split())
