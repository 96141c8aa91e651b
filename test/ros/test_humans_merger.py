"""People of several cameras in one list, read as libhri reads it; roi and cropped of each."""

import sys
import time

from niki_ros.common.errors import ConfigError
from niki_ros.messages.image_decoding import rgb_from_image
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.conversions import image_from_rgb
from niki_ros.ros.humans_merger import HumansMerger, IdLists
from niki_ros.ros.launch_settings import CameraNode, needs_merger
from niki_ros.ros.lifecycle import SUCCESS
import numpy as np
import pytest
from rclpy.node import Node
from ros_fixtures import (
    Client,
    FRAME,
    pose_node,
    ros_graph,
    running,
    scripted,
    T0,
    wait_for,
)
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from test_two_cameras import SIDES, two_people, TwoCameras

messages = pytest.importorskip('hri_msgs.msg', reason='hri_msgs is not built here: "make test"')
TRACKED = '/humans/bodies/tracked'


class HumanReader(Node):
    """Follows the list as libhri does: each list is whole; topics of a body live as long as it."""

    def __init__(self):
        super().__init__('reader')
        self.events, self.bodies, self.lists = [], {}, []
        self.create_subscription(messages.IdsList, TRACKED, self._on_list, 10)

    def _on_list(self, message):
        self.lists.append(message)
        new = set(message.ids)
        # an event comes before the change of `bodies`: tests wait for that
        for body in set(self.bodies) - new:
            self.events.append(('lost', body))
            for one in self.bodies.pop(body)['subscriptions']:
                self.destroy_subscription(one)
        for body in new - set(self.bodies):
            self.events.append(('new', body))
            seen = {'roi': [], 'cropped': [], 'joint_states': []}
            seen['subscriptions'] = [
                self.create_subscription(kind, f'/humans/bodies/{body}/{name}',
                                         seen[name].append, 10)
                for name, kind in (('roi', messages.NormalizedRegionOfInterest2D),
                                   ('cropped', Image), ('joint_states', JointState))]
            self.bodies[body] = seen


def camera_node(side, *more):
    words = [word for rule in (f'image:=/cams/{side}/image_raw',
                               f'camera_info:=/cams/{side}/camera_info', *more)
             for word in ('-r', rule)]
    return pose_node(scripted(two_people), {'conventions': ['ros4hri'], 'id_prefix': f'{side}_'},
                     namespace=side, cli_args=['--ros-args', *words])


def run_cameras(client, seconds):
    end = time.monotonic() + seconds
    index = getattr(client, 'sent', 0)
    while time.monotonic() < end:
        index = client.sent = index + 1
        client.send(T0 + index * 40_000_000)
        time.sleep(0.04)


def test_two_cameras_are_one_list():
    merged = f'{TRACKED}:=bodies/tracked'
    nodes = [camera_node(side, merged) for side in SIDES]
    with ros_graph(*nodes, HumansMerger, TwoCameras, HumanReader) as (
            left, right, merger, client, reader):
        assert wait_for(lambda: left.state == right.state == 'active', 20)
        assert wait_for(lambda: client.count_publishers(TRACKED) == 1
                        and len(merger.input_topics) == 2)
        wait_for(lambda: run_cameras(client, 0.3) or len(reader.bodies) == 4, 10)
        run_cameras(client, 1.0)
        expected = {f'{side}_{number}' for side in SIDES for number in (1, 2)}
        assert set(reader.bodies) == expected
        assert sorted(reader.events) == sorted(('new', one) for one in expected)
        for body in reader.bodies.values():
            assert body['joint_states'] and body['roi'] and body['cropped']
        assert left.trigger_deactivate() == SUCCESS
        assert wait_for(lambda: set(reader.bodies) == {'right_1', 'right_2'})
        assert sorted(reader.events)[:2] == [('lost', 'left_1'), ('lost', 'left_2')]
        assert len(reader.events) == 6
        merger.close()
        assert wait_for(lambda: not reader.bodies)


