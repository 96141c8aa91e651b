"""Depth and the ground as the node gets them: over DDS, paired by stamp, seen in diagnostics."""

from array import array
import struct
import sys

import cv2
from niki_ros.ros.conversions import stamp_from_ns
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from ros_fixtures import dancer, diagnostic_values, FRAME, running, T0, wait_for
from sensor_msgs.msg import CompressedImage, Image
from tf2_msgs.msg import TFMessage

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def depth_message(stamp_ns, metres, size=(640, 480)):
    values = np.full((size[1], size[0]), round(metres * 1000), np.uint16)
    message = Image(width=size[0], height=size[1], encoding='16UC1', step=2 * size[0])
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), FRAME
    message.data = array('B', values.tobytes())
    return message


def distance(client) -> float:
    """Return the depth of the pelvis in the last TF message."""
    return client.tf[-1].transforms[0].transform.translation.z


def packed_depth(stamp_ns, metres):
    """Return the message of compressed_depth_image_transport."""
    raw = depth_message(stamp_ns, metres)
    values = np.frombuffer(raw.data, np.uint16).reshape(480, 640)
    return CompressedImage(header=raw.header, format='16UC1; compressedDepth png', data=array(
        'B', struct.pack('<i2f', 0, 0, 0) + cv2.imencode('.png', values)[1].tobytes()))


@pytest.mark.parametrize('topic, make', [
    ('/depth', depth_message), ('/cam/depth/image_rect_raw/compressedDepth', packed_depth)])
def test_depth_sets_the_distance(topic, make):
    """The dancer is seen at 3 m; the depth camera says that the trunk's surface is at 2.5."""
    with running(cli_args=['--ros-args', '-r', f'depth:={topic}']) as (node, client):
        depths = client.create_publisher(type(make(T0, 2.5)), topic, 5)
        assert wait_for(lambda: depths.get_subscription_count() == 1)
        for index in range(40):
            stamp_ns = T0 + index * 33_000_000
            depths.publish(make(stamp_ns + 3_000_000, 2.5))
            client.send(stamp_ns)
            client.answered(stamp_ns)
        assert abs(distance(client) - 2.61) < 0.1
        assert wait_for(lambda: client.values().get('root_source') == 'depth')
        assert 'depth_invalid' not in client.diagnostics


def test_a_depth_image_of_another_shape_is_a_fault():
    with running() as (node, client):
        depths = client.create_publisher(Image, 'depth', 5)
        assert wait_for(lambda: depths.get_subscription_count() == 1)
        stamps = iter(range(T0, T0 + 10**12, 10**8))

        def told():
            stamp_ns = next(stamps)
            depths.publish(depth_message(stamp_ns, 2.5, (480, 480)))
            client.send(stamp_ns)
            return 'depth_invalid' in client.diagnostics
        assert wait_for(told)


def test_an_old_depth_image_is_not_used():
    with running() as (node, client):
        depths = client.create_publisher(Image, 'depth', 5)
        assert wait_for(lambda: depths.get_subscription_count() == 1)
        depths.publish(depth_message(T0 - 10**9, 1.0))
        client.send_until_processed(T0)
        assert distance(client) > 2.5
        assert wait_for(lambda: client.values().get('root_source') == 'camera')


