"""The launch files load and describe what the README promises, where launch is installed."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from niki_ros.core.config import apply_settings, NodeConfig, PipelineConfig, settings_of
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


def load(name):
    """Import a launch file by its path, as launch does."""
    # launch alone would find our own folder of that name
    pytest.importorskip('launch_ros', reason='launch_ros comes with a ROS 2 installation')
    spec = spec_from_file_location(name.replace('.', '_'), ROOT / 'launch' / name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.generate_launch_description()


def argument_names(description):
    return {argument.name for argument in description.get_launch_arguments()}


def test_pose_launch():
    from_file = load('pose.launch.py')
    from launch_ros.actions import LifecycleNode
    assert argument_names(from_file) == {
        'image', 'camera_info', 'params_file', 'namespace', 'rviz', 'use_sim_time'}
    assert any(isinstance(entity, LifecycleNode) for entity in from_file.entities)


def test_demo_launch():
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
