"""REP-155 over DDS: topics, names, URDF and frames, beside our own convention and alone."""

import sys

from lifecycle_msgs.msg import Transition
from niki_ros.body.skeleton import JOINTS_29
from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.robot_model.human_description import JOINT_NAMES, joint_names
from niki_ros.robot_model.urdf import REVOLUTE_NAMES
from niki_ros.ros.ros4hri import TrackedIds
import numpy as np
import pytest
from ros_fixtures import (
    CAMERA,
    change,
    Client,
    dancer,
    diagnostic_values,
    FRAME,
    LATCHED_QOS,
    running,
    scripted,
    T0,
    wait_for,
)
from scenes import observe_body, T_POSE
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf_frames import poses_of, tree_of

BOTH = {'conventions': ['niki', 'ros4hri']}


class HumanClient(Client):
    def __init__(self, label='p1'):
        super().__init__()
        self.human_states, self.human_urdfs = [], []
        self.create_subscription(JointState, f'/humans/bodies/{label}/joint_states',
                                 self.human_states.append, 50)
        self.create_subscription(String, f'/humans/bodies/{label}/urdf', self.human_urdfs.append,
                                 LATCHED_QOS)
        self.own_states = []
        self.create_subscription(JointState, f'bodies/body_{label}/joint_states',
                                 self.own_states.append, 50)
        self.create_subscription(String, f'bodies/body_{label}/robot_description',
                                 self.urdfs.append, LATCHED_QOS)


def last_moment(client, send_s=10):
    """Send images until one came through; return its cloud, TF message and joint states."""
    stamp_ns = client.send_until_processed(T0 + send_s * 10**9)
    assert wait_for(lambda: client.tf and client.human_states and stamp_ns == ns_from_stamp(
        client.tf[-1].transforms[0].header.stamp) == ns_from_stamp(
        client.human_states[-1].header.stamp))
    return client.clouds[-1], client.tf[-1], client.human_states[-1]


def test_both_conventions_agree():
    with running(overrides=BOTH, client=HumanClient) as (node, client):
        cloud, tf, states = last_moment(client)
        assert wait_for(lambda: client.human_urdfs and client.own_states and client.urdfs)
        poses, parents = poses_of(tf, FRAME), tree_of(tf)
        assert list(states.name) == joint_names('p1') and len(states.position) == 20
        assert np.isfinite(states.position).all()
        assert list(client.own_states[-1].name) == list(REVOLUTE_NAMES)
        body, = bodies_from_cloud(cloud)
        place = dict(zip(JOINTS_29, body.joints_m))
        # REP-155: the body's frame is midway between the hips, its parent is the sensor's frame
        assert parents['body_p1'] == FRAME
        hips = 0.5 * (place['left_hip'] + place['right_hip'])
        assert np.allclose(poses['body_p1'][:3, 3], hips, atol=1e-5)
        for name, joint in (('l_knee', 'left_knee'), ('r_ankle', 'right_ankle')):
            assert np.allclose(poses[f'{name}_p1'][:3, 3], place[joint], atol=1e-4)
        for joint in JOINTS_29:
            assert np.allclose(poses[f'body_p1_{joint}'][:3, 3], place[joint], atol=1e-5)


def test_alone_there_is_nothing_of_ours():
    overrides = {'conventions': ['ros4hri'], 'id_prefix': 'cam_'}
    with running(overrides=overrides, client=lambda: HumanClient('cam_1')) as (node, client):
        _, tf, _ = last_moment(client)
        names = set(tree_of(tf))
        assert 'body_cam_1' in names and 'l_elbow_cam_1' in names and len(names) == 27
        assert not any(name.startswith('body_cam_1_') for name in names)
        topics = [name for name, _ in client.get_topic_names_and_types()]
        assert '/humans/bodies/cam_1/joint_states' in topics
        assert client.count_publishers('bodies/body_cam_1/joint_states') == 0


def test_sitting_is_reported_and_true():
    def sitting(stamp_ns):
        pose = T_POSE.copy()
        for joint, sign in ((1, -1), (2, -1), (4, 1), (5, 1)):
            pose[joint] = [[1, 0, 0], [0, 0, -sign], [0, sign, 0]]
        return [observe_body(pose, np.array([0.0, 0.0, 3.0]), CAMERA)]
    with running(scripted(sitting), BOTH, client=HumanClient) as (node, client):
        _, _, states = last_moment(client)
        angle = dict(zip(JOINT_NAMES, states.position))['l_r_hip']
        assert angle == pytest.approx(1.57, abs=0.1)
        status = client.row('ros4hri_limits')
        assert 'l_r_hip_p1 1.' in status.message and status.level == b'\x00'
        assert 'true' in diagnostic_values(status)['remedy']


def test_without_hri_msgs_it_is_said_once(capfd, monkeypatch):
    """The list of ids needs hri_msgs; all else goes on, and /diagnostics goes on saying it."""
    monkeypatch.setitem(sys.modules, 'hri_msgs', None)
    with running(overrides=BOTH, client=HumanClient) as (node, client):
        last_moment(client)
        status = client.row('hri_msgs_missing')
        assert status.level == b'\x01' and 'hri-msgs' in diagnostic_values(status)['remedy']
        client.diagnostics.clear()
        assert client.row('hri_msgs_missing').level == b'\x01'
    assert capfd.readouterr().err.count('hri_msgs_missing') == 1


def test_the_list_is_empty_after_deactivate(monkeypatch):
    said = []
    monkeypatch.setattr(TrackedIds, 'publish', lambda _, *what: said.append(what))
    with running(overrides=BOTH, client=HumanClient) as (node, client):
        last_moment(client)
        assert said[-1][0] == ['p1']
        assert change(client, Transition.TRANSITION_DEACTIVATE)
        assert said[-1] == ([], *said[-2][1:]) and said[-2][0] == ['p1']
        count = len(said)
        assert change(client, Transition.TRANSITION_CLEANUP) and len(said) == count


def test_tracked_ids_where_hri_msgs_is():
    messages = pytest.importorskip('hri_msgs.msg', reason='hri_msgs is not built: "make test"')

    def script(stamp_ns):
        return dancer(stamp_ns) if stamp_ns < T0 + 60 * 10**9 else []
    with running(scripted(script), BOTH, client=HumanClient) as (node, client):
        tracked = []
        client.create_subscription(messages.IdsList, '/humans/bodies/tracked', tracked.append, 10)
        assert wait_for(lambda: client.count_publishers('/humans/bodies/tracked') == 1)
        last_moment(client)
        assert wait_for(lambda: tracked and list(tracked[-1].ids) == ['p1'])
        client.send_until_processed(T0 + 90 * 10**9)
        assert wait_for(lambda: list(tracked[-1].ids) == [])
        assert ns_from_stamp(tracked[-1].header.stamp) in client.processed()
