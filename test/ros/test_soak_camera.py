"""A camera that stops, starts again, and changes its size, encoding, calibration and clock."""

import time

from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.ros.conversions import image_from_rgb, info_from_camera
import numpy as np
from ros_fixtures import accounted, CAMERA, FRAME, GREY, running, T0, wait_for
from sensor_msgs.msg import CameraInfo, Image

ENCODINGS = {'rgb8': 3, 'bgr8': 3, 'mono8': 1, 'bgra8': 4, 'mono16': 2, 'yuv422_yuy2': 2}


class Driver:
    def __init__(self, client):
        self.client = client
        self.images = client.create_publisher(Image, 'image', 5)
        self.infos = client.create_publisher(CameraInfo, 'camera_info', 5)
        assert wait_for(lambda: self.images.get_subscription_count() == 1)

    def stop(self):
        for publisher in (self.images, self.infos):
            self.client.destroy_publisher(publisher)

    def send(self, stamp_ns, size, encoding) -> bool:
        width, height = size
        self.infos.publish(info_from_camera(CAMERA.resized(*size), stamp_ns, FRAME))
        image = image_from_rgb(np.zeros((height, width, 3), np.uint8), stamp_ns, FRAME)
        image.encoding, image.step = encoding, width * ENCODINGS[encoding]
        image.data = image.data[:1] * (image.step * height)
        for _ in range(20):
            self.images.publish(image)
            if wait_for(lambda: stamp_ns in self.client.processed(), 0.5):
                return True
        return False


def test_camera_restarts_with_another_size_and_encoding():
    with running() as (node, client):
        stamp_ns = T0
        for index, encoding in enumerate(ENCODINGS):
            size = (640 // (index % 3 + 1) // 2 * 2, 480 // (index % 3 + 1))
            driver = Driver(client)
            stamp_ns += 300_000_000
            assert driver.send(stamp_ns, size, encoding), client.diagnostics
            driver.stop()
            assert wait_for(lambda: accounted(node))
        places = [bodies_from_cloud(cloud)[0] for cloud in client.clouds if cloud.width]
        assert {body.id for body in places} == {1}
        assert not node.health.skipped['image_invalid'] and node.state == 'active'


def test_clock_that_jumps_to_and_fro():
    """Sixty jumps within the time that topics live: no topic of a former body stays."""
    with running() as (node, client):
        for index in range(60):
            stamp_ns = T0 + (index % 2) * 600_000_000 + index * 1_000_000
            message = image_from_rgb(np.zeros((480, 640, 3), np.uint8), stamp_ns, FRAME)
            before = node.health.counts()['received']
            client.images.publish(message)
            wait_for(lambda wanted=before: node.health.counts()['received'] > wanted, 1)
            wait_for(lambda: accounted(node))
        assert node.health.processed > 40 and node.state == 'active'
        client.row('stamp_jumped_back')
        topics = [name for name, _ in client.get_topic_names_and_types()
                  if name.endswith('/joint_states')]
        assert wait_for(lambda: len(node.publisher.body_ids) == 1) and len(topics) < 10


def test_two_cameras_on_one_topic_are_not_counted_as_lost_frames():
    """Each numbers its images for itself: the difference of the two is no loss."""
    with running() as (node, client):
        first, second = Driver(client), Driver(client)
        for index in range(30):
            first.images.publish(image_from_rgb(GREY, T0 + index, FRAME))
        assert wait_for(lambda: accounted(node))
        before = node.health.counts()['received']
        for index in range(5):
            for driver in (second, first):
                sent = index * 10**8 + (10**7 if driver is first else 0)
                driver.images.publish(image_from_rgb(GREY, T0 + 10**9 + sent, FRAME))
                time.sleep(0.02)
        wait_for(lambda: node.health.counts()['received'] >= before + 10, 2)
        assert node.health.counts()['received'] <= before + 12
