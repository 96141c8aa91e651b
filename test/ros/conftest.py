"""Tests of the nodes; none of them is collected where ROS 2 is not installed."""

from importlib.util import find_spec
import os

os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
# pip install the wheels with "make test", which builds tf2_msgs too
collect_ignore_glob = [] if find_spec('rclpy') and find_spec('tf2_msgs') else ['test_*.py']
