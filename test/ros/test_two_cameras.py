"""Two nodes for two cameras in one graph: remaps, namespaces, frames and ids never collide."""

import time

from niki_ros.ros.conversions import image_from_rgb, info_from_camera
from niki_ros.ros.qos import TF_QOS
import pytest
from rclpy.node import Node
from ros_fixtures import CAMERA, dancer, GREY, pose_node, ros_graph, scripted, T0, wait_for
from scenes import observe_body, T_POSE
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage

SIDES = ('left', 'right')


class TwoCameras(Node):
    def __init__(self):
        super().__init__('two_cameras')
        self.images = {side: self.create_publisher(Image, f'/cams/{side}/image_raw', 5)
                       for side in SIDES}
        self.infos = {side: self.create_publisher(CameraInfo, f'/cams/{side}/camera_info', 5)
                      for side in SIDES}
        self.tf, self.clouds = [], {side: [] for side in SIDES}
        self.create_subscription(TFMessage, '/tf', self.tf.append, TF_QOS)
        for side in SIDES:
            self.create_subscription(PointCloud2, f'/{side}/joints', self.clouds[side].append, 10)

    def send(self, stamp_ns):
        for side in SIDES:
            frame = f'{side}_optical'
            self.infos[side].publish(info_from_camera(CAMERA, stamp_ns, frame))
            self.images[side].publish(image_from_rgb(GREY, stamp_ns, frame))


def node(side, **overrides):
    remaps = [f'image:=/cams/{side}/image_raw', f'camera_info:=/cams/{side}/camera_info']
    return pose_node(scripted(two_people), overrides, namespace=side, cli_args=[
        '--ros-args', *(word for remap in remaps for word in ('-r', remap))])


def two_people(stamp_ns):
    return [*dancer(stamp_ns), observe_body(T_POSE, [-0.9, 0.0, 3.5], CAMERA)]


@pytest.mark.parametrize('conventions, prefixes', [
    (['niki'], {'id_prefix': '{}_'}), (['niki', 'ros4hri'], {})])
def test_two_nodes_never_share_a_frame(conventions, prefixes):
    makers = [node(side, frame_prefix=f'{side}/', conventions=conventions,
                   **{name: value.format(side) for name, value in prefixes.items()})
              for side in SIDES]
    with ros_graph(*makers, TwoCameras) as (left, right, client):
        assert wait_for(lambda: left.state == right.state == 'active')
        assert wait_for(lambda: all(client.images[side].get_subscription_count() == 1
                                    and client.count_publishers(f'/{side}/joints') == 1
                                    for side in SIDES))
        for index in range(25):
            client.send(T0 + index * 40_000_000)
            time.sleep(0.03)
        assert wait_for(lambda: all(len(client.clouds[side]) >= 5 for side in SIDES))
        assert wait_for(lambda: {side for side in SIDES for message in client.tf
                                 if len(message.transforms) > 59 and f'{side}_optical' ==
                                 message.transforms[0].header.frame_id} == set(SIDES))
        publishers_of, parents = {}, {}
        for message in client.tf:
            camera = message.transforms[0].header.frame_id
            for one in message.transforms:
                assert parents.setdefault(one.child_frame_id, one.header.frame_id) \
                    == one.header.frame_id
                assert publishers_of.setdefault(one.child_frame_id, camera) == camera
        bodies = {f'{side}/body_{side}_{number}' for side in SIDES for number in (1, 2)}
        assert bodies <= set(parents)
        for side in SIDES:
            for topic in (f'/{side}/bodies/body_{side}_1', f'/humans/bodies/{side}_1'):
                count = client.count_publishers(f'{topic}/joint_states')
                assert count == (1 if 'humans' not in topic or 'ros4hri' in conventions else 0)
