"""Start the lifecycle node ``niki_pose``, configure and activate it, with rviz if asked for."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, RegisterEventHandler
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.substitutions import FindPackageShare
from lifecycle_msgs.msg import Transition

SHARE = FindPackageShare('niki_ros')
ARGUMENTS = {
    'image': ('image', 'Topic of the camera image; <image>/compressed is its compressed one'),
    'camera_info': ('camera_info', 'Topic with the calibration of that camera'),
    'params_file': (PathJoinSubstitution([SHARE, 'config', 'pose.yaml']), 'Parameters, YAML'),
    'namespace': ('', 'Namespace of the node and its topics'),
    'rviz': ('false', 'Open rviz with a view of image, skeletons and frames'),
    'use_sim_time': ('false', 'Take the time from /clock, for bags'),
}


def generate_launch_description():
    """Describe the arguments, the node with its two transitions, and rviz."""
    image = LaunchConfiguration('image')
    node = LifecycleNode(
        package='niki_ros', executable='pose_node', name='niki_pose', output='screen',
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'),
                    # the transitions below do it, and ros2's tools see them
                    {'autostart': False, 'use_sim_time': LaunchConfiguration('use_sim_time')}],
        remappings=[('image', image), ('image/compressed', [image, '/compressed']),
                    ('camera_info', LaunchConfiguration('camera_info'))])
    activate_when_configured = RegisterEventHandler(OnStateTransition(
        target_lifecycle_node=node, start_state='configuring', goal_state='inactive',
        entities=[change(node, Transition.TRANSITION_ACTIVATE)]))
    rviz = Node(
        package='rviz2', executable='rviz2', name='rviz', output='log',
        namespace=LaunchConfiguration('namespace'),
        arguments=['-d', PathJoinSubstitution([SHARE, 'config', 'niki.rviz'])],
        condition=IfCondition(LaunchConfiguration('rviz')))
    arguments = [DeclareLaunchArgument(name, default_value=default, description=description)
                 for name, (default, description) in ARGUMENTS.items()]
    # The handler comes before the node, or a quick node has its transition unseen.
    return LaunchDescription([
        *arguments, activate_when_configured, node,
        change(node, Transition.TRANSITION_CONFIGURE), rviz])


def change(node, transition_id):
    """Ask a lifecycle node for a transition."""
    return EmitEvent(event=ChangeState(
        lifecycle_node_matcher=matches_action(node), transition_id=transition_id))
