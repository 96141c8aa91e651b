"""A camera that hangs upside down, by TF, over DDS with the real front end."""

from geometry_msgs.msg import TransformStamped
from niki_ros.ros.conversions import image_from_rgb, info_from_camera
from niki_ros.ros.pose_node import pipeline_for_node
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_fixtures import FRAME, running, T0, wait_for
from scenes import CAM01, clip_images, measured_clip
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

# axes of an optical frame from those of a frame with x forward and z up
OPTICAL = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


@pytest.fixture(scope='module')
def clip():
    return clip_images(measured_clip('cam01.mp4'), 8, (540, 960)), CAM01.resized(540, 960)


def transforms(parent: str, roll_deg: float) -> TFMessage:
    """Return ``parent`` → FRAME, a camera that looks forward, rolled about where it looks."""
    one = TransformStamped(child_frame_id=FRAME)
    one.header.frame_id = parent
    turn = Rotation.from_euler('x', roll_deg, degrees=True) * OPTICAL
    quat = one.transform.rotation
    quat.x, quat.y, quat.z, quat.w = turn.as_quat()
    one.transform.translation.z = 1.0
    return TFMessage(transforms=[one])


def root_of(transform: TransformStamped) -> np.ndarray:
    at = transform.transform.translation
    return np.array([at.x, at.y, at.z])


def played(frames, camera, overrides, message):
    """
    Return the roots of the first body in TF by stamp, and the diagnostics.

    The runs per image are set, because ``auto`` depends on how busy the machine is.
    """
    overrides = {'observer.runs': '1', **overrides}
    with running(pipeline_for_node, overrides=overrides) as (node, client):
        statics = client.create_publisher(TFMessage, '/tf_static', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        if message is not None:
            statics.publish(message)
            assert wait_for(lambda: statics.get_subscription_count() > 0)
            wait_for(lambda: False, 0.5)
        for index, image in enumerate(frames):
            stamp_ns = T0 + index * 33_000_000
            client.infos.publish(info_from_camera(camera, stamp_ns, FRAME))
            client.images.publish(image_from_rgb(image, stamp_ns, FRAME))
            client.answered(stamp_ns, 3.0)
        roots_m = {(one.header.stamp.sec, one.header.stamp.nanosec): root_of(one)
                   for tf in client.tf for one in tf.transforms
                   if one.child_frame_id == 'body_1'}

        about = client.values
        assert wait_for(lambda: 'image_rotation' in about() and about()['frames_processed'] != '0')
        return roots_m, about(), set(client.diagnostics)


def test_upside_down_by_tf(clip):
    frames, camera = clip
    roots_m, about, _ = played(frames, camera, {}, None)
    assert about['image_rotation'] == '0' and 'gravity_frame' not in about
    hung = [np.ascontiguousarray(image[::-1, ::-1]) for image in frames]
    hung_roots_m, about, faults = played(hung, camera.rotated(2), {'image_rotation': 'auto'},
                                   transforms('base_link', 180.0))
    assert about['image_rotation'] == '180 (auto)' and about['gravity_frame'] == 'base_link'
    both = roots_m.keys() & hung_roots_m.keys()
    assert len(both) >= 4
    for stamp in both:
        np.testing.assert_allclose(hung_roots_m[stamp], roots_m[stamp] * [-1, -1, 1], atol=0.02)
    assert not any('image_rotation' in name for name in faults)


def test_no_tf_is_said(clip):
    frames, camera = clip
    roots_m, about, faults = played(frames[:3], camera, {'image_rotation': 'auto'},
                                   transforms('camera_link', 180.0))
    assert about['image_rotation'] == '0 (auto)' and roots_m
    assert any('image_rotation_unknown' in name for name in faults)


def test_a_frame_of_another_name_and_a_number(clip):
    """An arm has no base_link; and ``image_rotation: 180`` is a natural thing to write."""
    frames, camera = clip
    hung = [np.ascontiguousarray(image[::-1, ::-1]) for image in frames[:3]]
    _, about, _ = played(hung, camera.rotated(2), {
        'image_rotation': 'auto', 'gravity_frame': 'arm_mount'}, transforms('arm_mount', 180.0))
    assert about['image_rotation'] == '180 (auto)' and about['gravity_frame'] == 'arm_mount'
    roots_m, about, _ = played(hung, camera.rotated(2), {'image_rotation': 180}, None)
    assert about['image_rotation'] == '180' and roots_m
