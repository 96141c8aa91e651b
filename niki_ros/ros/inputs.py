"""Subscriptions beside the image: depth, detections, and the transform to the ground."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Optional

from niki_ros.common.errors import InputError
from niki_ros.messages.depth import depth_from_image, DepthSynchronizer
from niki_ros.messages.detections import LatestDetections
from niki_ros.messages.transforms import TransformTree
from niki_ros.ros.qos import image_qos, LATCHED_QOS, TF_QOS
from niki_ros.ros.topics import depth_topic
from niki_ros.scene.ground import Ground
import numpy as np
from rclpy.time import Time

_LOOK_AGAIN_S, _LOOK_SOON_S = 1.0, 0.05
# frames with z against gravity, by REP-105 and REP-120 and by what robots without wheels have
GRAVITY_FRAMES = ('map', 'odom', 'world', 'base_footprint', 'base_stabilized', 'base_link')
"""Where ``gravity_frame`` and ``ground_frame`` are empty, the first that TF leads to."""


class SideInputs:
    """
    What the node knows of an image beside its pixels.

    :ivar named: subscriptions to topics that a user may name otherwise.
    :param subscribe: ``(type, topic, callback, profile)`` → subscription; it names a publisher
        that offers too little.
    :param min_score: of detections. :param find_up: whether up in the image is to be looked for.
    :ivar up_frame: the frame by which it was found, or empty.
    :param warn: called with name and text of a fault.
    """

    def __init__(self, node, subscribe: Callable, config, min_score: float,
                 warn: Callable[[str, str], None], find_up: bool = False):
        """Subscribe to what there is."""
        self._node, self._frame, self._warn = node, config.ground_frame.lstrip('/'), warn
        self._gravity_frame = config.gravity_frame.lstrip('/') or self._frame
        self._find_up, self.up_frame = find_up, ''
        self._up: Optional[np.ndarray] = None
        self._depth = DepthSynchronizer()
        self._boxes = LatestDetections(config.detection_classes, min_score)
        # a frame that was given for that of the images is none that a detector can know
        self._compare_frames = not config.frame_id
        self._ground: Optional[Ground] = None
        self._looked_s = float('-inf')
        topic, kind = depth_topic(node)
        self._subscriptions = [subscribe(kind, topic, self._depth.put, image_qos)]
        self._listen_to_detections(subscribe)
        self.named = tuple(self._subscriptions)
        self._tree: Optional[TransformTree] = None
        self._buffer: Any = None
        self._listener: Any = None
        if self._frame or find_up:
            self._listen_to_tf()

    def of(self, stamp_ns: int, camera_frame: str) -> dict:
        """Return keyword arguments of ``Pipeline.process`` for the image of this stamp."""
        boxes, faults = self._boxes.take(stamp_ns, camera_frame if self._compare_frames else '')
        self._tell(faults)
        # until it is known which way is up, people are looked for the wrong way round
        pause_s = _LOOK_SOON_S if self._find_up and self._up is None else _LOOK_AGAIN_S
        if time.monotonic() - self._looked_s >= pause_s:
            self._looked_s = time.monotonic()
            self._look(camera_frame)
        return {'boxes_px': boxes, 'ground': self._ground, 'up': self._up,
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
        self._tell(self._boxes.put(message))

    def _tell(self, faults: Dict[str, str]):
        for name, text in faults.items():
            self._warn(name, text)

    def _depth_of(self, stamp_ns: int):
        message = self._depth.match(stamp_ns)
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
            self._tree = TransformTree()
            self._subscriptions += [
                self._node.create_subscription(TFMessage, '/tf', self._put_transforms, TF_QOS),
                self._node.create_subscription(
                    TFMessage, '/tf_static', self._put_transforms, _STATIC_QOS)]
            return
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self._node)

    def _put_transforms(self, message):
        self._tree.put(message.transforms)

    def _look(self, camera_frame: str) -> None:
        """Look the ground and the direction up in the camera's axes up, as far as asked for."""
        if self._frame:
            try:
                self._ground = Ground.from_transform(*self._transform(camera_frame, self._frame))
            except InputError as error:
                self._ground = None
                self._warn('ground_unknown', str(error))
        if self._find_up:
            self._up, self.up_frame = None, ''
            for frame in self._gravity_frames(camera_frame):
                try:
                    self._up = self._transform(camera_frame, frame)[0][:, 2]
                except InputError:
                    continue
                self.up_frame = frame
                return

    def _gravity_frames(self, camera_frame: str):
        """Return the frames that can say where up is, the first that is there counts."""
        if self._gravity_frame:
            return [self._gravity_frame]
        # of several robots each has frames of its own, such as robot1/odom
        prefix = camera_frame.rpartition('/')[0]
        own = [f'{prefix}/{name}' for name in GRAVITY_FRAMES] if prefix else []
        return [*own, *GRAVITY_FRAMES]

    def _transform(self, camera_frame: str, frame: str):
        """Return rotation and translation of a frame in the camera's."""
        if self._tree is not None:
            return self._tree.lookup(camera_frame, frame)
        from tf2_ros import TransformException
        tree, buffer = TransformTree(), self._buffer
        try:
            found = buffer.lookup_transform(camera_frame, frame, Time())
        except TransformException as error:
            raise InputError(str(error)) from error
        tree.put([found])
        return tree.lookup(camera_frame, frame)


# latched topics of several publishers: each has its own last message
_STATIC_QOS = type(LATCHED_QOS)(
    depth=100, reliability=LATCHED_QOS.reliability, durability=LATCHED_QOS.durability)
