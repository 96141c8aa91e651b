"""What is on the topics instead of what the node reads: said by name, over DDS."""

from __future__ import annotations

from array import array
from contextlib import contextmanager
import os
import struct

import cv2
from niki_ros.ros.conversions import stamp_from_ns
import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_fixtures import FRAME, running, T0, wait_for
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

FAST = Parameter('diagnostics_period_s', value=0.1)


@contextmanager
def somebody_else():
    """Yield a node of another process, as far as DDS can tell: it may use other types."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    node = Node('somebody_else', context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_another_type_under_the_name():
    """Such as packets of a video codec, which need a decoder."""
    with running(overrides=[FAST]) as (node, client), somebody_else() as other:
        client.destroy_publisher(client.images)
        assert 'niki_pose: topic_type_differs' not in client.diagnostics
        other.create_publisher(String, '/image', 1)
        assert wait_for(lambda: 'niki_pose: topic_type_differs' in client.diagnostics)
        text = client.diagnostics['niki_pose: topic_type_differs'].message
        assert text == '/image carries std_msgs/msg/String, and sensor_msgs/msg/Image is read'


def test_only_a_compressed_transport():
    with running(overrides=[FAST]) as (node, client):
        client.create_publisher(CompressedImage, '/depth/compressedDepth', 1)
        assert wait_for(lambda: 'niki_pose: transport_differs' in client.diagnostics)
        assert ('/depth, but there is /depth/compressedDepth'
                in client.diagnostics['niki_pose: transport_differs'].message)


def test_compressed_depth_sets_the_distance():
    """The person is seen at 3 m; the depth camera says that the trunk's surface is at 2.5."""
    arguments = ['--ros-args', '-r', 'depth:=/cam/depth/image_rect_raw/compressedDepth']
    with running(overrides=[FAST], cli_args=arguments) as (node, client):
        depths = client.create_publisher(
            CompressedImage, '/cam/depth/image_rect_raw/compressedDepth', 5)
        assert wait_for(lambda: depths.get_subscription_count() == 1)
        message = CompressedImage(format='16UC1; compressedDepth png')
        flat = np.full((480, 640), 2500, np.uint16)
        message.data = array('B', struct.pack('<i2f', 0, 0, 0)
                             + cv2.imencode('.png', flat)[1].tobytes())
        message.header.frame_id = FRAME
        for index in range(40):
            stamp_ns = T0 + index * 33_000_000
            message.header.stamp = stamp_from_ns(stamp_ns + 3_000_000)
            depths.publish(message)
            client.send(stamp_ns)
            wait_for(lambda wanted=stamp_ns: wanted in client.processed(), 0.5)
        assert abs(client.tf[-1].transforms[0].transform.translation.z - 2.61) < 0.1
        assert 'niki_pose: depth_invalid' not in client.diagnostics