def test_the_ground_by_tf():
    with running(overrides={'ground_frame': 'base_footprint'}) as (node, client):
        client.send_until_processed(T0)
        client.row('ground_unknown')
        seen = dancer(T0)[0]
        floor_y = float(seen.joints_m[[27, 28], 1].max()) + 0.015
        statics = client.create_publisher(TFMessage, '/tf_static', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        message = TFMessage()
        message.transforms.append(ground_transform(floor_y))
        statics.publish(message)

        def grounded():
            client.send_until_processed(client_stamp(client) + 33_000_000)
            return client.values().get('root_source') == 'ground'
        assert wait_for(grounded, 15.0)


def client_stamp(client) -> int:
    return max(client.processed())


def ground_transform(floor_y):
    """Return base_footprint, ``floor_y`` below the camera, which looks along the floor."""
    from geometry_msgs.msg import TransformStamped
    one = TransformStamped(child_frame_id='base_footprint')
    one.header.frame_id = FRAME
    one.transform.translation.y = floor_y
    # z up: the camera's y points down
    one.transform.rotation.x, one.transform.rotation.w = np.sqrt(0.5), np.sqrt(0.5)
    return one


class Boxes(list):
    """The boxes that the front end of a node is given, image by image."""

    def __init__(self, node):
        super().__init__()
        observe = node.pipeline.observer.observe

        def noted(image, camera, stamp_ns, boxes_px=None):
            self.extend([] if boxes_px is None else [boxes_px.tolist()])
            return observe(image, camera, stamp_ns, boxes_px)
        node.pipeline.observer.observe = noted


def detections(stamp_ns, *found):
    """Return a Detection2DArray of ``(class id, score, centre x)``; boxes of 40 x 80 pixels."""
    messages = pytest.importorskip('vision_msgs.msg',
                                   reason='vision_msgs is not built here: "make test"')
    message = messages.Detection2DArray()
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), FRAME
    for class_id, score, x in found:
        one = messages.Detection2D(header=message.header)
        one.bbox.center.position.x, one.bbox.center.position.y = float(x), 240.0
        one.bbox.size_x, one.bbox.size_y = 40.0, 80.0
        result = messages.ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        one.results.append(result)
        message.detections.append(one)
    return message


def send_until_boxes(client, detector, message, boxes) -> bool:
    stamps = iter(range(T0, T0 + 10**8, 1_000_000))

    def sent():
        detector.publish(message)
        client.send_until_processed(next(stamps))
        return boxes
    return wait_for(sent)


@pytest.mark.parametrize('overrides, found, seen_at', [
    ({}, [('0', 0.9, 100), ('56', 0.9, 200), ('0', 0.01, 300), ('person', 0.6, 400)], [100, 400]),
    ({'detection_classes': ['7', 'worker'], 'observer.min_score': 0.2},
     [('0', 0.9, 100), ('7', 0.3, 200), ('Worker', 0.25, 300)], [200, 300])])
def test_classes_and_scores_of_a_detector_that_publishes_best_effort(overrides, found, seen_at):
    """As with COCO, 0 is a person and 56 a chair, unless the parameter has other classes."""
    kind = type(detections(T0))
    with running(overrides=overrides) as (node, client):
        boxes = Boxes(node)
        detector = client.create_publisher(kind, 'detections', BEST_EFFORT)
        assert wait_for(lambda: detector.get_subscription_count() == 1)
        assert send_until_boxes(client, detector, detections(T0, *found), boxes)
        assert boxes[-1] == [[x - 20.0, 200.0, x + 20.0, 280.0] for x in seen_at]


def test_detections_that_cannot_be_used_are_faults():
    kind = type(detections(T0))
    with running() as (node, client):
        detector = client.create_publisher(kind, 'detections', 5)
        assert wait_for(lambda: detector.get_subscription_count() == 1)
        foreign = detections(T0, ('pedestrian', 0.9, 100))
        foreign.header.frame_id = 'elsewhere'
        for message, name in ((foreign, 'detections_refused'),
                              (foreign, 'detections_frame_differs'),
                              (detections(0, ('person', 0.9, 100)), 'detections_apart')):
            def there(message=message, name=name):
                detector.publish(message)
                client.send(T0 + len(client.clouds) * 1_000_000)
                found = client.diagnostics.get(name)
                return found and diagnostic_values(found)['remedy']
            assert wait_for(there), name


def test_without_vision_msgs_all_else_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, 'vision_msgs', None)
    monkeypatch.setitem(sys.modules, 'vision_msgs.msg', None)
    with running() as (node, client):
        assert client.count_subscribers('detections') == 0
        client.send_until_processed(T0)


def test_a_detector_that_offers_too_little_is_named():
    kind = type(detections(T0))
    with running(overrides={'qos.image_reliability': 'reliable'}) as (node, client):
        client.create_publisher(kind, 'detections', BEST_EFFORT)
        assert client.row('qos_incompatible').message.startswith(
            '/detections: a publisher offers less reliability')


def test_class_ids_without_quotes():
    """``detection_classes: [0]`` in a YAML file."""
    with running(overrides={'detection_classes': [0, 2]}) as (node, client):
        assert node.config.detection_classes == ('0', '2')
