"""Node of the demonstration that records what ``niki_pose`` publishes and measures its latency."""

from collections import Counter
import time
from typing import Dict, List, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from niki_ros.body.body import Body
from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.body_frames import first_stamp_ns
from niki_ros.ros.qos import LATCHED_QOS
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

_QUEUE_QOS = QoSProfile(depth=1000)
_CAMERA_INFO_QOS = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# ids whose topics are subscribed before the bodies appear, so that no message is missed
_FIRST_ID_COUNT = 8
_RECENT_LATENCIES = 50


class Record(NamedTuple):
    """A message as it was received."""

    topic: str
    kind: type
    arrival_ns: int
    data: bytes


class DemoListener(Node):
    """Records every message as bytes, and measures the time from image stamp to TF."""

    def __init__(self, **options):
        super().__init__('niki_demo', **options)
        self.records: List[Record] = []  # in the order of arrival
        self.counts: Counter = Counter()  # topic → number of messages
        self.latencies_ms: List[float] = []  # image stamp to arrival of its TF
        self.bodies: Dict[int, List[Body]] = {}  # image stamp in nanoseconds → its bodies
        self.arrivals_ns: Dict[int, int] = {}  # image stamp → arrival of its bodies
        self.frames_with_body: set = set()  # stamps of the images with TF
        self.body_ids: set = set()
        self.diagnostics: Dict[str, str] = {}  # newest values of the node
        self.last_arrival_s = time.monotonic()  # of a message other than diagnostics
        self._subscribed_ids: set = set()
        self._record(TFMessage, '/tf', _QUEUE_QOS, self._on_tf)
        self._record(CameraInfo, 'camera_info', _CAMERA_INFO_QOS)
        self._record(PointCloud2, 'joints', _QUEUE_QOS, self._on_joints)
        self._record(DiagnosticArray, '/diagnostics', _QUEUE_QOS, self._on_diagnostics,
                     periodic=True)
        for body_id in range(1, _FIRST_ID_COUNT + 1):
            self._subscribe_to_body(body_id)

    def is_node_ready(self) -> bool:
        return self.count_subscribers('image') > 0 and self.count_publishers('joints') > 0

    def progress(self) -> str:
        recent_ms = self.latencies_ms[-_RECENT_LATENCIES:]
        latency_ms = np.median(recent_ms) if recent_ms else float('nan')
        body_count = len(self.bodies[max(self.bodies)]) if self.bodies else 0
        return (f'frames {self.counts["camera_info"]:5d}   bodies {body_count}   '
                f'TF {self.counts["/tf"]:5d}   image to TF {latency_ms:5.1f} ms')

    def _record(self, kind, topic, qos, on_message=None, periodic=False):
        """Record a topic; ``periodic`` ones go on after the end of the source."""
        def callback(data):
            arrival_ns = time.time_ns()
            self.records.append(Record(topic, kind, arrival_ns, data))
            self.counts[topic] += 1
            if not periodic:
                self.last_arrival_s = time.monotonic()
            if on_message:
                on_message(data, arrival_ns)
        self.create_subscription(kind, topic, callback, qos, raw=True)

    def _subscribe_to_body(self, body_id: int):
        if body_id not in self._subscribed_ids:
            self._subscribed_ids.add(body_id)
            topic = f'bodies/body_{body_id}'
            self._record(JointState, f'{topic}/joint_states', _QUEUE_QOS)
            self._record(String, f'{topic}/robot_description', LATCHED_QOS)

    def _on_tf(self, data, arrival_ns):
        # to read all transforms would take a core from the node for milliseconds per image
        stamp_ns = first_stamp_ns(data)
        self.latencies_ms.append((arrival_ns - stamp_ns) * 1e-6)
        self.frames_with_body.add(stamp_ns)

    def _on_joints(self, data, arrival_ns):
        message = deserialize_message(data, PointCloud2)
        stamp_ns = ns_from_stamp(message.header.stamp)
        self.bodies[stamp_ns] = bodies_from_cloud(message)
        self.arrivals_ns[stamp_ns] = arrival_ns
        for body in self.bodies[stamp_ns]:
            self.body_ids.add(body.id)
            self._subscribe_to_body(body.id)

    def _on_diagnostics(self, data, _):
        for status in deserialize_message(data, DiagnosticArray).status:
            if status.name.endswith(': pose'):
                self.diagnostics = {value.key: value.value for value in status.values}
