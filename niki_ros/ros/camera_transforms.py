"""The ground plane and the up direction in the axes of the camera, by TF."""

import time
from typing import Callable, List, Optional, Tuple, Union

from niki_ros.common.errors import InputError
from niki_ros.messages.transforms import TransformTree
from niki_ros.ros.qos import STATIC_TF_QOS, TF_QOS
from niki_ros.ros.settings import NodeConfig
from niki_ros.scene.ground import Ground
import numpy as np
from rclpy.time import Time

GRAVITY_FRAMES = ('map', 'odom', 'world', 'base_footprint', 'base_stabilized', 'base_link')
"""
Frames with z against gravity, by REP-105, REP-120 and the practice of robots without wheels.

Where ``gravity_frame`` and ``ground_frame`` are empty, the first one with a transform is used.
"""

_PERIOD_S = 1.0
# while up is unknown, which lets the detector search in wrongly rotated images
_PERIOD_WITHOUT_UP_S = 0.05


class _Tf2Listener:
    """Transforms by tf2_ros."""

    def __init__(self, node):
        from tf2_ros import Buffer, TransformListener
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def lookup(self, target: str, source: str) -> Tuple[np.ndarray, np.ndarray]:
        from tf2_ros import TransformException
        try:
            found = self._buffer.lookup_transform(target, source, Time())
        except TransformException as error:
            raise InputError(str(error)) from error
        tree = TransformTree()
        tree.put([found])
        return tree.lookup(target, source)

    def destroy(self) -> None:
        self._listener.unregister()


class _TreeListener:
    """Transforms by a tree of our own, for machines without tf2_ros."""

    def __init__(self, node):
        from tf2_msgs.msg import TFMessage
        tree = TransformTree()
        self._node, self.lookup = node, tree.lookup
        self._subscriptions = [
            node.create_subscription(
                TFMessage, topic, lambda message: tree.put(message.transforms), profile)
            for topic, profile in (('/tf', TF_QOS), ('/tf_static', STATIC_TF_QOS))]

    def destroy(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def _make_listener(node) -> Union[_Tf2Listener, _TreeListener]:
    try:
        return _Tf2Listener(node)
    except ImportError:
        return _TreeListener(node)


class CameraTransforms:
    """
    Looks up the ground and the up direction once per second, and more often until up is known.

    :param find_up: whether the up direction is needed, for ``image_rotation`` at ``auto``.
    :param warn: called with name and text of a fault.
    :ivar ground: plane in the axes of the camera, None where it is not known.
    :ivar up: (3,) up in the axes of the camera, None where it is not known.
    :ivar up_frame: the frame that gave it, or ''.
    """

    def __init__(self, node, config: NodeConfig, find_up: bool, warn: Callable[[str, str], None]):
        self._ground_frame = config.ground_frame.lstrip('/')
        self._gravity_frame = config.gravity_frame.lstrip('/') or self._ground_frame
        self._find_up, self._warn = find_up, warn
        self.ground: Optional[Ground] = None
        self.up: Optional[np.ndarray] = None
        self.up_frame = ''
        self._updated_s = float('-inf')
        self._listener = _make_listener(node) if self._ground_frame or find_up else None

    def update(self, camera_frame: str) -> None:
        """Look up the transforms of the frame of the images, if the period has passed."""
        period_s = _PERIOD_WITHOUT_UP_S if self._find_up and self.up is None else _PERIOD_S
        if self._listener is None or time.monotonic() - self._updated_s < period_s:
            return
        self._updated_s = time.monotonic()
        if self._ground_frame:
            self._update_ground(self._listener, camera_frame)
        if self._find_up:
            self._update_up(self._listener, camera_frame)

    def destroy(self) -> None:
        if self._listener is not None:
            self._listener.destroy()
            self._listener = None

    def _update_ground(self, listener, camera_frame: str) -> None:
        try:
            self.ground = Ground.from_transform(
                *listener.lookup(camera_frame, self._ground_frame))
        except InputError as error:
            self.ground = None
            self._warn('ground_unknown', str(error))

    def _update_up(self, listener, camera_frame: str) -> None:
        self.up, self.up_frame = None, ''
        for frame in self._gravity_candidates(camera_frame):
            try:
                self.up = listener.lookup(camera_frame, frame)[0][:, 2]
            except InputError:
                continue
            self.up_frame = frame
            return

    def _gravity_candidates(self, camera_frame: str) -> List[str]:
        """Return the frames that can give the up direction, in order of preference."""
        if self._gravity_frame:
            return [self._gravity_frame]
        # with several robots each has frames of its own, such as robot1/odom
        prefix = camera_frame.rpartition('/')[0]
        own = [f'{prefix}/{name}' for name in GRAVITY_FRAMES] if prefix else []
        return [*own, *GRAVITY_FRAMES]
