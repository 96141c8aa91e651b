"""Subscriptions beside the image: depth, detections, and the transform to the ground."""

from __future__ import annotations

import time
from typing import Any, Callable, Optional

from niki_ros.core.errors import InputError
from niki_ros.core.ground import Ground
from niki_ros.core.intake import ns_from_stamp
from niki_ros.core.side_inputs import (
    boxes_from_detections,
    boxes_not_older,
    depth_from_image,
    FrameTree,
    NearestDepth,
)
from niki_ros.ros.qos import image_qos, LATCHED_QOS, TF_QOS
from niki_ros.ros.topics import depth_topic
from rclpy.time import Time

_LOOK_AGAIN_S = 1.0
_BOXES_NS = 500_000_000


class SideInputs:
    """
    What the node knows of an image beside its pixels.

    :ivar named: subscriptions to topics that a user may name otherwise.
    :param subscribe: ``(type, topic, callback, profile)`` → subscription; it names a publisher
        that offers too little.
    :param min_score: of detections.
    :param warn: called with name and text of a fault.
    """

    def __init__(self, node, subscribe: Callable, config, min_score: float,
                 warn: Callable[[str, str], None]):
        """Subscribe to what there is."""
        self._node, self._frame, self._warn = node, config.ground_frame.lstrip('/'), warn
        self._accepted, self._min_score = config.detection_classes, min_score
        self._depth = NearestDepth()
        self._boxes, self._boxes_ns = None, 0
        self._ground: Optional[Ground] = None
        self._looked_s = float('-inf')
        topic, kind = depth_topic(node)
        self._subscriptions = [subscribe(kind, topic, self._depth.put, image_qos)]
        self._listen_to_detections(subscribe)
        self.named = tuple(self._subscriptions)
        self._tree: Optional[FrameTree] = None
        self._buffer: Any = None
        self._listener: Any = None
        if self._frame:
            self._listen_to_tf()

    def of(self, stamp_ns: int, camera_frame: str) -> dict:
        """Return keyword arguments of ``Pipeline.process`` for the image of this stamp."""
        boxes = boxes_not_older(self._boxes, self._boxes_ns, stamp_ns, _BOXES_NS)
        self._boxes = None
        return {'boxes_px': boxes, 'ground': self._ground_in(camera_frame),
                'depth_m': lambda: self._depth_of(stamp_ns)}

    def destroy(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def set_detections(self, message) -> None:
        """Take a vision_msgs/Detection2DArray."""
        self._boxes_ns = ns_from_stamp(message.header.stamp)
        self._boxes = boxes_from_detections(message, self._accepted, self._min_score)

    def _depth_of(self, stamp_ns: int):
        message = self._depth.of(stamp_ns)
        try:
            return None if message is None else depth_from_image(message)
        except InputError as error:
            self._warn('depth_invalid', str(error))
            return None

    def _listen_to_detections(self, subscribe: Callable):
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            return  # not installed: nobody on this machine can publish them
        self._subscriptions.append(
            subscribe(Detection2DArray, 'detections', self.set_detections, image_qos))

    def _listen_to_tf(self):
        """Listen with tf2_ros where it is installed, else with a tree of our own."""
        try:
            from tf2_ros import Buffer, TransformListener
        except ImportError:
            from tf2_msgs.msg import TFMessage
            self._tree = FrameTree()
            self._subscriptions += [
                self._node.create_subscription(TFMessage, '/tf', self._tree.put, TF_QOS),
                self._node.create_subscription(
                    TFMessage, '/tf_static', self._tree.put, _STATIC_QOS)]
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self._node)

    def _ground_in(self, camera_frame: str) -> Optional[Ground]:
        """Return the ground in the camera's frame, looked up once a second."""
        now_s = time.monotonic()
        if self._frame and now_s - self._looked_s >= _LOOK_AGAIN_S:
            self._looked_s = now_s
            try:
                self._ground = Ground.from_transform(*self._transform(camera_frame))
            except InputError as error:
                self._ground = None
                self._warn('ground_unknown', str(error))
        return self._ground

    def _transform(self, camera_frame: str):
        """Return rotation and translation of the ground frame in the camera's."""
        if self._tree is not None:
            return self._tree.lookup(camera_frame, self._frame)
        from tf2_ros import TransformException
        tree, buffer = FrameTree(), self._buffer
        try:
            found = buffer.lookup_transform(camera_frame, self._frame, Time())
        except TransformException as error:
            raise InputError(str(error)) from error
        tree.put(_Transforms([found]))
        return tree.lookup(camera_frame, self._frame)


class _Transforms:
    """As much of a TFMessage as a tree reads."""

    def __init__(self, transforms):
        self.transforms = transforms


# latched topics of several publishers: each has its own last message
_STATIC_QOS = type(LATCHED_QOS)(
    depth=100, reliability=LATCHED_QOS.reliability, durability=LATCHED_QOS.durability)
