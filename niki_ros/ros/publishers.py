"""Bodies to topics: /tf, joint states, robot descriptions, joints, markers."""

from __future__ import annotations

from array import array
from typing import Dict, List

from geometry_msgs.msg import Point, TransformStamped
from niki_ros.core import urdf
from niki_ros.core.skeleton import PARENTS_29, Skeleton
from niki_ros.core.types import Body
from niki_ros.ros.conversions import stamp_from_ns

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks  # type: ignore
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                         durability=DurabilityPolicy.TRANSIENT_LOCAL)
OUTPUT_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
POINT_DTYPE = np.dtype({
    'names': ['x', 'y', 'z', 'confidence', 'status', 'joint', 'body'],
    'formats': ['<f4'] * 4 + ['<u2'] * 3, 'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})
"""One point of the topic ``joints``."""

_FIELDS = [PointField(
    name=name, offset=POINT_DTYPE.fields[name][1], count=1,
    datatype=PointField.FLOAT32 if POINT_DTYPE[name].kind == 'f' else PointField.UINT16)
    for name in POINT_DTYPE.names]
# a leaf has no rotation of its own: it is known as well as the joint that carries it
_KNOWN_AS = np.array(list(range(24)) + [PARENTS_29[leaf] for leaf in range(24, 29)])
_MARKER_LIFE_S = 1
# the default callbacks would put an entity a publisher into every wait of the executor
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class BodyTopics:
    """The two topics of one person, and what must be remembered of the last message."""

    def __init__(self, node, body_id: int):
        """Create the publishers."""
        self._node = node
        # a name in a topic must not start with a digit
        topic = f'bodies/body_{body_id}'
        self.joint_states = node.create_publisher(
            JointState, f'{topic}/joint_states', OUTPUT_QOS, event_callbacks=_NO_EVENTS)
        self.robot_description = node.create_publisher(
            String, f'{topic}/robot_description', LATCHED_QOS, event_callbacks=_NO_EVENTS)
        self.betas = None
        self.offsets_m = None
        self.angles = None
        self.seen_ns = 0

    def destroy(self):
        """Remove the topics."""
        for publisher in (self.joint_states, self.robot_description):
            self._node.destroy_publisher(publisher)


class Outputs:
    """
    Publishes what was found in one image; everything carries that image's stamp.

    :param skeleton: of the solver, for the lengths of the bones.
    :param prefix: put before every body frame.
    :param keep_s: topics of a person live on for so long after the person was last published.
    """

    def __init__(self, node, skeleton: Skeleton, prefix: str = '', keep_s: float = 2.0):
        """Create the publishers that do not depend on who is there."""
        self._node, self._skeleton, self._prefix = node, skeleton, prefix
        self.keep_s = keep_s
        self.publish_tf = True
        self._bodies: Dict[int, BodyTopics] = {}
        self._drawn: Dict[int, str] = {}
        self._names: Dict[int, List[str]] = {}
        make = node.create_publisher
        self.tf = make(TFMessage, '/tf', TF_QOS, event_callbacks=_NO_EVENTS)
        self.joints = make(PointCloud2, 'joints', OUTPUT_QOS, event_callbacks=_NO_EVENTS)
        self.markers = make(MarkerArray, 'markers', OUTPUT_QOS, event_callbacks=_NO_EVENTS)

    def publish(self, bodies: List[Body], stamp_ns: int, frame_id: str):
        """Publish one image's bodies; an empty list clears what was shown."""
        stamp = stamp_from_ns(stamp_ns)
        topics = [self._topics(body) for body in bodies]
        if bodies and self.publish_tf:
            self.tf.publish(TFMessage(transforms=[
                transform for body, own in zip(bodies, topics)
                for transform in self._transforms(body, own.offsets_m, stamp, frame_id)]))
        for body, own in zip(bodies, topics):
            self._publish_joint_state(body, own, stamp)
        self.joints.publish(cloud_from_bodies(bodies, stamp, frame_id))
        if self.markers.get_subscription_count() > 0:
            self.markers.publish(self._marker_array(bodies, stamp, frame_id))
        self._forget(stamp_ns)

    def destroy(self):
        """Remove every topic."""
        for own in self._bodies.values():
            own.destroy()
        self._bodies.clear()
        for publisher in (self.tf, self.joints, self.markers):
            self._node.destroy_publisher(publisher)

    def _topics(self, body: Body) -> BodyTopics:
        """Return a person's topics; the URDF goes out before the first frame that needs it."""
        own = self._bodies.get(body.id)
        if own is None:
            own = self._bodies[body.id] = BodyTopics(self._node, body.id)
            self._names[body.id] = urdf.link_names(self._prefix, body.id)
        if own.betas is None or not np.array_equal(own.betas, body.betas):
            own.betas = np.array(body.betas)
            own.offsets_m = self._skeleton.offsets(own.betas)
            own.robot_description.publish(String(data=urdf.urdf_from_offsets(
                own.offsets_m, self._prefix, body.id)))
        own.seen_ns = body.stamp_ns
        return own

    def _transforms(self, body, offsets_m, stamp, frame_id) -> List[TransformStamped]:
        """Return image frame → body_<id> → … → every joint."""
        names = self._names[body.id]
        offsets, quats = urdf.link_transforms(body.rotmat, offsets_m)
        root_quat = urdf.root_quat_xyzw(body.rotmat)
        messages = [_transform(stamp, frame_id, names[0], body.root_m, root_quat)]
        for index, parent in enumerate(urdf.link_parents()[1:]):
            messages.append(_transform(
                stamp, names[parent], names[index + 1], offsets[index], quats[index]))
        return messages

    @staticmethod
    def _publish_joint_state(body, own, stamp):
        """Publish angles and rates, continuous from message to message."""
        own.angles = urdf.revolute_from_rotmat(body.rotmat, own.angles)
        rates = urdf.revolute_rates(own.angles, body.angular_velocity_rad_s)
        message = JointState(name=list(urdf.REVOLUTE_NAMES))
        message.header.stamp = stamp
        message.position = array('d', own.angles.tobytes())
        message.velocity = array('d', rates.tobytes())
        own.joint_states.publish(message)

    def _marker_array(self, bodies, stamp, frame_id) -> MarkerArray:
        """Return the skeletons, and the removal of those who have left."""
        from niki_ros.core.images import confidence_rgb
        message = MarkerArray()
        for body in bodies:
            message.markers += _body_markers(body, stamp, frame_id, confidence_rgb)
        present = {body.id for body in bodies}
        for gone in [body_id for body_id in self._drawn if body_id not in present]:
            for namespace in ('skeleton', 'joints'):
                marker = Marker(ns=namespace, id=gone, action=Marker.DELETE)
                marker.header.stamp, marker.header.frame_id = stamp, self._drawn[gone]
                message.markers.append(marker)
            del self._drawn[gone]
        self._drawn.update(dict.fromkeys(present, frame_id))
        return message

    def _forget(self, stamp_ns: int):
        """Remove the topics of people who have not been published for a while."""
        for body_id, own in list(self._bodies.items()):
            # time may have jumped back: ids are never used again, so these are gone too
            if not 0 <= stamp_ns - own.seen_ns <= self.keep_s * 1e9:
                own.destroy()
                del self._bodies[body_id], self._names[body_id]


def cloud_from_bodies(bodies: List[Body], stamp, frame_id: str) -> PointCloud2:
    """Return one point a joint of every body."""
    points = np.zeros((len(bodies), 29), POINT_DTYPE)
    for row, body in zip(points, bodies):
        row['x'], row['y'], row['z'] = np.asarray(body.joints_m).T
        row['confidence'] = np.asarray(body.confidence)[_KNOWN_AS]
        row['status'] = np.asarray(body.status)[_KNOWN_AS]
        row['joint'], row['body'] = np.arange(29), body.id & 0xFFFF
    message = PointCloud2(height=1, width=points.size, fields=_FIELDS, is_dense=True,
                          point_step=POINT_DTYPE.itemsize,
                          row_step=POINT_DTYPE.itemsize * points.size)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.data = array('B', points.tobytes())
    return message


def _transform(stamp, parent: str, child: str, xyz, quat) -> TransformStamped:
    message = TransformStamped(child_frame_id=child)
    message.header.stamp, message.header.frame_id = stamp, parent
    place, turn = message.transform.translation, message.transform.rotation
    place.x, place.y, place.z = (float(value) for value in xyz)
    turn.x, turn.y, turn.z, turn.w = (float(value) for value in quat)
    return message


def _body_markers(body, stamp, frame_id, confidence_rgb) -> List[Marker]:
    """Return the bones as lines and the joints as spheres, coloured by confidence."""
    points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in body.joints_m]
    colours = []
    for value in np.asarray(body.confidence)[_KNOWN_AS]:
        red, green, blue = confidence_rgb(float(value))
        colours.append(ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=1.0))
    bones = [joint for one in range(1, 29) for joint in (PARENTS_29[one], one)]
    lines = _marker(body.id, 'skeleton', Marker.LINE_LIST, 0.015, stamp, frame_id)
    lines.points = [points[joint] for joint in bones]
    lines.colors = [colours[joint] for joint in bones]
    spheres = _marker(body.id, 'joints', Marker.SPHERE_LIST, 0.04, stamp, frame_id)
    spheres.points, spheres.colors = points, colours
    return [lines, spheres]


def _marker(body_id, namespace, kind, size_m, stamp, frame_id) -> Marker:
    marker = Marker(ns=namespace, id=body_id, type=kind, action=Marker.ADD)
    marker.header.stamp, marker.header.frame_id = stamp, frame_id
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    marker.lifetime.sec = _MARKER_LIFE_S
    return marker