def test_two_nodes_on_one_list_are_named():
    with ros_graph(*map(camera_node, SIDES), TwoCameras, Client) as (left, right, client, other):
        assert wait_for(lambda: left.state == right.state == 'active', 20)
        assert wait_for(lambda: {'left/niki_pose: tracked_shared', 'right/niki_pose: '
                                 'tracked_shared'} <= set(other.diagnostics))
        status = other.diagnostics['left/niki_pose: tracked_shared']
        assert status.level == b'\x01' and '/right/niki_pose' in status.message
        assert 'humans_merger' in status.values[-1].value


def test_a_lone_node_needs_no_merger():
    pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    images = {}
    with running(overrides={'conventions': ['ros4hri']}) as (node, client):
        rois, crops = [], []

        def send():
            stamp_ns = T0 + len(images) * 40_000_000
            images[stamp_ns] = np.roll(pixels, len(images), axis=1)
            client.images.publish(image_from_rgb(images[stamp_ns], stamp_ns, FRAME))
            time.sleep(0.05)
        client.create_subscription(messages.NormalizedRegionOfInterest2D,
                                   '/humans/bodies/p1/roi', rois.append, 10)
        client.create_subscription(Image, '/humans/bodies/p1/cropped', crops.append, 10)
        assert wait_for(lambda: send() or len(crops) > 5, 10)
        image = crops[-1]
        stamp_ns = ns_from_stamp(image.header.stamp)
        roi, = [one for one in rois if ns_from_stamp(one.header.stamp) == stamp_ns]
        assert 0 <= roi.xmin < roi.xmax <= 1 and 0 <= roi.ymin < roi.ymax <= 1 and 0 < roi.c <= 1
        x0, x1 = round(roi.xmin * 640), round(roi.xmax * 640)
        y0, y1 = round(roi.ymin * 480), round(roi.ymax * 480)
        assert np.array_equal(rgb_from_image(image), images[stamp_ns][y0:y1, x0:x1])
        assert image.header.frame_id == roi.header.frame_id == FRAME
        assert not [one for one in client.diagnostics if 'tracked_shared' in one]


def ids(*names, at_s=0):
    message = messages.IdsList(header=Header(frame_id=names[0] if names else ''), ids=names)
    message.header.stamp.sec = at_s
    return message


def test_lists():
    """Union in a fixed order, the newest header; a silent list is dropped; ids that clash."""
    lists = IdLists()
    assert lists.merged() == [] and lists.newest_header() is None
    lists.put('/b', ids('b1', 'x', at_s=5), 1.0)
    lists.put('/a', ids('a1', at_s=3), 2.0)
    assert lists.merged() == ['a1', 'b1', 'x'] and lists.newest_header().frame_id == 'b1'
    assert lists.duplicates() == {}
    lists.put('/a', ids('a1', 'x', at_s=6), 3.0)
    assert lists.duplicates() == {'x': ('/a', '/b')} and lists.merged() == ['a1', 'x', 'b1']
    assert lists.drop_older(0.5) == {}
    assert lists.drop_older(2.0) == {'/b': ['b1', 'x']} and lists.merged() == ['a1', 'x']
    lists.put('/a', ids(at_s=7), 4.0)
    assert lists.drop_older(9.0) == {} and lists.merged() == []


def test_without_hri_msgs_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'hri_msgs', None)
    with ros_graph(), pytest.raises(ConfigError, match='apt install ros-.*-hri-msgs'):
        HumansMerger()


@pytest.mark.parametrize('text, given, merged', [
    ('{}', {}, False), ('conventions: [niki, ros4hri]', {}, True),
    ('/**/niki_pose: {ros__parameters: {conventions: [ros4hri]}}', {}, True),
    ('conventions: [ros4hri]', {'conventions': ['niki']}, False),
    ('{}', {'conventions': ['ros4hri']}, True), ('{', {}, False)])
def test_when_several_cameras_need_a_merger(tmp_path, text, given, merged):
    path = tmp_path / 'pose.yaml'
    path.write_text(text, 'utf-8')
    cameras = [CameraNode(side, 'image', 'camera_info', '', given) for side in SIDES]
    assert needs_merger(cameras, str(path)) is merged
    assert needs_merger(cameras[:1], str(path)) is False
    assert needs_merger([], str(tmp_path / 'none.yaml')) is False
