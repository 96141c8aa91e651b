"""Faults of duplicate publishers and of frames that are not optical."""

from pathlib import Path
import re

from niki_ros.ros.conversions import image_from_rgb
import numpy as np
import pytest
from ros_fixtures import (
    Client,
    diagnostic_values,
    GREY,
    pose_node,
    ros_graph,
    running,
    T0,
    wait_for,
)
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2


def test_two_nodes_of_one_name():
    with ros_graph(pose_node(), pose_node(), Client) as (_, second, client):
        status = client.row('name_shared', 20)
        assert status.level == b'\x01' and '2 nodes of the name /niki_pose' in status.message
        assert '__ns:=' in diagnostic_values(status)['remedy']
        assert second.state in ('unconfigured', 'inactive', 'active')


def test_another_publisher_of_bodies():
    """Such as a bag that is played with what was published when it was recorded."""
    with running() as (_, client):
        client.create_publisher(PointCloud2, 'joints', 5)
        assert '/client publish' in client.row('outputs_shared', 10).message


def test_the_remedy_ends_both():
    with ros_graph(pose_node(namespace='left'), pose_node(namespace='right'),
                   Client) as (left, right, client):
        assert wait_for(lambda: {'left/niki_pose: pose', 'right/niki_pose: pose'}
                        <= set(client.diagnostics) and left.state == right.state == 'active', 20)
        assert not wait_for(lambda: any('shared' in name for name in client.diagnostics), 1.0)


@pytest.mark.parametrize('frame_id, parameter, named', [
    ('camera_link', '', True), ('/base_link', '', True), ('oak-d-base-frame', '', True),
    ('map', '', True), ('camera_color_optical_frame', '', False), ('camera', '', False),
    ('camera_link_optical', '', False), ('camera_link', 'camera_link', False)])
def test_a_frame_that_is_not_optical(frame_id, parameter, named):
    with running(overrides={'frame_id': parameter}) as (node, client):
        stamps = iter(range(T0, T0 + 10**12, 10**8))
        assert wait_for(lambda: client.images.publish(
            image_from_rgb(GREY, next(stamps), frame_id)) or client.clouds)
        assert wait_for(lambda: 'frame_not_optical' in client.diagnostics,
                        5.0 if named else 0.5) == named
        if named:
            status = client.diagnostics['frame_not_optical']
            assert status.level == b'\x01' and frame_id.lstrip('/') in status.message


def test_the_transform_of_the_documentation():
    text = (Path(__file__).parents[2] / 'docs' / 'troubleshooting.md').read_text('utf-8')
    command = re.search(r'static_transform_publisher (.*?)`', text)[1].split()
    given = dict(zip(command[::2], command[1::2]))
    angles = [float(given.get(f'--{name}', 0)) for name in ('roll', 'pitch', 'yaw')]
    turn = Rotation.from_euler('xyz', angles).as_matrix()
    assert np.allclose(turn, [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-4)
