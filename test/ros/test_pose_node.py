"""The node as others see it: real messages over DDS, lifecycle, parameters, a real clip."""

from functools import partial
import io
import signal
import subprocess
import sys
import time

from lifecycle_msgs.msg import Transition
from niki_ros.body.skeleton import JOINTS_29
from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.robot_model.urdf import REVOLUTE_NAMES
from niki_ros.ros.conversions import image_from_rgb
from niki_ros.sources.open import open_source
import numpy as np
import pytest
from rcl_interfaces.srv import DescribeParameters
from ros_fixtures import (
    accounted,
    call,
    change,
    Client,
    dancer,
    FRAME,
    pose_node,
    put_parameter,
    ros_graph,
    running,
    scripted,
    state,
    T0,
    wait_for,
)
from scenes import child_environment, measured_clip
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from tf_frames import poses_of


def check_invariant(client):
    """Compare FK of the URDF with JointState, by yourdfpy, to TF: 0.1 mm and 0.01 degrees."""
    yourdfpy = pytest.importorskip('yourdfpy')
    robots = [yourdfpy.URDF.load(io.BytesIO(message.data.encode()), load_meshes=False)
              for message in client.urdfs]
    angles = {ns_from_stamp(m.header.stamp): m for m in client.joint_states}
    compared = 0
    for message, known in zip(client.tf, client.urdfs_at_tf):
        joints = angles.get(ns_from_stamp(message.transforms[0].header.stamp))
        if joints is None:
            continue
        assert joints.name == list(REVOLUTE_NAMES) and np.isfinite(joints.velocity).all()
        # two topics: the description that belongs to this frame may be handed over just after it
        offs = [worst_difference(robot, joints, message)
                for robot in robots[max(known - 1, 0):known + 1]]
        assert any(metres < 1e-4 and degrees < 0.01 for metres, degrees in offs), offs
        compared += 1
    assert compared >= 5


def worst_difference(robot, joints, message):
    """Return the largest difference of any frame in metres and degrees."""
    robot.update_cfg(dict(zip(joints.name, joints.position)))
    metres, radians = 0.0, 0.0
    for name, pose in poses_of(message, 'body_1').items():
        judge = robot.get_transform(name, 'body_1')
        metres = max(metres, np.linalg.norm(judge[:3, 3] - pose[:3, 3]))
        turned = Rotation.from_matrix(judge[:3, :3].T @ pose[:3, :3])
        radians = max(radians, turned.magnitude())
    return metres, np.degrees(radians)


def test_outputs_agree():
    with running() as (node, client):
        for index in range(30):
            client.send(T0 + index * 40_000_000)
            time.sleep(0.03)
        assert wait_for(lambda: len(client.processed()) >= 15)
        assert wait_for(lambda: len(client.tf) == len(client.clouds))
        check_invariant(client)
        tf, cloud = client.tf[-1], client.clouds[-1]
        names = [one.child_frame_id for one in tf.transforms]
        between = {f'body_1_{name}' for name in REVOLUTE_NAMES}
        assert [name for name in names if name not in between] == ['body_1'] + [
            f'body_1_{joint}' for joint in JOINTS_29]
        assert tf.transforms[0].header.frame_id == cloud.header.frame_id == FRAME
        body, = bodies_from_cloud(cloud)
        poses = poses_of(tf, FRAME)
        for joint, name in enumerate(JOINTS_29):
            assert np.allclose(poses[f'body_1_{name}'][:3, 3], body.joints_m[joint], atol=1e-5)
        # the person faces the camera: x forward is towards it, z up is against the image's y
        assert poses['body_1'][2, 0] < -0.8 and poses['body_1'][1, 2] < -0.8
        stamps = {ns_from_stamp(m.transforms[0].header.stamp) for m in client.tf}
        assert stamps == client.processed() <= {T0 + i * 40_000_000 for i in range(30)}
        kinds = {marker.ns for marker in client.markers[-1].markers}
        assert kinds == {'skeleton', 'joints'}


def test_every_frame_is_accounted_for():
    def slow(stamp_ns):
        time.sleep(0.05)
        return dancer(stamp_ns)
    with running(scripted(slow)) as (node, client):
        client.send_until_processed(T0)
        first = node.health.received
        for index in range(60):
            client.send(T0 + 10**9 + index * 5_000_000)
            time.sleep(0.005)
        time.sleep(0.5)
        assert wait_for(lambda: accounted(node))
        assert 5 <= node.health.processed < 40
        assert node.health.received - first == 60


