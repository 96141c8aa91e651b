"""The example that reacts: over DDS, with the real front end on recorded clips, and by hand."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
from niki_ros.body.body import Body, OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.ros.conversions import (
    cloud_from_bodies,
    image_from_rgb,
    info_from_camera,
    stamp_from_ns,
)
from niki_ros.scene.camera import Camera
import numpy as np
import pytest
from rclpy.node import Node
from ros_fixtures import FRAME, GREY, parameters, PoseNode, ros_graph, T0, wait_for
from scenes import (
    CAM01,
    CAM04,
    child_environment,
    clip_images,
    FACING,
    measured_clip,
)
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Bool

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'stop_near_person.py'


class Robot(Node):
    """A camera, and the brake that listens to ``stop``; counts the images that were processed."""

    def __init__(self):
        super().__init__('robot')
        self.images = self.create_publisher(Image, 'image', 5)
        self.infos = self.create_publisher(CameraInfo, 'camera_info', 5)
        self.clouds = self.create_publisher(PointCloud2, 'joints', 5)
        self.seen, self.stops = [], []
        self.create_subscription(PointCloud2, 'joints', self.seen.append, 10)
        self.create_subscription(Bool, 'stop', lambda message: self.stops.append(message.data), 50)

    def answers(self, frames, camera, period_s=0.0):
        """Send images one by one; return what ``stop`` said to each that was processed."""
        for number, image_rgb in enumerate(frames):
            time.sleep(period_s)
            stamp_ns, before = T0 + number * 33_000_000, len(self.stops)
            self.infos.publish(info_from_camera(camera, stamp_ns, FRAME))
            self.images.publish(image_from_rgb(image_rgb, stamp_ns, FRAME))
            if wait_for(lambda before=before: len(self.stops) > before, 2.0):
                yield self.stops[-1]


def example(**options):
    """Return what makes the example's node; silence is a matter of its own test."""
    spec = spec_from_file_location('stop_near_person', EXAMPLE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    values = {'silence_s': 1e6, **options}
    return lambda: module.StopNearPerson(parameter_overrides=parameters(values))


def decisions(frames, camera, period_s=0.0, **options) -> list:
    with ros_graph(PoseNode, example(**options), Robot) as (node, listener, robot):
        assert wait_for(lambda: node.state == 'active' or node.exit_code, 30), node.reason
        assert wait_for(lambda: robot.images.get_subscription_count() > 0
                        and listener.count_publishers('joints') > 1
                        and robot.count_publishers('stop') > 0)
        # before the first image the example says stop; that is over now
        listener.arrival_s = time.monotonic()
        time.sleep(0.3)
        return list(robot.answers(frames, camera, period_s))


@pytest.fixture(scope='module')
def balancing(request):
    """Return a person between 3.5 and 3.1 m away who raises the right hand after a while."""
    images = clip_images(measured_clip('cam01.mp4'), 36, (540, 960), every=2)
    return images, CAM01.resized(540, 960)


def test_example_is_short():
    assert len(EXAMPLE.read_text('utf-8').splitlines()) <= 70


def test_raised_hand_in_a_clip(balancing):
    """Arms below the head at first, one hand above it later, and nothing else is a reason."""
    said = decisions(*balancing, distance_m=2.0)
    assert len(said) >= 34 and not any(said[:10]) and sum(said[20:]) >= 5


def test_near_person_in_a_clip(balancing):
    frames, camera = balancing
    said = decisions(frames[:12], camera, distance_m=6.0, raised_hand=False)
    assert len(said) >= 11 and all(said)


def test_legs_alone_stop_the_robot():
    """Shanks at 3 m were a person at 7 m, observed; now what is cut off is a reason by itself."""
    images = clip_images(measured_clip('cam04.mp4'), 30, every=2, row=1047)
    frames = [cv2.resize(image, (544, 436)) for image in images]
    camera = CAM04.cropped(0, 1047, 1088, 873).resized(544, 436)
    # the fault is in /diagnostics, once a second
    said = decisions(2 * frames, camera, period_s=0.04, distance_m=2.0)
    assert len(said) >= 50 and sum(said) >= 5


def test_images_without_people_do_not_stop():
    said = decisions([GREY] * 5, Camera.from_fov(640, 480, 60.0), distance_m=50.0)
    assert len(said) >= 4 and not any(said)


def person(distance_m, status=OBSERVED, hand_up=False) -> Body:
    from niki_ros.body.skeleton import open_skeleton
    joints = open_skeleton().rest().copy()
    if hand_up:
        joints[[19, 21, 23, 26], 1] = joints[15, 1] + np.array([0.1, 0.3, 0.4, 0.5])
    return Body(1, T0, np.tile(np.eye(3), (24, 1, 1)), np.zeros(10), np.array([0, 0, distance_m]),
                joints @ FACING + [0, 0, distance_m], np.full(24, 0.9),
                np.full(24, status, np.uint8), np.zeros((24, 3)), np.zeros(3),
                np.full((29, 2), np.nan))


def half(status, distance_m) -> Body:
    """Return a person with near legs that have this status; the rest is far away and observed."""
    body = person(distance_m)
    body.joints_m[[1, 4, 7, 10]] = [0, 0, 0.2]
    body.status[[1, 4, 7, 10]] = status
    return body


CASES = {
    'near': ([person(1.0)], True),
    'far': ([person(4.0)], False),
    'no people': ([], False),
    'predicted': ([person(1.0, PREDICTED)], False),
    'unobserved': ([person(1.0, UNOBSERVED)], False),
    'unsure legs': ([half(PREDICTED, 4.0)], False),
    'sure legs': ([half(OBSERVED, 4.0)], True),
    'hand': ([person(4.0, hand_up=True)], True),
    'unsure hand': ([person(4.0, UNOBSERVED, hand_up=True)], False),
    'one of two': ([person(4.0), person(1.0)], True),
}


def test_what_counts():
    with ros_graph(example(distance_m=1.5), Robot) as (listener, robot):
        assert wait_for(lambda: robot.clouds.get_subscription_count() > 1
                        and robot.count_publishers('stop') > 0)
        listener.arrival_s = time.monotonic()
        time.sleep(0.3)
        said = {}
        for number, (name, (bodies, _)) in enumerate(CASES.items()):
            for body_id, body in enumerate(bodies):
                body.id = body_id + 1
            before = len(robot.stops)
            robot.clouds.publish(cloud_from_bodies(bodies, stamp_from_ns(T0 + number), FRAME))
            assert wait_for(lambda before=before: len(robot.stops) > before), name
            said[name] = robot.stops[-1]
    assert said == {name: wanted for name, (_, wanted) in CASES.items()}


def test_silence_stops():
    with ros_graph(example(silence_s=0.4), Robot) as (_, robot):
        assert wait_for(lambda: robot.stops and robot.stops[-1])
        for number in range(8):
            robot.clouds.publish(cloud_from_bodies([], stamp_from_ns(T0 + number), FRAME))
            time.sleep(0.1)
        assert wait_for(lambda: not robot.stops[-1], 1.0)
        assert wait_for(lambda: robot.stops[-1])


def test_process_ends_on_a_signal():
    with ros_graph(lambda: Node('witness')) as (witness,):
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLE), '--ros-args', '-p', 'distance_m:=2.0'],
            env=child_environment(), stderr=subprocess.PIPE, text=True)
        assert wait_for(lambda: witness.count_publishers('stop') == 1, 60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0 and 'Traceback' not in errors, errors
