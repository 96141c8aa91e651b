"""Publish a video file or webcam, and start ``niki_pose`` and rviz."""

import sys

from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare
from niki_ros.common.errors import ConfigError
from niki_ros.ros.launch_settings import unknown_arguments

ARGUMENTS = {
    'source': (None, 'Video file, folder of images, or number of a webcam (0, 1, …)'),
    'loop': ('true', 'Repeat the file'),
    'rviz': (str('rviz2' in get_packages_with_prefixes()).lower(),
             'Open rviz with images, skeletons and frames; the default depends on the '
             'installation'),
    'namespace': ('', 'Namespace of the nodes and their topics'),
}


def generate_launch_description():
    """Start the source of images and include the launch file of the node."""
    share = FindPackageShare('niki_ros')
    source = Node(
        package='niki_ros', executable='video_source', name='video_source', output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[{'source': ParameterValue(LaunchConfiguration('source'), value_type=str),
                     'loop': ParameterValue(LaunchConfiguration('loop'), value_type=bool)}])
    pose = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, 'launch', 'pose.launch.py'])),
        launch_arguments={'rviz': LaunchConfiguration('rviz'),
                          'namespace': LaunchConfiguration('namespace')}.items())
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=check), source, pose])


def check(context):
    """Refuse unknown arguments if this file was launched directly."""
    unknown = unknown_arguments(context.argv, ARGUMENTS)
    if unknown and any(word.endswith('demo.launch.py') for word in sys.argv):
        raise ConfigError('; '.join(unknown))