def test_lifecycle_by_services():
    with ros_graph(pose_node(overrides={'autostart': False}), Client) as (node, client):
        assert state(client) == 'unconfigured' and node.pipeline is None
        assert not change(client, Transition.TRANSITION_ACTIVATE)
        for _ in range(2):
            assert change(client, Transition.TRANSITION_CONFIGURE)
            assert state(client) == 'inactive' and client.count_subscribers('image') == 0
            assert change(client, Transition.TRANSITION_ACTIVATE)
            assert wait_for(lambda: client.images.get_subscription_count() == 1)
            stamp_ns = client.send_until_processed(time.time_ns())
            assert change(client, Transition.TRANSITION_DEACTIVATE)
            heard = len(client.clouds)
            client.send(stamp_ns + 10**9)
            time.sleep(0.3)
            assert len(client.clouds) == heard and node.health.counts()['received'] > 0
            assert change(client, Transition.TRANSITION_CLEANUP)
            assert node.pipeline is None and state(client) == 'unconfigured'
            assert wait_for(lambda: client.count_publishers('joints') == 0)
        assert change(client, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        assert state(client) == 'finalized'


def test_parameters():
    with running() as (node, client):
        request = DescribeParameters.Request(names=['smoothing.beta', 'observer.name'])
        beta, observer = call(client, DescribeParameters, 'niki_pose/describe_parameters',
                              request).descriptors
        assert beta.floating_point_range[0].to_value == 100.0
        assert '[Hz per rad/s]' in beta.description
        assert 'not while the node is active' in observer.description

        put = partial(put_parameter, client)
        assert put('smoothing.beta', 2.0).successful
        assert node.pipeline.config.smoothing.beta == 2.0
        assert not put('smoothing.beta', 1e9).successful
        assert not put('observer.name', 'other').successful
        assert not put('autostart', False).successful
        assert put('id_prefix', 'a_').reason == (
            'id_prefix can be set while the node is unconfigured or inactive, and it is active')
        assert not put('no.such', 1).successful
        assert not put('publish_tf', 'some').successful
        assert put('publish_tf', 'none').successful
        client.tf.clear()
        client.send_until_processed(T0)
        assert not client.tf


def test_parameters_that_are_not_live_act_when_the_node_is_activated_again():
    """Set while inactive: the pipeline is made anew, with what was set."""
    made = []

    def make(config):
        made.append(config.lifter.name)
        return scripted()(config)
    with running(make) as (node, client):
        client.send_until_processed(T0)
        assert change(client, Transition.TRANSITION_DEACTIVATE)
        assert put_parameter(client, 'id_prefix', 'a_').successful
        assert put_parameter(client, 'lifter.name', '').successful
        assert put_parameter(client, 'diagnostics_period_s', 0.5).successful
        assert 500_000_000 in [timer.timer_period_ns for timer in node.timers]
        assert made == ['lift'] and change(client, Transition.TRANSITION_ACTIVATE)
        assert made == ['lift', '']
        assert wait_for(lambda: client.images.get_subscription_count() == 1)
        client.send_until_processed(T0 + 10**9)
        assert wait_for(lambda: client.tf[-1].transforms[0].child_frame_id == 'body_a_1')
        # and no longer, where nothing was set
        assert change(client, Transition.TRANSITION_DEACTIVATE)
        assert change(client, Transition.TRANSITION_ACTIVATE) and len(made) == 2


def test_overlay_only_with_subscribers():
    with running() as (node, client):
        client.send_until_processed(T0)
        client.create_subscription(Image, 'overlay', client.overlays.append, 1)
        stamps = iter(range(T0 + 10**9, T0 + 10**12, 10**8))
        assert wait_for(lambda: client.send_until_processed(next(stamps)) and client.overlays)
        stamp_ns = max(client.processed())
        overlay = client.overlays[-1]
        assert ns_from_stamp(overlay.header.stamp) <= stamp_ns
        assert (overlay.width, overlay.height) == (640, 480)
        assert np.ptp(np.frombuffer(overlay.data, np.uint8)) > 100


def test_topics_of_those_who_left_are_removed():
    def script(stamp_ns):
        return dancer(stamp_ns) if stamp_ns < T0 + 5 * 10**9 else []
    with running(scripted(script)) as (node, client):
        client.send_until_processed(T0)
        assert wait_for(lambda: client.count_publishers('bodies/body_1/joint_states') == 1)
        client.send_until_processed(T0 + 6 * 10**9)
        client.send_until_processed(T0 + 9 * 10**9)
        assert wait_for(lambda: client.count_publishers('bodies/body_1/joint_states') == 0)
        actions = [m.action for array_ in client.markers for m in array_.markers]
        assert 2 in actions
        assert client.clouds[-1].width == 0 and not node.publisher.body_ids


def test_real_clip():
    from niki_ros.loading.load_pipeline import load_pipeline
    clip = measured_clip('cam03.mp4')
    start_ns = time.time_ns()
    with running(load_pipeline, {'solver.name': 'analytic'}) as (node, client):
        with open_source(clip, rate_hz=10, max_frames=30) as source:
            for frame in source:
                stamp_ns = start_ns + frame.stamp_ns
                client.images.publish(image_from_rgb(frame.image_rgb, stamp_ns, FRAME))
                client.answered(stamp_ns, 1.0)
        assert len(client.processed()) >= 28
        assert len(client.tf) >= 0.95 * len(client.processed())
        check_invariant(client)
        clouds = {ns_from_stamp(cloud.header.stamp): cloud for cloud in client.clouds}
    pipeline = load_pipeline(solver='analytic')
    with open_source(clip, rate_hz=10, max_frames=30) as source:
        for frame in source:
            # frames that the node did not process are none for the pipeline either
            if start_ns + frame.stamp_ns in clouds:
                check_same(pipeline.process(frame.image_rgb, None, frame.stamp_ns),
                           bodies_from_cloud(clouds[start_ns + frame.stamp_ns]))
    pipeline.close()


def check_same(ours, theirs):
    """Compare people to the last bit of the message's float32."""
    assert [body.id for body in ours] == [body.id for body in theirs]
    for one, other in zip(ours, theirs):
        assert np.array_equal(one.joints_m.astype(np.float32), other.joints_m)
        assert np.array_equal(one.confidence, other.confidence)
        assert np.array_equal(one.status, other.status)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_process(number):
    process = subprocess.Popen(
        [sys.executable, '-m', 'niki_ros.ros.pose_node',
         '--ros-args', '-p', 'solver.name:=analytic'],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=child_environment(ROS_DOMAIN_ID='77'))
    lines = []
    while 'active' not in ''.join(lines[-1:]):
        lines.append(process.stderr.readline())
        assert lines[-1], ''.join(lines)
    process.send_signal(number)
    rest = process.communicate(timeout=20)[1]
    assert process.returncode == 0, rest
    assert 'Traceback' not in rest and 'terminate' not in rest
