"""Subscriptions, worker and checks of the node while it is active."""

import time
from typing import Optional

from niki_ros.observers.image_period import ImagePeriod
from niki_ros.ros.body_publisher import BodyPublisher
from niki_ros.ros.faults import FaultLog
from niki_ros.ros.frame_processor import FrameProcessor
from niki_ros.ros.graph_checks import alternatives_text
from niki_ros.ros.health import Health
from niki_ros.ros.health_monitor import HealthMonitor
from niki_ros.ros.latest_message_worker import LatestMessageWorker
from niki_ros.ros.optional_inputs import OptionalInputs
from niki_ros.ros.qos import image_qos, info_qos
from niki_ros.ros.settings import NodeConfig
from niki_ros.ros.subscriptions import Subscriptions
from niki_ros.ros.topics import image_topic
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

# a gap in the sequence numbers at a higher rate than that of any camera comes from a second
# publisher, not from lost images
_MAX_RATE_HZ = 250


class Activation:
    """Processes the newest image in a thread, from its construction until :meth:`stop`."""

    def __init__(self, node, pipeline, publisher: BodyPublisher, config: NodeConfig,
                 health: Health, faults: FaultLog):
        self._node, self._health = node, health
        topic, kind = image_topic(node, config.image_transport)
        self.image_topic, self.info_topic = map(node.resolve_topic_name, (topic, 'camera_info'))
        self._subscriptions = Subscriptions(node, config.qos, faults)
        self._inputs = OptionalInputs(node, config, pipeline.config, faults)
        pipeline.reset()
        self.processor = FrameProcessor(
            pipeline, publisher, self._inputs, health, faults, config.frame_id,
            lambda: node.get_clock().now().nanoseconds, self.info_topic, self.image_topic)
        self._worker = LatestMessageWorker(self.processor.process, health.skip,
                                           lambda text: faults.fail('inference_failed', text))
        self._monitor = HealthMonitor(
            config.health, health, faults.warn, self.image_topic,
            lambda: alternatives_text(node, self.image_topic, Image, CompressedImage))
        self._last_number = self._last_arrival_ns = 0
        self._period = ImagePeriod()  # of all images, also of those that are skipped
        try:
            self._inputs.subscribe(self._subscriptions)
            self._subscriptions.add(CameraInfo, 'camera_info', self.processor.set_camera_info,
                                    info_qos)
            self._subscriptions.add_with_info(kind, topic, self.on_image, image_qos)
        except Exception:
            self.stop()
            raise

    @property
    def fatal(self) -> Optional[str]:
        """Return why the worker has given up, None while it works."""
        return self._worker.fatal

    @property
    def up_frame(self) -> str:
        """Return the TF frame that gave the up direction, or ''."""
        return self._inputs.transforms.up_frame

    def check(self) -> None:
        """Report silence, slowness, and topics that other nodes publish in another way."""
        self._monitor.check()
        self.processor.set_info_hint(alternatives_text(self._node, self.info_topic, CameraInfo))
        self._subscriptions.check()

    def stop(self) -> None:
        """Unsubscribe and end the thread."""
        self._subscriptions.destroy()
        self._worker.stop()
        self._inputs.transforms.destroy()

    def on_image(self, message, info) -> None:
        """Hand an image to the worker, and count those that the middleware has overwritten."""
        now_ns = time.monotonic_ns()
        number = info.get('publication_sequence_number') or 0
        lost_count = number - self._last_number - 1 if self._last_number else 0
        if not 0 < lost_count <= _MAX_RATE_HZ * 1e-9 * (now_ns - self._last_arrival_ns):
            lost_count = 0
        self._last_number, self._last_arrival_ns = number, now_ns
        stamp = message.header.stamp
        self.processor.set_period(self._period.update(stamp.sec * 10**9 + stamp.nanosec))
        self._monitor.arrived()
        self._health.arrived(1 + lost_count, lost_count)
        self._worker.put(message)
