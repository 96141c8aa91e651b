"""The installed package has the files that ros2 run, ros2 launch and the node look for."""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tokenize
from xml.etree import ElementTree

import pytest
from scenes import child_environment

ROOT = Path(__file__).resolve().parents[2]
EXECUTABLES = ('pose_node', 'video_source', 'humans_merger', 'niki')


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, env=child_environment(LD_LIBRARY_PATH=''),
                          **options)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """Copy the sources of the package: a build leaves folders next to its sources."""
    copy = tmp_path_factory.mktemp('source') / 'niki_ros'
    copy.mkdir()
    for name in ('package.xml', 'setup.py', 'setup.cfg', 'pyproject.toml', 'LICENSE', 'NOTICE'):
        shutil.copy(ROOT / name, copy)
    for name in ('niki_ros', 'launch', 'config', 'resource'):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__'))
    return copy


@pytest.fixture(scope='module')
def prefix(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp('installed')
    run(sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation',
        '-w', folder, source)
    wheel, = folder.glob('niki_ros-*.whl')
    run(sys.executable, '-m', 'venv', '--without-pip', folder / 'venv')
    run(sys.executable, '-m', 'pip', '--python', folder / 'venv' / 'bin' / 'python', 'install',
        '-q', '--no-deps', '--no-index', wheel)
    return folder / 'venv'


def package_folder(prefix):
    folder, = prefix.glob('lib/python3*/site-packages/niki_ros')
    return folder


@pytest.mark.parametrize('name', EXECUTABLES)
def test_executable_where_ros2_run_looks(prefix, name):
    path = prefix / 'lib' / 'niki_ros' / name
    assert os.access(path, os.X_OK)
    assert os.access(prefix / 'bin' / name, os.X_OK)


def test_executable_runs_from_elsewhere_and_by_link(prefix, tmp_path):
    (tmp_path / 'linked').symlink_to(prefix / 'lib' / 'niki_ros' / 'niki')
    assert 'usage: niki' in run(prefix / 'lib' / 'niki_ros' / 'niki', '--help', cwd=tmp_path)
    assert 'usage: niki' in run(tmp_path / 'linked', '--help', cwd=tmp_path)


def test_share(prefix):
    share = prefix / 'share' / 'niki_ros'
    index = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'niki_ros'
    assert index.is_file()
    assert ElementTree.parse(share / 'package.xml').findtext('name') == 'niki_ros'
    assert 'Apache License' in (share / 'LICENSE').read_text('utf-8')
    assert 'NanoDet' in (share / 'NOTICE').read_text('utf-8'), 'licences of weights'
    for folder in ('launch', 'config'):
        there = {path.name for path in (share / folder).iterdir()}
        assert there >= {path.name for path in (ROOT / folder).iterdir() if path.is_file()}


def test_package_data(prefix):
    source = ROOT / 'niki_ros'
    wanted = {path.relative_to(source) for path in source.rglob('*')
              if path.is_file() and path.suffix != '.pyc'}
    package = package_folder(prefix)
    assert Path('body/skeleton.json') in wanted
    assert {path for path in wanted if not (package / path).is_file()} == set()


def test_version_is_written_once(prefix):
    wanted = ElementTree.parse(ROOT / 'package.xml').findtext('version')
    metadata, = prefix.glob('lib/python3*/site-packages/niki_ros-*.dist-info/METADATA')
    assert f'Version: {wanted}' in metadata.read_text(encoding='utf-8').splitlines()


def test_manifest_is_valid_to_ros():
    """With an invalid e-mail address colcon does not treat the package as a ROS package."""
    parser = pytest.importorskip('catkin_pkg.package', reason='catkin_pkg is not installed')
    package = parser.parse_package(str(ROOT / 'package.xml'))
    assert package.get_build_type() == 'ament_python'


def code_of(path):
    """Return the text of a file, without comments and docstrings of Python."""
    if path.suffix != '.py':
        return path.read_text('utf-8')
    with open(path, 'rb') as file:
        tokens = list(tokenize.tokenize(file.readline))
    return ' '.join(token.string for token in tokens if token.type != tokenize.COMMENT
                    and not token.string.startswith(('"""', "'''")))


def test_mediapipe_is_named_only_as_the_origin_of_weights():
    files = [path for name in ('niki_ros', 'launch', 'config', 'requirements', 'examples')
             for path in (ROOT / name).rglob('*') if path.is_file()
             and path.suffix in ('.py', '.yaml', '.xml', '.json', '.txt', '.rviz', '.toml')]
    files += [ROOT / name for name in ('setup.py', 'package.xml', 'pyproject.toml', 'Makefile',
                                       '.ci/run')]
    named = [path.relative_to(ROOT) for path in files if 'mediapipe' in code_of(path).lower()]
    assert {path.name for path in named} <= {'manifest.json'}, named
    for path in named:
        manifest = json.loads((ROOT / path).read_text('utf-8'))
        told = ('origin', 'training_data', 'license', 'conversion')
        rest = {key: value for key, value in manifest.items() if key not in told}
        assert 'mediapipe' not in json.dumps(rest).lower(), path


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize('options', [[], ['--symlink-install']], ids=['copied', 'symlinked'])
def test_colcon_build(source, tmp_path, options):
    colcon = Path(sys.executable).with_name('colcon')
    if not colcon.exists() and not shutil.which('colcon'):
        pytest.skip('colcon is not installed: pip install colcon-common-extensions')
    command = colcon if colcon.exists() else 'colcon'
    workspace = tmp_path / 'src'
    workspace.mkdir()
    shutil.copytree(source, workspace / 'niki_ros')
    said = run(command, 'build', *options, cwd=tmp_path)
    assert '1 package finished' in said
    prefix = tmp_path / 'install' / 'niki_ros'
    for name in EXECUTABLES:
        assert os.access(prefix / 'lib' / 'niki_ros' / name, os.X_OK)
    assert (prefix / 'share' / 'niki_ros' / 'launch' / 'pose.launch.py').exists()
    assert 'usage: niki' in run('bash', '-c', '. install/setup.bash && '
                                f'"{prefix}/lib/niki_ros/niki" --help', cwd=tmp_path)


def test_tf_message_is_the_one_of_ros():
    """With another type hash no other node would receive the frames."""
    messages = pytest.importorskip('tf2_msgs.msg', reason='tf2_msgs is not installed')
    share = Path(messages.__file__).parents[5] / 'share' / 'tf2_msgs'
    described = share / 'msg' / 'TFMessage.json'
    if not described.is_file():
        pytest.skip('this ROS 2 has no type hashes')
    found, = [item['hash_string'] for item in json.loads(described.read_text())['type_hashes']
              if item['type_name'] == 'tf2_msgs/msg/TFMessage']
    assert found.startswith('RIHS01_e369d0f05a23') and found.endswith('d020f087')
