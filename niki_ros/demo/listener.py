"""The consumer in the demonstration: knows the node only by its topics, keeps what it hears."""

from __future__ import annotations

from collections import Counter
import time
from typing import Dict, List, NamedTuple

from diagnostic_msgs.msg import DiagnosticArray
from niki_ros.body.body import Body
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.publishers import LATCHED_QOS, POINT_DTYPE
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

_QUEUE = QoSProfile(depth=1000)
_SENT_QOS = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_FIRST_IDS = 8


class Record(NamedTuple):
    """One message as it came."""

    topic: str
    kind: type
    arrival_ns: int
    data: bytes


class DemoListener(Node):
    """Keeps every message as bytes, and measures image stamp → TF received."""

    def __init__(self, **options):
        """Subscribe; the topics of the first people before they appear, so that none is missed."""
        super().__init__('niki_demo', **options)
        self.records: List[Record] = []
        self.latencies_ms: List[float] = []
        self.counts: Counter = Counter()
        self.frames_with_body: set = set()
        self.bodies: Dict[int, List[Body]] = {}
        self.arrivals_ns: Dict[int, int] = {}
        self.body_ids: Counter = Counter()
        self.diagnostics: Dict[str, str] = {}
        self._known: set = set()
        self.last_heard = time.monotonic()
        self._listen(TFMessage, '/tf', QoSProfile(depth=1000), self._on_tf)
        self._listen(CameraInfo, 'camera_info', _SENT_QOS)
        self._listen(PointCloud2, 'joints', _QUEUE, self._on_joints)
        self._listen(DiagnosticArray, '/diagnostics', _QUEUE, self._on_diagnostics, waited=False)
        for body_id in range(1, _FIRST_IDS + 1):
            self._listen_to_body(body_id)

    def ready(self) -> bool:
        """Whether the node reads images."""
        return self.count_subscribers('image') > 0 and self.count_publishers('joints') > 0

    def line(self) -> str:
        """Return how it stands, in one line."""
        latency = np.median(self.latencies_ms[-50:]) if self.latencies_ms else float('nan')
        now = len(self.bodies[max(self.bodies)]) if self.bodies else 0
        frames, transforms = self.counts['camera_info'], self.counts['/tf']
        return (f'frames {frames:5d}   bodies {now}   TF {transforms:5d}'
                f'   image to TF {latency:5.1f} ms')

    def _listen(self, kind, topic, qos, act=None, waited=True):
        """
        Keep the raw messages of a topic; ``act`` sees the message.

        :param waited: the end of the run is when nothing comes any more.
        """
        def callback(data):
            arrival_ns = time.time_ns()
            self.records.append(Record(topic, kind, arrival_ns, data))
            self.counts[topic] += 1
            if waited:
                self.last_heard = time.monotonic()
            if act:
                act(deserialize_message(data, kind), arrival_ns)
        self.create_subscription(kind, topic, callback, qos, raw=True)

    def _listen_to_body(self, body_id: int):
        """Subscribe to one person."""
        if body_id not in self._known:
            self._known.add(body_id)
            topic = f'bodies/body_{body_id}'
            self._listen(JointState, f'{topic}/joint_states', _QUEUE)
            self._listen(String, f'{topic}/robot_description', LATCHED_QOS)

    def _on_tf(self, message, arrival_ns):
        stamp_ns = ns_from_stamp(message.transforms[0].header.stamp)
        self.latencies_ms.append((arrival_ns - stamp_ns) * 1e-6)
        self.frames_with_body.add(stamp_ns)

    def _on_joints(self, message, arrival_ns):
        """Note who was in the image."""
        bodies = bodies_from_cloud(message)
        stamp_ns = ns_from_stamp(message.header.stamp)
        self.bodies[stamp_ns], self.arrivals_ns[stamp_ns] = bodies, arrival_ns
        for body in bodies:
            self.body_ids[body.id] += 1
            self._listen_to_body(body.id)

    def _on_diagnostics(self, message, _):
        for status in message.status:
            if status.name.endswith(': pose'):
                self.diagnostics = {value.key: value.value for value in status.values}


def bodies_from_cloud(message: PointCloud2) -> List[Body]:
    """Return what the topic ``joints`` says of everybody: places and confidence, no rotations."""
    points = np.frombuffer(message.data, POINT_DTYPE)
    bodies = []
    for body_id in np.unique(points['body']):
        own = points[points['body'] == body_id]
        own = own[np.argsort(own['joint'])]
        joints_m = np.stack([own['x'], own['y'], own['z']], axis=1)
        bodies.append(Body(
            id=int(body_id), stamp_ns=ns_from_stamp(message.header.stamp),
            rotmat=np.tile(np.eye(3), (24, 1, 1)), betas=np.zeros(10), root_m=joints_m[0],
            joints_m=joints_m, confidence=own['confidence'][:24],
            status=own['status'][:24].astype(np.uint8),
            angular_velocity_rad_s=np.zeros((24, 3)), root_velocity_m_s=np.zeros(3),
            keypoints_px=np.full((29, 2), np.nan)))
    return bodies
