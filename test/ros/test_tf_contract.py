"""robot_description and TF agree, with and without robot_state_publisher."""

import io
import os
from pathlib import Path
import re
import subprocess

from niki_ros.body.skeleton import open_skeleton
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.robot_model.urdf import urdf_from_offsets
import numpy as np
import pytest
from rclpy.node import Node
from ros_fixtures import Client, FRAME, LATCHED_QOS, ros_graph, running, T0, wait_for
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf_frames import matrix_of

yourdfpy = pytest.importorskip('yourdfpy')

LABELS = {('niki',): '1', ('ros4hri',): 'p1', ('niki', 'ros4hri'): 'p1'}


class Buffer:
    """What tf2 demands of frames; a transform that breaks it is an error."""

    def __init__(self):
        self.parents: dict = {}
        self.at: dict = {}

    def set_transform(self, parent, child, stamp_ns, matrix):
        """Take one transform; None as stamp = a static one."""
        assert parent and child and not child.startswith('/') and parent != child
        assert self.parents.setdefault(child, parent) == parent, f'{child} has two parents'
        key = child, stamp_ns
        # a static one counts until another comes
        assert stamp_ns is None or key not in self.at, f'{child} comes twice at {stamp_ns}'
        self.at[key] = matrix

    def lookup(self, root, frame, stamp_ns):
        """Return the pose (4, 4) of a frame in another one above it."""
        pose = np.eye(4)
        while frame != root:
            step = self.at.get((frame, stamp_ns), self.at.get((frame, None)))
            assert step is not None, f'{frame} has no parent at {stamp_ns}'
            pose, frame = step @ pose, self.parents[frame]
        return pose


class Description:
    """A URDF by the rules of robot_state_publisher: fixed joints are static, others move."""

    def __init__(self, text):
        assert text, 'robot_description parameter must not be empty'
        self.name = re.search(r'<robot name="([^"]+)"', text)[1]
        self.robot = yourdfpy.URDF.load(io.BytesIO(text.encode()), load_meshes=False)
        self.links = set(self.robot.link_map)

    def publish(self, buffer, state, fixed):
        """Put what robot_state_publisher sends for one joint state into the buffer."""
        self.robot.update_cfg(dict(zip(state.name, state.position)))
        for joint in self.robot.joint_map.values():
            moves = joint.type != 'fixed'
            if moves or fixed:
                stamp_ns = ns_from_stamp(state.header.stamp) if moves else None
                matrix = self.robot.get_transform(joint.child, joint.parent)
                buffer.set_transform(joint.parent, joint.child, stamp_ns, matrix)


class Reader(Client):
    def __init__(self, label, conventions):
        super().__init__()
        self.told = {}
        topics = {'niki': (f'bodies/body_{label}', 'robot_description'),
                  'ros4hri': (f'/humans/bodies/{label}', 'urdf')}
        for name in conventions:
            states, texts = self.told[name] = [], []
            topic, description = topics[name]
            self.create_subscription(JointState, f'{topic}/joint_states', states.append, 50)
            self.create_subscription(String, f'{topic}/{description}', texts.append, LATCHED_QOS)


def buffer_of(messages):
    buffer = Buffer()
    for message in messages:
        for one in message.transforms:
            buffer.set_transform(one.header.frame_id, one.child_frame_id,
                                 ns_from_stamp(one.header.stamp), matrix_of(one))
    return buffer


def send_some(client, conventions, count=8):
    for index in range(count):
        client.send_until_processed(T0 + index * 200_000_000)
    last_ns = max(client.processed())
    for name in conventions:
        assert wait_for(lambda told=client.told[name]: all(told) and ns_from_stamp(
            told[0][-1].header.stamp) == last_ns), name
    wait_for(lambda: not client.tf or ns_from_stamp(
        client.tf[-1].transforms[0].header.stamp) == last_ns)


@pytest.mark.parametrize('mode, conventions, prefix', [
    *(('all', conventions, prefix) for conventions in LABELS for prefix in ('', 'left/')),
    *(('root', conventions, '') for conventions in LABELS), ('none', ('niki', 'ros4hri'), '')])
