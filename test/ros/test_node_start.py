"""A node that cannot start says what is in the way, and what it says works; shared files."""

import subprocess
import sys

from niki_ros.files.video_writer import VideoWriter
from niki_ros.ros.parameter_files import shared_names
import numpy as np
import pytest
from ros_fixtures import (
    Client,
    diagnostic_values,
    pose_node,
    ros_graph,
)
from scenes import child_environment

SHARED = """
/**:
  ros__parameters:
    robot_name: rosie
    limits: {speed: 1.0, gain: {p: 2.0}}
    frame_id: head_camera_optical_frame
other_node:
  ros__parameters: {anything: 1}
"""


@pytest.fixture
def clip(tmp_path):
    with VideoWriter(tmp_path / 'clip.mp4', 25.0, 64, 48) as writer:
        for level in (10, 80, 160):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    return tmp_path / 'clip.mp4'


def play(clip, *words, **environment):
    """Run video_source over a clip to its end; return its exit code and what it said."""
    settings = child_environment(**{'ROS_DOMAIN_ID': '0', **environment})
    done = subprocess.run(
        [sys.executable, '-m', 'niki_ros.ros.video_source', '--ros-args', '-p',
         f'source:={clip}', *map(str, words)], capture_output=True, text=True, timeout=60,
        env={name: value for name, value in settings.items() if value})
    return done.returncode, done.stderr + done.stdout


@pytest.mark.parametrize('environment', [
    {'HOME': '/proc/nobody'}, {'ROS_LOG_DIR': '/proc/nobody'}, {'ROS_LOG_DIR': '/dev/null'}])
def test_a_log_folder_that_cannot_be_written(clip, tmp_path, environment):
    code, said = play(clip, **environment)
    assert code == 1 and 'log folder of ROS' in said and 'arguments' not in said
    assert 'ROS_LOG_DIR=' in said and '--disable-external-lib-logs' in said
    if 'HOME' in environment:
        assert play(clip, **environment, ROS_LOG_DIR=str(tmp_path / 'ros_log'))[0] == 0
        assert play(clip, '--disable-external-lib-logs', **environment)[0] == 0


@pytest.mark.parametrize('environment, said', [
    ({'ROS_DOMAIN_ID': 'robot'}, "ROS_DOMAIN_ID is 'robot'"),
    ({'ROS_DOMAIN_ID': '300'}, 'expected a number 0 to 232'),
    ({'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce',
      'ROS_SECURITY_KEYSTORE': '/nowhere'}, 'the keys cannot be read')])
def test_an_environment_that_is_wrong_is_no_wrong_argument(clip, environment, said):
    code, told = play(clip, **environment)
    assert code == 1 and said in told and 'arguments' not in told and 'Traceback' not in told


def test_a_wrong_argument_is_one(clip):
    code, said = play(clip, '--params-file', 'nothing.yaml')
    assert code == 1 and 'ROS does not take these arguments' in said and 'nothing.yaml' in said


def test_a_file_that_several_nodes_share(clip, tmp_path):
    file = tmp_path / 'robot.yaml'
    file.write_text(SHARED)
    code, said = play(clip, '--params-file', file)
    assert code == 0 and 'parameter_foreign' in said
    assert all(name in said for name in ('robot_name', 'limits.speed', 'limits.gain.p'))
    assert 'anything' not in said


@pytest.mark.parametrize('section', ['video_source', '/video_source', '/**/video_source'])
def test_what_is_for_this_node_is_still_checked(clip, tmp_path, section):
    file = tmp_path / 'own.yaml'
    file.write_text(f'{SHARED}\n{section}:\n  ros__parameters: {{lop: true}}\n')
    code, said = play(clip, '--params-file', file)
    assert code == 1 and "unknown parameter 'lop'; did you mean 'loop'?" in said


def test_the_command_line_is_for_this_node(clip):
    code, said = play(clip, '-p', 'jpeg_qualiti:=3')
    assert code == 1 and "did you mean 'jpeg_quality'" in said


def test_which_names_are_shared(tmp_path):
    file, launched = tmp_path / 'a.yaml', tmp_path / 'launch_params_x7'
    file.write_text(SHARED)
    launched.write_text('/**:\n  ros__parameters: {a.b: 1}\n')
    words = ['node', '--ros-args', '--params-file', str(file), '--params-file', str(launched)]
    assert set(shared_names(words, 'niki_pose')) == {
        'robot_name', 'limits.speed', 'limits.gain.p', 'frame_id'}
    assert 'robot_name' not in shared_names([*words, '-p', 'robot_name:=x'], 'niki_pose')
    assert not shared_names(['node', *words[2:]], 'niki_pose')
    assert not shared_names(['node', '--ros-args', '--', *words[2:]], 'niki_pose')
    file.write_text('- no parameters\n- [')
    assert not shared_names(words, 'niki_pose')


@pytest.mark.parametrize('name, level', [('robot_name', b'\x00'), ('auto_start', b'\x01')])
def test_diagnostics_name_what_is_left_out(tmp_path, monkeypatch, name, level):
    file = tmp_path / 'robot.yaml'
    file.write_text(f'/**:\n  ros__parameters: {{{name}: rosie}}\n')
    words = ['--ros-args', '--params-file', str(file)]
    monkeypatch.setattr(sys, 'argv', ['pose_node', *words])
    with ros_graph(pose_node(cli_args=words), Client) as (_, client):
        status = client.row('parameter_foreign', 10)
        assert name in status.message and status.level == level
        assert ("did you mean 'autostart'" in status.message) == (level != b'\x00')
        assert diagnostic_values(status)['remedy']


@pytest.mark.parametrize('text, word', [
    ('a: [1,\n', 'bad.yaml'), (None, 'bad.yaml'),
    ('/**:\n  ros__parameters:\n    tracking.keep_s: [1, "a"]\n', 'same type'),
    ('/**:\n  ros__parameters:\n    trackin.keep_s: 1\n', 'did you mean')])
def test_a_parameter_file_that_cannot_be_read_is_one_line(tmp_path, text, word):
    file = tmp_path / 'bad.yaml'
    if text is not None:
        file.write_text(text)
    done = subprocess.run(
        [sys.executable, '-m', 'niki_ros.ros.pose_node', '--ros-args', '--params-file', file],
        env=child_environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    assert word in done.stderr and 'niki_pose: ' in done.stderr
