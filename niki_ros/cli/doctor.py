"""The verb ``niki doctor``: installed and missing parts, and the commands that install them."""

from importlib import metadata
from importlib.util import find_spec
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
from tempfile import TemporaryFile
from typing import Iterator, NamedTuple

HELP = 'List what is installed, what is missing and how to install it. Exit 1: niki cannot run.'
OK, WARN, MISSING, BROKEN = 'OK', 'WARN', 'missing', 'BROKEN'


class Finding(NamedTuple):
    """One line of the report; BROKEN: niki cannot run, missing: an optional part."""

    name: str
    state: str
    detail: str
    remedy: str = ''


def add_arguments(parser):
    """Add the options of the verb."""
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    """Print the findings; return 1 where one is BROKEN."""
    findings = list(examine())
    broken = any(finding.state == BROKEN for finding in findings)
    if args.json:
        report = {'ok': not broken, 'findings': [finding._asdict() for finding in findings]}
        print(json.dumps(report, indent=1))
        return int(broken)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f'{finding.state:8}{finding.name:{width + 2}}{finding.detail}')
        if finding.remedy:
            print(f'{"":{width + 10}}→ {finding.remedy}')
    return int(broken)


def examine() -> Iterator[Finding]:
    """Yield all findings, those of quick checks first; ROS is not imported."""
    yield _python()
    for module, package in (('numpy', 'numpy'), ('scipy', 'scipy'), ('yaml', 'pyyaml'),
                            ('cv2', 'opencv-python-headless')):
        yield _needed(module, package)
    yield _onnxruntime()
    yield from _models()
    yield _gpu()
    for module, package in (('tensorrt', 'tensorrt'), ('tensorrt_rtx', 'tensorrt-rtx-cu13')):
        yield _optional(module, f'pip install {package}, where there is an NVIDIA GPU')
    yield from _ros()


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 10):  # noqa: UP036 - an older Python is the finding
        return Finding('python', BROKEN, version, 'use Python 3.10 to 3.13')
    return Finding('python', OK, f'{version} on {platform.machine()}')


def _version(module: str) -> str:
    """Return name and version of the packages that contain a module; '' where none is known."""
    names = sorted(set(metadata.packages_distributions().get(module, [])))
    return ', '.join(f'{name} {metadata.version(name)}' for name in names)


def _needed(module: str, package: str) -> Finding:
    """Import a required library: a broken installation fails only there."""
    if find_spec(module) is None:
        return Finding(module, BROKEN, 'not installed', f'pip install {package}')
    try:
        __import__(module)
    except Exception as error:  # noqa: B902 - any error of the import is the finding
        return Finding(module, BROKEN, f'cannot be imported: {error}',
                       f'pip install --force-reinstall {package}')
    version = _version(module)
    if module == 'cv2' and ',' in version:
        return Finding(module, WARN, version, "these overwrite each other's files; keep one")
    return Finding(module, OK, version)


def _optional(module: str, remedy: str) -> Finding:
    if find_spec(module) is None:
        return Finding(module, MISSING, 'not installed (optional)', remedy)
    return Finding(module, OK, _version(module) or 'installed')


def _onnxruntime() -> Finding:
    finding = _needed('onnxruntime', 'onnxruntime')
    if finding.state != OK:
        return finding
    import onnxruntime
    providers = ', '.join(onnxruntime.get_available_providers())
    return finding._replace(detail=f'{finding.detail}; {providers}')


def _models() -> Iterator[Finding]:
    """Load every graph that ships with the default settings."""
    from niki_ros.common.errors import NikiError
    from niki_ros.common.settings import PipelineConfig
    from niki_ros.models.model_store import graphs_of, shipped_models, shipped_names
    names = shipped_names()
    if not names:
        yield Finding('graphs', BROKEN, f'none in {shipped_models()}', 'install niki_ros again')
        return
    config = PipelineConfig()
    try:
        roles = {folder.path.name: role for role, folder in graphs_of(config)}
    except NikiError as error:
        roles = {}
        yield Finding('default settings', BROKEN, str(error), 'install niki_ros again')
    for name in names:
        yield _graph(shipped_models() / name, roles.get(name), config.engine)


def _graph(path: Path, role, settings) -> Finding:
    from niki_ros.backends import engine_options, load_engine
    from niki_ros.common.errors import BackendError, NikiError
    from niki_ros.models.model_folder import read_model_folder
    name = f'graph {path.name}'
    try:
        folder = read_model_folder(path)
        folder.load_graph()
        engine = load_engine(path, **engine_options(settings, int8_of=folder))
    except BackendError as error:
        return Finding(name, BROKEN if role else WARN, f'sha256 agrees; does not run: {error}')
    except NikiError as error:
        return Finding(name, BROKEN, str(error), 'install niki_ros again')
    ran = engine.describe()
    engine.close()
    use = f'{role} by default' if role else 'not used by default'
    return Finding(name, OK, f'{use}; {ran["library"]} {ran["version"]}, {ran["device"]}, '
                   f'{ran["precision"]}; sha256 agrees')


def _gpu() -> Finding:
    """Run nvidia-smi; a Jetson with an older system has none."""
    if Path('/etc/nv_tegra_release').exists():
        return Finding('gpu', OK, 'NVIDIA Jetson')
    command = shutil.which('nvidia-smi')
    if command is None:
        return Finding('gpu', MISSING, 'no NVIDIA driver (optional): models run on the CPU')
    query = [command, '--query-gpu=name,driver_version,memory.total', '--format=csv,noheader']
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding('gpu', WARN, f'nvidia-smi fails: {error}', 'reinstall the NVIDIA driver')
    return Finding('gpu', OK, '; '.join(done.stdout.strip().splitlines()))


def _ros() -> Iterator[Finding]:
    """Yield the findings of ROS 2: a sourced one, or its wheels, which exclude each other."""
    sourced = os.environ.get('ROS_DISTRO')
    remedy = 'source /opt/ros/<distro>/setup.bash, or: make demo (which installs its own)'
    for module in ('rclpy', 'sensor_msgs', 'tf2_msgs', 'visualization_msgs', 'diagnostic_msgs'):
        finding = _optional(module, remedy)
        if finding.state == OK and module == 'rclpy' and sourced:
            wheel = any(name.startswith('ros-') for name in
                        metadata.packages_distributions().get('rclpy', []))
            finding = finding._replace(detail=f'{finding.detail}, ROS 2 {sourced} is sourced')
            if wheel:
                finding = finding._replace(
                    state=WARN, remedy='the ROS wheels conflict with a sourced ROS; use an '
                    'environment without the wheels')
        yield finding
        if finding.state != MISSING and module == 'rclpy':
            yield log_folder()


def log_folder() -> Finding:
    """Check that ROS can write its log: otherwise no node starts."""
    home = os.environ.get('ROS_HOME') or os.path.expanduser('~/.ros')
    folder = Path(os.environ.get('ROS_LOG_DIR') or Path(home, 'log'))
    try:
        if str(folder).startswith('~'):
            raise OSError(0, 'this user has no home folder')
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding('log folder', WARN, f'{folder} cannot be written: {error.strerror}',
                       'export ROS_LOG_DIR=/tmp/ros_log')
    return Finding('log folder', OK, str(folder))
