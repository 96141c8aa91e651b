"""What is on the topics instead of what the node reads: said by name, over DDS."""

from contextlib import contextmanager
import os

from niki_ros.ros.conversions import image_from_rgb
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from ros_fixtures import FRAME, GREY, running, T0, wait_for
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String


@contextmanager
def other_process():
    """Yield a node of another process, as far as DDS can tell: it may use other types."""
    context = Context()
    rclpy.init(args=[], context=context, domain_id=int(os.environ['ROS_DOMAIN_ID']))
    node = Node('other_process', context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_another_type_under_the_name():
    """Such as packets of a video codec, which need a decoder."""
    with running() as (node, client), other_process() as other:
        client.destroy_publisher(client.images)
        assert 'topic_type_differs' not in client.diagnostics
        other.create_publisher(String, '/image', 1)
        text = client.row('topic_type_differs').message
        assert all(fact in text for fact in (
            '/image ', 'std_msgs/msg/String', 'sensor_msgs/msg/Image'))


def test_only_a_compressed_transport():
    with running() as (node, client):
        client.create_publisher(CompressedImage, '/depth/compressedDepth', 1)
        assert '/depth/compressedDepth' in client.row('transport_differs').message


def test_silence_names_the_topics_that_have_images():
    with (running(overrides={'health.silent_warn_s': 0.5}) as (node, client),
          other_process() as other):
        client.destroy_publisher(client.images)
        other.create_publisher(Image, '/cam/image_raw', 1)
        other.create_publisher(CompressedImage, '/cam/image_raw/compressed', 1)
        assert wait_for(lambda: '/cam/image_raw, /cam/image_raw/compressed'
                        in client.message('no_images'), 10)
        assert '/overlay' not in client.diagnostics['no_images'].message


def test_a_camera_info_that_is_not_remapped():
    with running() as (node, client), other_process() as other:
        client.destroy_publisher(client.infos)
        other.create_publisher(CameraInfo, '/cam/camera_info', 1)
        stamps = iter(range(T0, T0 + 10**12, 10**8))
        assert wait_for(lambda: client.images.publish(image_from_rgb(GREY, next(stamps), FRAME))
                        or '/cam/camera_info' in client.message('camera_info_missing'), 10)


def test_raw_where_compressed_was_asked_for():
    with running(overrides={'image_transport': 'compressed'}) as (node, client):
        assert '/image, which is raw' in client.row('transport_differs').message


def test_two_cameras_on_one_topic():
    with running() as (node, client), other_process() as other:
        assert 'publishers_several' not in client.diagnostics
        other.create_publisher(Image, '/image', 1)
        assert wait_for(lambda: '/client, /other_process' in client.message('publishers_several'))
