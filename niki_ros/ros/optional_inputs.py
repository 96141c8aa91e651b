"""Inputs of an image from topics that need not exist: depth, detections and transforms."""

from typing import Any, Dict, Optional

from niki_ros.common.errors import InputError
from niki_ros.common.settings import PipelineConfig
from niki_ros.messages.depth import depth_from_image, DepthSynchronizer
from niki_ros.messages.detections import LatestDetections
from niki_ros.ros.camera_transforms import CameraTransforms
from niki_ros.ros.faults import FaultLog
from niki_ros.ros.qos import image_qos
from niki_ros.ros.settings import NodeConfig
from niki_ros.ros.subscriptions import Subscriptions
from niki_ros.ros.topics import depth_topic
from niki_ros.scene.image_rotation import AUTO
import numpy as np


class OptionalInputs:
    """The depth and detections of an image, and the ``transforms`` for ground and up direction."""

    def __init__(self, node, config: NodeConfig, pipeline_config: PipelineConfig,
                 faults: FaultLog):
        """Listen to TF if it is needed; the other topics wait for :meth:`subscribe`."""
        self._node, self._faults = node, faults
        self._depth = DepthSynchronizer()
        self._detections = LatestDetections(config.detection_classes,
                                            pipeline_config.observer.min_score)
        # detectors do not know a frame that only the parameter frame_id gives
        self._compare_frames = not config.frame_id
        self.transforms = CameraTransforms(
            node, config, pipeline_config.image_rotation == AUTO, faults.warn)

    def subscribe(self, subscriptions: Subscriptions) -> None:
        """Subscribe to depth, and to detections if vision_msgs is installed."""
        topic, kind = depth_topic(self._node)
        subscriptions.add(kind, topic, self._depth.put, image_qos)
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            return  # no node of this machine can publish them
        subscriptions.add(
            Detection2DArray, 'detections',
            lambda message: self._faults.warn_all(self._detections.put(message)), image_qos)

    def for_image(self, stamp_ns: int, camera_frame: str) -> Dict[str, Any]:
        """Return keyword arguments of ``Pipeline.process`` for the image with this stamp."""
        boxes_px, faults = self._detections.take(
            stamp_ns, camera_frame if self._compare_frames else '')
        self._faults.warn_all(faults)
        self.transforms.update(camera_frame)
        return {'boxes_px': boxes_px, 'ground': self.transforms.ground,
                'up': self.transforms.up, 'depth_m': lambda: self._depth_for(stamp_ns)}

    def _depth_for(self, stamp_ns: int) -> Optional[np.ndarray]:
        """Return the depth (h, w) of the image with this stamp, None without a usable one."""
        message = self._depth.match(stamp_ns)
        try:
            return None if message is None else depth_from_image(message)
        except InputError as error:
            self._faults.warn('depth_invalid', str(error))
            return None