def test_one_tree(mode, conventions, prefix):
    label = LABELS[conventions] if not prefix or conventions == ('niki',) else 'left_1'
    overrides = {'conventions': list(conventions), 'publish_tf': mode, 'frame_prefix': prefix}
    with running(overrides=overrides, client=lambda: Reader(label, conventions)) as (node, client):
        send_some(client, conventions)
    buffer = buffer_of(client.tf)
    roots = {'niki': f'{prefix}body_{label}', 'ros4hri': f'body_{label}'}
    if mode == 'none':
        assert not client.tf
        return
    tops = {child for child, parent in buffer.parents.items() if parent == FRAME}
    assert tops == {roots[conventions[-1]]}
    if mode == 'root':
        assert set(buffer.parents) == {roots[name] for name in conventions}
    for name in conventions:
        check_links(buffer, roots[name], *client.told[name], left_to_rsp=mode == 'root')


def check_links(buffer, root, states, texts, left_to_rsp):
    known = {one.name: one for one in map(Description, (text.data for text in texts))}
    assert list(known) == [f'{root.rpartition("/")[2]}-{n + 1}' for n in range(len(known))]
    compared = 0
    for state in states:
        description, stamp_ns = known[state.header.frame_id], ns_from_stamp(state.header.stamp)
        if (root, stamp_ns) not in buffer.at:
            continue
        if left_to_rsp:
            description.publish(buffer, state, fixed=True)
        description.robot.update_cfg(dict(zip(state.name, state.position)))
        for link in description.links:
            judge = description.robot.get_transform(link, root)
            found = buffer.lookup(root, link, stamp_ns)
            assert np.linalg.norm(judge[:3, 3] - found[:3, 3]) < 1e-4, link
            assert Rotation.from_matrix(
                judge[:3, :3].T @ found[:3, :3]).magnitude() < np.radians(0.01), link
            # and from the camera: the tree hangs together
            buffer.lookup(FRAME, link, stamp_ns)
        compared += 1
    assert compared >= 4


@pytest.mark.parametrize('prefix, before', [('/left/', 'left/'), ('a "b" <ö>/', 'a "b" <ö>/')])
def test_links_of_the_description_are_the_frames_of_tf(prefix, before):
    """TF has no slash first, and a URDF is XML: neither takes the two apart."""
    with running(overrides={'frame_prefix': prefix},
                 client=lambda: Reader('1', ['niki'])) as (node, client):
        send_some(client, ['niki'], 2)
    frames = buffer_of(client.tf).parents
    description = Description(client.told['niki'][1][-1].data)
    assert description.robot.base_link == f'{before}body_1'
    assert set(frames) == description.links


def test_the_command_for_robot_state_publisher(tmp_path):
    """The documented command passes the text of ros2 topic echo to the parameter unchanged."""
    page = (Path(__file__).parents[2] / 'docs' / 'robot_state_publisher.md').read_text('utf-8')
    block = re.search(r'^    ros2 run robot_state_publisher .*?\n\n', page, re.M | re.S)[0]
    text = urdf_from_offsets(open_skeleton().offsets(), 'left/', 1, 'body_1-3')
    # as ros2 topic echo --field prints a string, and what the shell hands to the other program
    (tmp_path / 'text').write_text(f'{text}\n---\n', 'utf-8')
    ros2 = tmp_path / 'ros2'
    ros2.write_text(f"""#!/bin/sh
[ "$1 $2" = "topic echo" ] && exec cat {tmp_path / 'text'}
for word in "$@"; do printf '%s\\0' "$word"; done > {tmp_path / 'words'}
""", 'utf-8')
    ros2.chmod(0o755)
    subprocess.run(['bash', '-ec', block], check=True,
                   env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    words = (tmp_path / 'words').read_text('utf-8').split('\0')[:-1]
    assert words[:3] == ['run', 'robot_state_publisher', 'robot_state_publisher']
    with ros_graph():
        node = Node('robot_state_publisher', cli_args=words[3:])
        node.declare_parameter('publish_frequency', 20.0)
        given = node.declare_parameter('robot_description', '').value
        assert node.resolve_topic_name('joint_states') == '/bodies/body_1/joint_states'
        assert node.resolve_topic_name('robot_description') != '/bodies/body_1/robot_description'
        node.destroy_node()
    found, wanted = Description(given), Description(text)
    assert found.name == 'body_1-3' and found.links == wanted.links
    for link in found.links:
        assert np.allclose(found.robot.get_transform(link, 'left/body_1'),
                           wanted.robot.get_transform(link, 'left/body_1'))
