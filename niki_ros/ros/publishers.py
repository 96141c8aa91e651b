"""Bodies to topics: /tf, joint states, robot descriptions, joints, markers."""

from __future__ import annotations

from array import array
from typing import Dict, List, Optional

from geometry_msgs.msg import TransformStamped
from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, Skeleton
from niki_ros.robot_model import urdf
from niki_ros.robot_model.human_description import offsets_from_hips
from niki_ros.ros.body_frames import BodyFrames
from niki_ros.ros.body_topics import BodyTopics
from niki_ros.ros.conversions import stamp_from_ns
from niki_ros.ros.humans import HumanTopics, TrackedIds
from niki_ros.ros.markers import SkeletonMarkers
from niki_ros.ros.qos import LATCHED_QOS, output_qos, overridable, TF_QOS
from niki_ros.ros.settings import body_label, NodeConfig

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks  # type: ignore
import numpy as np
from sensor_msgs.msg import Image, PointCloud2, PointField
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

POINT_DTYPE = np.dtype({
    'names': ['x', 'y', 'z', 'confidence', 'status', 'joint', 'body'],
    'formats': ['<f4'] * 4 + ['<u2'] * 3, 'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})
"""One point of the topic ``joints``."""

_FIELDS = [PointField(
    name=name, offset=POINT_DTYPE.fields[name][1], count=1,
    datatype=PointField.FLOAT32 if POINT_DTYPE[name].kind == 'f' else PointField.UINT16)
    for name in POINT_DTYPE.names]
# the default callbacks would put an entity a publisher into every wait of the executor
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class _Person:
    """One person by every convention that was asked for."""

    def __init__(self, outputs: Outputs, label: str):
        """Create the topics."""
        config, made = outputs.config, (outputs.make_output, outputs.make_latched)
        self.label = label
        self.topics: list = []
        self.human = None
        roots: List[str] = []
        if 'ros4hri' in config.conventions:
            self.human = HumanTopics(*made, label)
            self.topics.append(self.human)
            roots.append(f'body_{label}')
        if 'niki' in config.conventions:
            self.topics.append(BodyTopics(*made, config.before_frames, label))
            # one frame where the two agree on its name
            roots += [name for name in (f'{config.before_frames}body_{label}',)
                      if name not in roots]
        self._roots = roots
        self.publishers = [one for topics in self.topics for one in topics.publishers]
        self.betas = self.offsets_m = None
        self._frames: BodyFrames
        self._descriptions = 0
        self.seen_ns = 0

    def set_betas(self, betas, skeleton: Skeleton):
        """Take new proportions; the URDF goes out before the first frame that needs it."""
        if self.betas is not None and np.array_equal(self.betas, betas):
            return
        new, self.betas = self.betas is None, np.array(betas)
        self.offsets_m = skeleton.offsets(self.betas)
        if self.human is not None:
            self.offsets_m = offsets_from_hips(self.offsets_m)
        self._descriptions += 1
        for topics in self.topics:
            # a slow reader sees by it which description a joint state belongs to
            topics.set_offsets(self.offsets_m, f'body_{self.label}-{self._descriptions}')
        if new:
            self._frames = BodyFrames(self._roots, [topics.links for topics in self.topics])

    def transforms(self, body, stamp, frame_id, links: bool) -> List[TransformStamped]:
        """Return image frame → body_<id>, and → … → every link of every URDF."""
        at_m = urdf.root_position(body.rotmat, body.root_m, self.offsets_m)
        found = self._frames.root(stamp, frame_id, at_m, urdf.root_quat_xyzw(body.rotmat))
        return found + (self._frames.links(stamp, [one.transforms() for one in self.topics])
                        if links else [])


class Outputs:
    """
    Publishes what was found in one image; everything carries that image's stamp.

    :param skeleton: of the solver, for the lengths of the bones.
    :param keep_s: topics of a person live on for so long after the person was last published.
    :ivar missing: what cannot be published on this machine, and why; None = nothing.
    :ivar beyond_limits: angles of the last image that human_description does not allow.
    """

    def __init__(self, node, skeleton: Skeleton, config: NodeConfig, keep_s: float = 2.0):
        """Create the publishers that do not depend on who is there."""
        self.config, self.keep_s = config, keep_s
        self._node, self._skeleton = node, skeleton
        self._bodies: Dict[int, _Person] = {}
        self._skeletons = SkeletonMarkers()
        self.beyond_limits: List[str] = []
        self.tf = self._make(TFMessage, '/tf', TF_QOS, overridable())
        self.joints = self.make_output(PointCloud2, 'joints', overridable())
        self.markers = self.make_output(MarkerArray, 'markers', overridable())
        self.overlay = self._make(Image, 'overlay', output_qos(config.qos, 1), overridable())
        self._publishers = [self.tf, self.joints, self.markers, self.overlay]
        self._tracked = None
        if 'ros4hri' in config.conventions:
            self._tracked = TrackedIds(self.make_output)
            self._publishers += self._tracked.publishers
        self.missing = self._tracked and self._tracked.missing
        self._last: Optional[tuple] = None

    def make_output(self, kind, topic: str, overriding=None):
        """Return a publisher of a stream of bodies."""
        return self._make(kind, topic, output_qos(self.config.qos), overriding)

    def make_latched(self, kind, topic: str):
        """Return a publisher of what those who come late must get too."""
        return self._make(kind, topic, LATCHED_QOS)

    def publish(self, bodies: List[Body], stamp_ns: int, frame_id: str):
        """Publish one image's bodies; an empty list clears what was shown."""
        stamp = stamp_from_ns(stamp_ns)
        people = [self._person(body) for body in bodies]
        for body, person in zip(bodies, people):
            for topics in person.topics:
                topics.publish(body, stamp)
        if bodies and self.config.publish_tf != 'none':
            links = self.config.publish_tf == 'all'
            self.tf.publish(TFMessage(transforms=[
                transform for body, person in zip(bodies, people)
                for transform in person.transforms(body, stamp, frame_id, links)]))
        self.joints.publish(cloud_from_bodies(bodies, stamp, frame_id))
        if self._tracked is not None:
            self._last = stamp, frame_id
            self._tracked.publish([person.label for person in people], stamp, frame_id)
            self.beyond_limits = [
                text for person in people if person.human
                for text in person.human.beyond_limits()]
        if self.markers.get_subscription_count() > 0:
            self.markers.publish(self._skeletons.of(bodies, stamp, frame_id))
        self._forget(stamp_ns)

    def publish_crops(self, bodies: List[Body], stamp_ns: int, frame_id: str, image_rgb, camera):
        """Publish the part of the image that shows each person, as REP-155 wants it."""
        for body in bodies:
            human = self._bodies[body.id].human if body.id in self._bodies else None
            if human is not None:
                human.publish_crop(body, stamp_from_ns(stamp_ns), frame_id, image_rgb, camera)

    @property
    def lists_topic(self) -> str:
        """Return the full name of the topic with everybody's id, empty where there is none."""
        return self._tracked.topic if self._tracked else ''

    def end(self):
        """Publish an empty list of tracked people, with the stamp of the last image."""
        if self._last:
            self._tracked.publish([], *self._last)
        self._last = None

    def destroy(self):
        """Remove every topic."""
        for body_id in list(self._bodies):
            self._remove(body_id)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)

    def _make(self, kind, topic, qos, overriding=None):
        return self._node.create_publisher(
            kind, topic, qos, event_callbacks=_NO_EVENTS, qos_overriding_options=overriding)

    def _person(self, body: Body) -> _Person:
        """Return a person's topics, and publish the URDF where it is another than before."""
        person = self._bodies.get(body.id)
        if person is None:
            person = self._bodies[body.id] = _Person(self, body_label(self.config, body.id))
        person.set_betas(body.betas, self._skeleton)
        person.seen_ns = body.stamp_ns
        return person

    def _forget(self, stamp_ns: int):
        """Remove the topics of people who have not been published for a while."""
        for body_id, person in list(self._bodies.items()):
            # time may have jumped back: ids are never used again, so these are gone too
            if not 0 <= stamp_ns - person.seen_ns <= self.keep_s * 1e9:
                self._remove(body_id)

    def _remove(self, body_id: int):
        for publisher in self._bodies.pop(body_id).publishers:
            self._node.destroy_publisher(publisher)


def cloud_from_bodies(bodies: List[Body], stamp, frame_id: str) -> PointCloud2:
    """Return one point a joint of every body."""
    points = np.zeros((len(bodies), 29), POINT_DTYPE)
    for row, body in zip(points, bodies):
        row['x'], row['y'], row['z'] = np.asarray(body.joints_m).T
        row['confidence'] = np.asarray(body.confidence)[CARRIER_29]
        row['status'] = np.asarray(body.status)[CARRIER_29]
        row['joint'], row['body'] = np.arange(29), body.id & 0xFFFF
    message = PointCloud2(height=1, width=points.size, fields=_FIELDS, is_dense=True,
                          point_step=POINT_DTYPE.itemsize,
                          row_step=POINT_DTYPE.itemsize * points.size)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.data = array('B', points.tobytes())
    return message
