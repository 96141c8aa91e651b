"""What the launch files make of their arguments, without launch."""

import ast
from pathlib import Path

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import settings_of
from niki_ros.ros.launch_settings import (
    camera_nodes,
    choice,
    existing_file,
    flag,
    given_parameters,
    unknown_arguments,
)
from niki_ros.ros.settings import NodeConfig
import pytest

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = {'namespace': '', 'image': 'image', 'camera_info': 'camera_info', 'camera_frame': '',
             'cameras': ''}


def test_unknown_arguments_are_named():
    known = ['image', 'namespace']
    assert unknown_arguments(['image:=x', 'name', '--debug'], known) == []
    assert unknown_arguments(['imge:=x', 'zzz:=1'], known) == [
        "unknown launch argument 'imge'; did you mean 'image'?",
        "unknown launch argument 'zzz'; known: image, namespace"]


def test_only_what_was_given_is_a_parameter():
    arguments = {'conventions': 'niki, ros4hri', 'id_prefix': '', 'publish_tf': 'all'}
    given = given_parameters(arguments, ('conventions', 'id_prefix', 'publish_tf'))
    assert given == {'conventions': ['niki', 'ros4hri'], 'publish_tf': 'all'}
    assert given_parameters({'conventions': '[ros4hri]'}, ['conventions']) == {
        'conventions': ['ros4hri']}


def test_arguments_that_are_parameters_exist():
    tree = ast.parse((ROOT / 'launch' / 'pose.launch.py').read_text('utf-8'))
    names, = [ast.literal_eval(node.value) for node in tree.body if isinstance(node, ast.Assign)
              and node.targets[0].id == 'PARAMETERS']
    assert set(names) <= {item.name for item in settings_of(NodeConfig())}


def test_one_camera():
    node, = camera_nodes({**ARGUMENTS, 'namespace': 'robot'}, {'id_prefix': 'a_'})
    assert node == ('robot', 'image', 'camera_info', '', {'id_prefix': 'a_'})


def test_the_cameras_of_the_example():
    arguments = {**ARGUMENTS, 'namespace': 'robot', 'cameras': str(ROOT / 'config/cameras.yaml')}
    left, right = camera_nodes(arguments, {'publish_tf': 'root'})
    assert left.namespace == 'robot/left' and left.image == '/left_camera/image_raw'
    assert left.parameters == {'publish_tf': 'root', 'id_prefix': 'left_', 'frame_prefix': 'left/'}
    assert right.parameters['observer.model'] == 'lite'


@pytest.mark.parametrize('text, said', [
    ('', 'cameras.yaml'), ('[a, b]', 'cameras.yaml'), ('a: 1', 'cameras.yaml'),
    ('a: {imge: x}', "camera 'a': 'imge' is not one of image"), ('a: {', 'cameras:='),
    ('a: {image: [x]}', r"camera 'a': image is \['x'\]"),
    ('a: {camera_info: 3}', 'camera_info is 3'),
    ('a: {image: }', 'image is None'), ('a: {parameters: 3}', 'parameters is 3'),
    ('1: {image: x}', 'camera 1'), ('a b: {image: x}', "camera 'a b'"),
    ('a/b: {image: x}', "camera 'a/b'"), ('a_: {image: x}', "camera 'a_'")])
def test_a_file_that_is_none(tmp_path, text, said):
    (tmp_path / 'cameras.yaml').write_text(text, 'utf-8')
    with pytest.raises(ConfigError, match=said):
        camera_nodes({**ARGUMENTS, 'cameras': str(tmp_path / 'cameras.yaml')}, {})
    with pytest.raises(ConfigError, match='other.yaml'):
        camera_nodes({**ARGUMENTS, 'cameras': str(tmp_path / 'other.yaml')}, {})


def test_flags():
    assert flag('rviz', 'true') and not flag('rviz', 'False')
    with pytest.raises(ConfigError, match='rviz:=maybe'):
        flag('rviz', 'maybe')


@pytest.mark.parametrize('name', ['image', 'camera_info', 'camera_frame', 'id_prefix',
                                  'frame_prefix'])
def test_what_each_camera_has_of_its_own_is_not_said_for_all(name):
    arguments = {**ARGUMENTS, 'cameras': str(ROOT / 'config/cameras.yaml'), name: 'x'}
    with pytest.raises(ConfigError, match=f'{name}:=x and cameras:='):
        camera_nodes(arguments, {})


def test_words_and_files_of_arguments():
    assert choice('on_exit', 'ignore', ('shutdown', 'ignore')) == 'ignore'
    with pytest.raises(ConfigError, match='on_exit:=shutdwon.*shutdown.*ignore'):
        choice('on_exit', 'shutdwon', ('shutdown', 'ignore'))
    assert existing_file('params_file', __file__) == __file__
    with pytest.raises(ConfigError, match='params_file:=/no/such.yaml'):
        existing_file('params_file', '/no/such.yaml')
