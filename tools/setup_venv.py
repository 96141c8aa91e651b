#!/usr/bin/env python3
"""
Make the environment ``.venv`` with all packages that one goal of the Makefile needs.

In a shell without ROS it installs ROS 2 Jazzy from wheels. In a sourced ROS 2 it uses that ROS and
adds only missing packages. It imports the standard library only, because it runs before anything
is installed.
"""

import argparse
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import time

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 13)
#: Extras of setup.py and further packages that each goal needs.
GOALS = {
    'fast': (['test'], []),
    'demo': (['bag', 'view'], []),
    'test': (['bag', 'view', 'test'], []),
    'tensorrt': (['bag', 'view', 'test'], ['tensorrt-rtx-cu13']),
    'long': (['bag', 'view', 'rerun', 'test'], ['colcon-common-extensions', 'foxglove-sdk']),
}
#: File in the environment with the name of the ROS 2 that was sourced when it was made.
ROS_MARK = 'niki-ros-distro'


class SetupError(Exception):
    """The environment cannot be made; the message names the remedy."""


def clean_environment() -> dict[str, str]:
    """Return the environment variables without those that another Python's ROS wheels set."""
    environment = dict(os.environ)
    if environment.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None):
        environment.pop('LD_LIBRARY_PATH', None)
    environment.pop('PYTHONHOME', None)
    environment['PIP_DISABLE_PIP_VERSION_CHECK'] = '1'
    return environment


class Steps:
    """Runs commands with one line of output each; the log is shown only when one fails."""

    def __init__(self, log: Path, environment: dict[str, str]):
        self.log, self.environment = log, environment

    def run(self, title: str, *command, needed: bool = True) -> bool:
        """Run one command and return its success; raise SetupError when a needed one fails."""
        print(f'{title} … ', end='', flush=True)
        start = time.monotonic()
        with open(self.log, 'a+', encoding='utf-8', errors='replace') as log:
            log.write(f'\n$ {" ".join(map(str, command))}\n')
            log.flush()
            begin = log.tell()
            code = subprocess.call([str(part) for part in command], stdout=log, cwd=ROOT,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env=self.environment)
            log.seek(begin)
            tail = log.read().splitlines()[-40:]
        print(f'{time.monotonic() - start:.0f} s' if code == 0 else f'failed ({code})', flush=True)
        if code and needed:
            raise SetupError('\n'.join([*tail, f'{title}: failed; the whole log is {self.log}']))
        return code == 0


class Environment:
    """A virtual environment and the ROS 2 that it was made for."""

    def __init__(self, folder: Path, interpreter: str, distro: str):
        self.folder, self.interpreter, self.distro = folder, interpreter, distro
        self.python = folder / 'bin' / 'python'
        self.environment = clean_environment()
        self.steps = Steps(folder / 'setup.log', self.environment)

    def refuse_mixing(self):
        """Raise SetupError for an environment that was made for another ROS 2."""
        mark = self.folder / ROS_MARK
        if not mark.is_file():
            if self.distro and list(self.folder.glob('lib/python*/site-packages/ros_rclpy-*')):
                raise SetupError(
                    f'{self.folder} holds ROS 2 from wheels, and ROS 2 {self.distro} is sourced '
                    'here. Run "make clean" and make again, or use a shell without it.')
            return
        made_for = mark.read_text(encoding='utf-8')
        if made_for != self.distro:
            names = [f'ROS 2 {name}' if name else 'no ROS 2' for name in (made_for, self.distro)]
            raise SetupError(f'{self.folder} was made with {names[0]} sourced, and here it is '
                             f'{names[1]}. Source the same, or "make clean" and make again.')

    def create(self):
        self.refuse_mixing()
        if not self.python.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            options = ['--system-site-packages'] if self.distro else []
            try:
                self.steps.run(f'Python environment in {self.folder.name}', self.interpreter,
                               '-m', 'venv', *options, self.folder)
            except SetupError as error:
                raise SetupError(f'{error}\nOn Debian and Ubuntu: sudo apt install '
                                 'python3-venv') from None
        (self.folder / ROS_MARK).write_text(self.distro, encoding='utf-8')

    def pip(self, title: str, *arguments):
        """Run ``pip install`` with the constraints of this project."""
        constraints = ['-c', ROOT / 'requirements' / 'constraints.txt']
        if self.distro:
            constraints += ['-c', self._system_versions()]
        self.steps.run(title, self.python, '-m', 'pip', 'install', '--no-input', *constraints,
                       *arguments)

    def has(self, module: str) -> bool:
        return subprocess.call([str(self.python), '-c', f'import {module}'], env=self.environment,
                               stderr=subprocess.DEVNULL) == 0

    def _system_versions(self) -> Path:
        """
        Write a constraint on numpy's series for a sourced ROS, whose messages depend on it.

        The messages are compiled against numpy, whose binary interface is fixed within a series.
        The patch version may rise: with 1.21.5 of Ubuntu 22.04 pip would choose ONNX Runtime 1.12,
        which cannot read the graphs; newer ones need 1.21.6.
        """
        path = self.folder / 'system-constraints.txt'
        if not path.exists():
            version = subprocess.run([self.interpreter, '-c', 'import numpy; '
                                      'print(numpy.__version__)'], env=self.environment,
                                     capture_output=True, text=True, check=True).stdout.strip()
            series = '.'.join(version.split('.')[:2])
            path.write_text(f'numpy>={version},=={series}.*\n', encoding='utf-8')
        return path

    def install(self, goal: str):
        """Install ROS where it is missing, this project and the packages of the goal."""
        extras, packages = GOALS[goal]
        ros = [] if self.distro or goal == 'fast' else [
            '-r', ROOT / 'requirements' / 'ros-jazzy.txt']
        self.pip(f'niki_ros{", ROS 2 Jazzy" if ros else ""}', *ros, *packages,
                 '-e', f'{ROOT}[{",".join(extras)}]')
        if goal != 'fast':
            self._install_messages(goal)
            # fetched here, so that "make demo" needs no network; a user may give another video
            self.steps.run('Demo clip', self.python, ROOT / 'tools' / 'demo_clip.py', '--fetch',
                           needed=False)
        if goal not in ('demo', 'fast'):
            # anny, the body model of the renderer, is large; only the long tests need it
            extra = '[render]' if goal == 'long' else ''
            self.pip('niki_training and PyTorch', 'moderngl', '-e', f'{ROOT / "training"}{extra}')

    def _install_messages(self, goal: str):
        """Build the message packages that the ROS 2 wheels lack."""
        if not self.has('tf2_msgs.msg'):
            if self.distro:
                raise SetupError(f'ROS 2 {self.distro} has no tf2_msgs: sudo apt install '
                                 f'ros-{self.distro}-tf2-msgs')
            self.pip('tf2_msgs, built from its definition', ROOT / 'tools' / 'tf2_msgs')
        for name in ('hri_msgs', 'vision_msgs'):
            if goal != 'demo' and not self.distro and not self.has(f'{name}.msg'):
                self.pip(f'{name}, built from its definitions', ROOT / 'tools' / name)


