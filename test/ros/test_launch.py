"""The launch files load and describe what the README promises, where launch is installed."""

from importlib.util import module_from_spec, spec_from_file_location
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from lifecycle_msgs.msg import Transition
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.settings import NodeConfig
import pytest
from ros_fixtures import change, Client, ros_graph, state
from scenes import child_environment
import yaml

ROOT = Path(__file__).resolve().parents[2]


def load(name):
    # launch alone would find our own folder of that name
    pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS 2 installation')
    spec = spec_from_file_location(name.replace('.', '_'), ROOT / 'launch' / name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def argument_names(description):
    return {argument.name for argument in description.get_launch_arguments()}


# as "ros2 launch FILE name:=value ..." does it
ROS2_LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
path, *arguments = sys.argv[1:]
service = LaunchService(argv=arguments)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    AnyLaunchDescriptionSource(path),
    launch_arguments=[tuple(word.split(':=', 1)) for word in arguments])]))
sys.exit(service.run())
"""


@pytest.fixture
def ros2_launch(tmp_path):
    """Return what runs a launch file to its end, with the package as it lies here."""
    pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS 2 installation')
    prefix = tmp_path / 'prefix'
    for folder in ('share/ament_index/resource_index/packages', 'share/niki_ros', 'lib/niki_ros'):
        (prefix / folder).mkdir(parents=True)
    (prefix / 'share/ament_index/resource_index/packages/niki_ros').touch()
    for name in ('launch', 'config', 'package.xml'):
        (prefix / 'share/niki_ros' / name).symlink_to(ROOT / name)
    for name in ('pose_node', 'video_source', 'humans_merger'):
        path = prefix / 'lib/niki_ros' / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -m niki_ros.ros.{name} "$@"\n')
        path.chmod(0o755)
    environment = child_environment(
        ROS_DOMAIN_ID='78', ROS_LOG_DIR=str(tmp_path),
        AMENT_PREFIX_PATH=f'{prefix}:{os.environ.get("AMENT_PREFIX_PATH", "")}')
    started = []

    def start(name, *arguments):
        command = [sys.executable, '-c', ROS2_LAUNCH, str(ROOT / 'launch' / name), *arguments]
        started.append(subprocess.Popen(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment, cwd=tmp_path, start_new_session=True))
        return started[-1]
    yield start
    # of a test that failed
    for process in [one for one in started if one.poll() is None]:
        end(process)


def wait_for_line(process, part):
    """Read the log up to a line with ``part``; return its lines."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return lines
    raise AssertionError(''.join(lines))


def end(process) -> str:
    """Press Ctrl-C, which a terminal sends to all; return what was left of the log."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=20)[0]


def test_pose_launch():
    from_file = load('pose.launch.py')
    assert argument_names(from_file) == {
        'image', 'camera_info', 'camera_frame', 'cameras', 'params_file', 'namespace', 'autostart',
        'conventions', 'id_prefix', 'frame_prefix', 'ground_frame', 'publish_tf', 'enclave',
        'rviz', 'use_sim_time', 'on_exit'}


@pytest.mark.parametrize('name', ['pose.launch.py', 'demo.launch.py'])
def test_a_misspelled_argument_is_named(ros2_launch, name):
    process = ros2_launch(name, 'source:=x.mp4', 'namespce:=robot')
    said = process.communicate(timeout=20)[0]
    assert process.returncode == 1
    assert "unknown launch argument 'namespce'; did you mean 'namespace'?" in said


def test_the_launch_ends_with_the_node(ros2_launch):
    process = ros2_launch('pose.launch.py', 'publish_tf:=some')
    assert "publish_tf is 'some'" in process.communicate(timeout=20)[0]


def test_a_healthy_start_is_a_few_lines(ros2_launch):
    process = ros2_launch('pose.launch.py', 'conventions:=niki', 'id_prefix:=a_',
                          'camera_frame:=eye', 'image:=/cam/image_raw')
    lines = wait_for_line(process, 'active: reading /cam/image_raw and /camera_info')
    assert len(lines) < 15 and max(map(len, lines)) < 300, lines
    assert 'finished cleanly' in end(process)


def test_a_lifecycle_manager_owns_the_node(ros2_launch):
    process = ros2_launch('pose.launch.py', 'autostart:=false', 'namespace:=robot')
    os.environ['ROS_DOMAIN_ID'] = '78'
    wait_for_line(process, 'process started')
    with ros_graph(lambda: Client('robot'), domain=78) as (client,):
        assert state(client) == 'unconfigured'
        assert change(client, Transition.TRANSITION_CONFIGURE)
        time.sleep(1.0)
        assert state(client) == 'inactive'
        assert change(client, Transition.TRANSITION_ACTIVATE) and state(client) == 'active'
    assert 'finished cleanly' in end(process)


def test_a_node_for_each_camera(ros2_launch):
    process = ros2_launch('pose.launch.py', f'cameras:={ROOT}/config/cameras.yaml')
    both = ''.join(wait_for_line(process, 'active:') + wait_for_line(process, 'active:'))
    assert '[left.niki_pose]: active: reading /left_camera/image_raw' in both
    assert '[right.niki_pose]: active: reading /right_camera/image_raw' in both
    end(process)


def test_several_cameras_by_rep_155_have_one_list(ros2_launch):
    pytest.importorskip('hri_msgs', reason='hri_msgs is not built here: "make test"')
    process = ros2_launch('pose.launch.py', f'cameras:={ROOT}/config/cameras.yaml',
                          'conventions:=niki,ros4hri')
    said = ''.join(wait_for_line(process, 'bodies/tracked')
                   + wait_for_line(process, 'bodies/tracked'))
    assert 'reading /left/bodies/tracked' in said and 'reading /right/bodies/tracked' in said
    assert 'tracked_shared' not in said + end(process)


def test_demo_launch(monkeypatch, tmp_path):
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.environ.get('AMENT_PREFIX_PATH') or str(tmp_path))
    from_file = load('demo.launch.py')
    assert argument_names(from_file) >= {'source', 'loop', 'rviz', 'namespace'}


def test_parameters_are_known_and_the_defaults():
    """The example says what is the default; a name that the node refuses would be found here."""
    text = (ROOT / 'config' / 'pose.yaml').read_text(encoding='utf-8')
    given = yaml.safe_load(text)['/**/niki_pose']['ros__parameters']
    node = {item.name for item in settings_of(NodeConfig())}
    of_node = {name: value for name, value in given.items() if name in node}
    of_pipeline = {name: value for name, value in given.items() if name not in node}
    for config, values in ((NodeConfig(), of_node), (PipelineConfig(), of_pipeline)):
        before = list(settings_of(config))
        assert list(settings_of(apply_settings(config, values))) == before


def test_rviz_configuration_is_yaml_with_our_topics():
    loaded = yaml.safe_load((ROOT / 'config' / 'niki.rviz').read_text(encoding='utf-8'))
    displays = loaded['Visualization Manager']['Displays']
    topics = {display['Topic']['Value'] for display in displays if 'Topic' in display}
    assert topics == {'overlay', 'markers', 'joints'}
    overlay, = [display['Topic'] for display in displays
                if display.get('Topic', {}).get('Value') == 'overlay']
    assert overlay['Reliability Policy'] == 'Reliable'
