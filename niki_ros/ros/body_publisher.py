"""Publication of the bodies of an image: TF, joint states, robot descriptions, joints, markers."""

from itertools import chain
from typing import Dict, List, Optional, Tuple

from niki_ros.body.body import Body
from niki_ros.body.skeleton import Skeleton
from niki_ros.common.settings import TrackingConfig
from niki_ros.robot_model import urdf
from niki_ros.robot_model.human_description import offsets_from_hips
from niki_ros.ros.body_frames import BodyFrames, Pair, TransformSerializer
from niki_ros.ros.body_topics import BodyTopics
from niki_ros.ros.conversions import cloud_from_bodies, image_from_rgb, stamp_from_ns
from niki_ros.ros.faults import FaultLog
from niki_ros.ros.markers import SkeletonMarkers
from niki_ros.ros.qos import LATCHED_QOS, output_qos, overridable, TF_QOS
from niki_ros.ros.ros4hri import HumanTopics, TrackedIds
from niki_ros.ros.settings import body_label, NodeConfig
from niki_ros.scene.camera import Camera

try:
    from rclpy.event_handler import PublisherEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks  # type: ignore
import numpy as np
from sensor_msgs.msg import Image, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

# the default callbacks add one entity per publisher to every wait of the executor
_NO_EVENTS = PublisherEventCallbacks(use_default_callbacks=False)


class _BodyOutput:
    """The topics and frames of one body in all conventions."""

    def __init__(self, config: NodeConfig, label: str, make_publisher, make_latched):
        self.label = label
        self.topics: list = []
        self.human: Optional[HumanTopics] = None
        self._roots: List[str] = []
        if 'ros4hri' in config.conventions:
            self.human = HumanTopics(make_publisher, make_latched, label)
            self.topics.append(self.human)
            self._roots.append(f'body_{label}')
        if 'niki' in config.conventions:
            prefix = config.before_frames
            self.topics.append(BodyTopics(make_publisher, make_latched, prefix, label))
            # without a prefix both conventions have the same root
            if f'{prefix}body_{label}' not in self._roots:
                self._roots.append(f'{prefix}body_{label}')
        self.publishers = [one for topics in self.topics for one in topics.publishers]
        self._betas: Optional[np.ndarray] = None
        self._offsets_m: Optional[np.ndarray] = None
        self._frames: BodyFrames
        self._description_count = 0
        self.stamp_ns = 0

    def set_body(self, body: Body, skeleton: Skeleton) -> None:
        """Take the body of a new image; publish the URDF of a new shape, before its frames."""
        self.stamp_ns = body.stamp_ns
        if self._betas is not None and np.array_equal(self._betas, body.betas):
            return
        is_first, self._betas = self._betas is None, np.array(body.betas)
        offsets_m = skeleton.offsets(self._betas)
        self._offsets_m = offsets_m if self.human is None else offsets_from_hips(offsets_m)
        self._description_count += 1
        for topics in self.topics:
            # the name tells slow subscribers which description a joint state belongs to
            topics.set_offsets(self._offsets_m, f'body_{self.label}-{self._description_count}')
        if is_first:
            self._frames = BodyFrames(self._roots, [topics.links for topics in self.topics])

    def transforms(self, body: Body, frame_id: str,
                   with_links: bool) -> Tuple[List[Pair], np.ndarray]:
        """Return root and links with their parents, and their numbers as of BodyFrames."""
        root_m = urdf.root_position(body.rotmat, body.root_m, self._offsets_m)
        links = [topics.transforms() for topics in self.topics] if with_links else []
        numbers = self._frames.numbers(root_m, urdf.root_quat_xyzw(body.rotmat), links)
        return self._frames.pairs(frame_id, with_links), numbers