def usable(interpreter: str) -> bool:
    """Return whether an interpreter runs, has a version that ROS 2 supports, and has venv."""
    check = (f'import sys, venv, ensurepip; '
             f'sys.exit(not {OLDEST} <= sys.version_info[:2] <= {NEWEST})')
    try:
        return subprocess.call([interpreter, '-c', check], env=clean_environment(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def find_interpreter(wanted: str | None, distro: str) -> str:
    """Return the interpreter to use: ``wanted``, the sourced ROS's, or the best one found."""
    if wanted and not usable(wanted):
        raise SetupError(f'PYTHON={wanted} does not run, is not 3.10 to 3.13, or has no venv '
                         '(Debian: sudo apt install python3-venv)')
    if wanted or distro:
        return wanted or 'python3'
    for name in ('python3.11', 'python3.12', 'python3.13', 'python3.10', 'python3'):
        if usable(name):
            return name
    raise SetupError('No Python 3.10 to 3.13 with venv was found. On Debian and Ubuntu: sudo apt '
                     'install python3 python3-venv; or give one: make demo PYTHON=/path/to/python')


def refuse_unsuitable_machine(interpreter: str):
    """Raise SetupError before any download on a machine where the build would fail later."""
    system = (platform.system(), platform.machine())
    if system != ('Linux', 'x86_64'):
        raise SetupError(f'ROS 2 wheels exist for Linux x86-64 only, not for {" ".join(system)}. '
                         'Install ROS 2, and source /opt/ros/<distro>/setup.bash')
    header = subprocess.run(
        [interpreter, '-c', 'import sysconfig; print(sysconfig.get_paths()["include"])'],
        env=clean_environment(), capture_output=True, text=True, check=True).stdout.strip()
    missing = [] if shutil.which('g++') else ['g++']
    if not (Path(header) / 'Python.h').is_file():
        missing.append('python3-dev')
    if missing:
        raise SetupError('The TF message is compiled here, which needs a C++ compiler and the '
                         f'headers of Python: sudo apt install {" ".join(missing)}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('goal', choices=sorted(GOALS))
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv')
    parser.add_argument('--python', help='interpreter to use (default: the best found)')
    args = parser.parse_args()
    distro = os.environ.get('ROS_DISTRO', '')
    try:
        interpreter = find_interpreter(args.python, distro)
        environment = Environment(args.venv.resolve(), interpreter, distro)
        environment.refuse_mixing()
        if not distro and args.goal != 'fast':
            refuse_unsuitable_machine(interpreter)
        environment.create()
        environment.install(args.goal)
    except SetupError as error:
        print(f'\n{error}', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
