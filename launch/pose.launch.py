"""Start the lifecycle node ``niki_pose``, or one for each camera, with or without rviz."""

import sys

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.substitutions import FindPackageShare
from niki_ros.common.errors import ConfigError
from niki_ros.ros.launch_settings import (
    camera_nodes,
    choice,
    existing_file,
    flag,
    given_parameters,
    needs_merger,
    unknown_arguments,
)

SHARE = FindPackageShare('niki_ros')
# an empty default = the value of the parameter file
ARGUMENTS = {
    'image': ('image', 'Topic of the camera images; compressed ones are on <image>/compressed'),
    'camera_info': ('camera_info', 'Topic with the calibration of that camera'),
    'camera_frame': ('', 'Optical frame of the camera, also for rviz; empty = that of the images'),
    'cameras': ('', 'File of several cameras, such as config/cameras.yaml; each has a node'),
    'params_file': (PathJoinSubstitution([SHARE, 'config', 'pose.yaml']), 'Parameter file, YAML'),
    'namespace': ('', 'Namespace of the node and its topics'),
    'autostart': ('true', 'Configure and activate; false = leave it to a lifecycle manager'),
    'conventions': ('', 'Conventions of the outputs: niki, ros4hri, or niki,ros4hri'),
    'id_prefix': ('', 'Prefix of every id'),
    'frame_prefix': ('', 'Prefix of every body frame'),
    'ground_frame': ('', 'Frame with the ground at z = 0'),
    'publish_tf': ('', 'Frames of people in TF: all, root or none'),
    'enclave': ('', 'SROS 2 enclave of the nodes'),
    'rviz': ('false', 'Open rviz with images, skeletons and frames'),
    'use_sim_time': ('false', 'Use the time of /clock, for bags'),
    'on_exit': ('shutdown', 'Action when a node ends: shutdown of the launch, or ignore'),
}
PARAMETERS = ('conventions', 'id_prefix', 'frame_prefix', 'ground_frame', 'publish_tf')


def generate_launch_description():
    """Declare the arguments; the nodes are made from their values."""
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])


def start(context):
    """Return the nodes."""
    values = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    unknown = unknown_arguments(context.argv, ARGUMENTS)
    if unknown and any(word.endswith('pose.launch.py') for word in sys.argv):
        raise ConfigError('; '.join(unknown))
    choice('on_exit', values['on_exit'], ('shutdown', 'ignore'))
    existing_file('params_file', values['params_file'])
    cameras = camera_nodes(values, given_parameters(values, PARAMETERS))
    # unknown arguments may belong to a launch file that includes this one
    hints = [LogInfo(msg=text) for text in unknown if 'did you mean' in text]
    merged = needs_merger(cameras, values['params_file'])
    return [*hints, *(pose_node(camera, values, merged) for camera in cameras),
            *([merger(values)] if merged else []), *rviz(cameras[0], values)]


def shut_down(_, context):
    """End the launch after the end of a node, unless the launch is ending already."""
    return None if context.is_shutdown else [Shutdown(reason='niki_pose has ended')]


def merger(values):
    """Return the node that merges the lists of people of several cameras."""
    return Node(package='niki_ros', executable='humans_merger', name='humans_merger',
                output='screen', namespace=values['namespace'],
                ros_arguments=['--enclave', values['enclave']] if values['enclave'] else None)


def pose_node(camera, values, merged=False):
    """
    Return the node of one camera; with ``autostart`` it configures and activates itself.

    :param merged: whether humans_merger merges its list of people with others.
    """
    own = {'autostart': flag('autostart', values['autostart']),
           'use_sim_time': flag('use_sim_time', values['use_sim_time'])}
    if camera.camera_frame:
        own['frame_id'] = camera.camera_frame
    return LifecycleNode(
        package='niki_ros', executable='pose_node', name='niki_pose', output='screen',
        namespace=camera.namespace, parameters=[values['params_file'],
                                                {**camera.parameters, **own}],
        ros_arguments=['--enclave', values['enclave']] if values['enclave'] else None,
        on_exit=shut_down if values['on_exit'] == 'shutdown' else None,
        remappings=[('image', camera.image), ('image/compressed', f'{camera.image}/compressed'),
                    ('camera_info', camera.camera_info),
                    *([('/humans/bodies/tracked', 'bodies/tracked')] if merged else [])])


def rviz(camera, values):
    """Return rviz with the topics of one camera, or nothing without the argument ``rviz``."""
    if not flag('rviz', values['rviz']):
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError as error:
        raise ConfigError('rviz:=true, but rviz2 is not installed: sudo apt install '
                          'ros-$ROS_DISTRO-rviz2') from error
    frame = ['-f', camera.camera_frame] if camera.camera_frame else []
    return [Node(package='rviz2', executable='rviz2', name='rviz', output='log',
                 namespace=camera.namespace,
                 arguments=['-d', PathJoinSubstitution([SHARE, 'config', 'niki.rviz']), *frame])]
