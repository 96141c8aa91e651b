"""Quality of service, clocks: what a publisher offers, what ROS's own parameters say, /clock."""

import time

from lifecycle_msgs.msg import Transition
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.conversions import image_from_rgb, info_from_camera, stamp_from_ns
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_fixtures import (
    CAMERA,
    change,
    Client,
    diagnostic_values,
    FRAME,
    GREY,
    pose_node,
    ros_graph,
    running,
    T0,
    TF_QOS,
    wait_for,
)
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def profile_of(endpoints, name='niki_pose'):
    own, = [end.qos_profile for end in endpoints if end.node_name == name]
    return own


@pytest.mark.parametrize('overrides, reliability, durability', [
    ({}, ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE),
    ({'qos.output_reliability': 'best_effort', 'qos.output_durability': 'transient_local'},
     ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.TRANSIENT_LOCAL),
    ({'qos_overrides./joints.publisher.reliability': 'best_effort'},
     ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)])
def test_outputs(overrides, reliability, durability):
    with running(overrides=overrides) as (node, client):
        own = profile_of(client.get_publishers_info_by_topic('/joints'))
        assert (own.reliability, own.durability) == (reliability, durability)
        description = profile_of(client.get_publishers_info_by_topic('/tf'))
        assert description.reliability == ReliabilityPolicy.RELIABLE


def test_standard_overrides_of_the_image_survive_a_second_configure():
    overrides = {'qos_overrides./image.subscription.reliability': 'reliable',
                 'qos_overrides./image.subscription.depth': 3}
    with running(overrides=overrides) as (node, client):
        for _ in range(2):
            own = profile_of(client.get_subscriptions_info_by_topic('/image'))
            assert own.reliability == ReliabilityPolicy.RELIABLE
            assert node.get_parameter('qos_overrides./image.subscription.depth').value == 3
            assert all(change(client, transition) for transition in (
                Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP,
                Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE))
            assert wait_for(lambda: client.count_subscribers('/image') == 1)


def test_a_publisher_that_offers_too_little_is_named(capfd):
    overrides = {'qos.image_reliability': 'reliable', 'health.silent_warn_s': 0.5}
    with running(overrides=overrides) as (node, client):
        client.destroy_publisher(client.images)
        client.images = client.create_publisher(Image, 'image', BEST_EFFORT)
        status = client.row('qos_incompatible')
        assert '/image: a publisher offers less reliability' in status.message
        assert status.level == b'\x01' and 'best_effort' in diagnostic_values(status)['remedy']
        # a better publisher comes, and the fault is gone
        client.destroy_publisher(client.images)
        client.images = client.create_publisher(Image, 'image', 5)
        client.send_until_processed(T0)
        assert wait_for(lambda: client.diagnostics['qos_incompatible'].level == b'\x00')
    assert capfd.readouterr().err.count('qos_incompatible:') == 1


@pytest.mark.parametrize('remaps, topic', [
    ([], '/robot/image/compressed'),
    (['image:=/cam/image_raw'], '/cam/image_raw/compressed'),
    (['image:=/cam/image_raw', 'image/compressed:=/other'], '/other')])
def test_compressed_images_are_below_the_remapped_topic(remaps, topic):
    """As image_transport does it; a remap of its own wins."""
    words = [word for remap in remaps for word in ('-r', remap)]
    with running(overrides={'image_transport': 'compressed'}, namespace='robot',
                 client=lambda: Client('robot'),
                 cli_args=['--ros-args', *words]) as (node, client):
        assert wait_for(lambda: client.count_subscribers(topic) == 1)
        jpegs = client.create_publisher(CompressedImage, topic, 5)
        message = CompressedImage(format='jpeg', data=jpeg_from_rgb(GREY))
        message.header = image_from_rgb(GREY, T0, FRAME).header
        assert wait_for(lambda: jpegs.publish(message) or client.clouds)


def test_tf_and_diagnostics_can_be_remapped():
    """A fleet of robots keeps each robot's frames below its own name."""
    with running(namespace='robot', client=lambda: Client('robot'), cli_args=[
            '--ros-args', '-r', '/tf:=tf', '-r', '/diagnostics:=diagnostics']) as (node, client):
        heard = []
        client.create_subscription(TFMessage, '/robot/tf', heard.append, TF_QOS)
        stamp_ns = client.send_until_processed(T0)
        assert wait_for(lambda: client.send(stamp_ns + 10**9) or heard)
        assert not client.tf and client.count_publishers('/robot/diagnostics') == 1


def test_best_effort_camera_needs_no_setting():
    """Camera drivers send best effort."""
    with running() as (node, client):
        client.destroy_publisher(client.images)
        client.images = client.create_publisher(Image, 'image', BEST_EFFORT)
        assert wait_for(lambda: client.images.get_subscription_count() == 1)
        client.send_until_processed(T0)


def test_camera_info_that_was_sent_once():
    overrides = {'autostart': False, 'qos.info_durability': 'transient_local',
                 'qos.info_reliability': 'reliable'}
    with ros_graph(pose_node(overrides=overrides), Client) as (node, client):
        latched = client.create_publisher(CameraInfo, 'camera_info', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        latched.publish(info_from_camera(CAMERA, T0, FRAME))
        assert change(client, Transition.TRANSITION_CONFIGURE)
        assert change(client, Transition.TRANSITION_ACTIVATE)
        client.send_until_processed(T0, info=False)
        assert node.health.camera_source == 'camera_info'


def test_time_from_clock():
    """Before /clock the node starts and says what it waits for; then all stamps are of /clock."""
    with running(overrides={'use_sim_time': True}) as (node, client):
        client.row('no_clock')
        clock = client.create_publisher(Clock, '/clock', 10)
        assert wait_for(lambda: clock.get_subscription_count() == 1)
        for index in range(60):
            now_ns = T0 + index * 20_000_000
            clock.publish(Clock(clock=stamp_from_ns(now_ns)))
            client.infos.publish(info_from_camera(CAMERA, now_ns, FRAME))
            client.images.publish(image_from_rgb(GREY, now_ns - 10_000_000, FRAME))
            time.sleep(0.02)
        assert wait_for(lambda: client.diagnostics['no_clock'].level == b'\x00')
        assert node.get_clock().now().nanoseconds >= T0
        assert wait_for(lambda: 0 <= float(client.values()['latency_ms_p50']) < 2000)
        assert 'clock_differs' not in client.diagnostics
        assert all(ns_from_stamp(cloud.header.stamp) < T0 + 2 * 10**9 for cloud in client.clouds)


def test_clocks_that_differ_are_named():
    """A bag without /clock: latencies mean nothing, and the remedy is said."""
    with running() as (node, client):
        for index in range(15):
            client.send_until_processed(T0 + index * 10**9)
        status = client.row('clock_differs')
        assert 'use_sim_time' in diagnostic_values(status)['remedy']
        assert 'latency_high' not in client.diagnostics