class BodyPublisher:
    """
    Publishes the bodies of each image; all messages carry the stamp of the image.

    :param tracking: ``keep_s``, which may change, is how long the topics of an absent body stay.
    :ivar tracked_topic: full name of the topic with the ids of REP-155, '' without it.
    """

    def __init__(self, node, skeleton: Skeleton, config: NodeConfig, tracking: TrackingConfig,
                 faults: FaultLog):
        self._node, self._skeleton, self._config = node, skeleton, config
        self._tracking, self._faults = tracking, faults
        self._outputs: Dict[int, _BodyOutput] = {}
        self._markers_of, self._serializer = SkeletonMarkers(), TransformSerializer()
        self._tf = self._make(TFMessage, '/tf', TF_QOS, overridable())
        self._joints = self._make_publisher(PointCloud2, 'joints', overridable())
        self._markers = self._make_publisher(MarkerArray, 'markers', overridable())
        self._overlay = self._make(Image, 'overlay', output_qos(config.qos, 1), overridable())
        self._publishers = [self._tf, self._joints, self._markers, self._overlay]
        self._tracked: Optional[TrackedIds] = None
        if 'ros4hri' in config.conventions:
            self._tracked = TrackedIds(self._make_publisher)
            self._publishers += self._tracked.publishers
            if self._tracked.missing:
                faults.hold('hri_msgs_missing', self._tracked.missing)
        self.tracked_topic = self._tracked.topic if self._tracked else ''
        self._last_header: Optional[Tuple] = None

    @property
    def body_ids(self) -> List[int]:
        """Return the ids of the bodies with topics."""
        return list(self._outputs)

    def publish(self, bodies: List[Body], stamp_ns: int, frame_id: str, image_rgb: np.ndarray,
                camera: Camera) -> None:
        """Publish the bodies of one image (H, W, 3); an empty list clears markers and joints."""
        stamp = stamp_from_ns(stamp_ns)
        outputs = [self._output(body) for body in bodies]
        for body, output in zip(bodies, outputs):
            for topics in output.topics:
                topics.publish(body, stamp)
        if bodies and self._config.publish_tf != 'none':
            with_links = self._config.publish_tf == 'all'
            pairs, numbers = zip(*(output.transforms(body, frame_id, with_links)
                                   for body, output in zip(bodies, outputs)))
            self._tf.publish(self._serializer.serialize(
                list(chain.from_iterable(pairs)), stamp, np.concatenate(numbers)))
        self._joints.publish(cloud_from_bodies(bodies, stamp, frame_id))
        if self._tracked is not None:
            self._last_header = stamp, frame_id
            self._tracked.publish([output.label for output in outputs], stamp, frame_id)
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(self._markers_of.message(bodies, stamp, frame_id))
        self._remove_absent(stamp_ns)
        for body, output in zip(bodies, outputs):
            if output.human is not None:
                output.human.publish_crop(body, stamp, frame_id, image_rgb, camera)
        self._report_limits(outputs)

    def publish_overlay(self, bodies: List[Body], stamp_ns: int, frame_id: str,
                        image_rgb: np.ndarray, camera: Camera) -> None:
        """Publish the image (H, W, 3) with the skeletons, if there are subscribers."""
        if self._overlay.get_subscription_count() > 0:
            from niki_ros.images.overlay import draw_overlay
            overlay_rgb = draw_overlay(image_rgb, bodies, camera)
            self._overlay.publish(image_from_rgb(overlay_rgb, stamp_ns, frame_id))

    def clear_tracked(self) -> None:
        """Publish an empty list of ids with the stamp of the last image."""
        if self._tracked is not None and self._last_header is not None:
            self._tracked.publish([], *self._last_header)
        self._last_header = None

    def destroy(self) -> None:
        """Remove every topic."""
        for body_id in list(self._outputs):
            self._remove(body_id)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)

    def _make(self, kind, topic: str, qos, overriding=None):
        return self._node.create_publisher(
            kind, topic, qos, event_callbacks=_NO_EVENTS, qos_overriding_options=overriding)

    def _make_publisher(self, kind, topic: str, overriding=None):
        return self._make(kind, topic, output_qos(self._config.qos), overriding)

    def _make_latched(self, kind, topic: str):
        return self._make(kind, topic, LATCHED_QOS)

    def _output(self, body: Body) -> _BodyOutput:
        """Return the topics of a body, after publishing its URDF when its shape has changed."""
        output = self._outputs.get(body.id)
        if output is None:
            output = self._outputs[body.id] = _BodyOutput(
                self._config, body_label(self._config, body.id), self._make_publisher,
                self._make_latched)
        output.set_body(body, self._skeleton)
        return output

    def _report_limits(self, outputs: List[_BodyOutput]) -> None:
        texts = [text for output in outputs if output.human is not None
                 for text in output.human.beyond_limits()]
        if texts:
            self._faults.note('ros4hri_limits',
                              f'beyond the limits of human_description: {", ".join(texts)}')

    def _remove_absent(self, stamp_ns: int) -> None:
        for body_id, output in list(self._outputs.items()):
            # a jump back in time ends all tracks; their ids are never used again
            if not 0 <= stamp_ns - output.stamp_ns <= self._tracking.keep_s * 1e9:
                self._remove(body_id)

    def _remove(self, body_id: int) -> None:
        for publisher in self._outputs.pop(body_id).publishers:
            self._node.destroy_publisher(publisher)
