"""
Topics of REP-155 (ROS4HRI) under /humans/bodies/, with the model of human_description.

As in hri_fullbody, the URDF is on the topic ``urdf``: ROS 2 has no parameter server for the
``/human_description_<id>`` of REP-155.
"""

from array import array
from typing import Any, List, Optional, Tuple

from niki_ros.body.body import Body
from niki_ros.robot_model.body_box import body_box_px
from niki_ros.robot_model.human_description import (
    beyond_limits,
    human_model,
    human_urdf,
    HumanModel,
    joint_names,
)
from niki_ros.ros.conversions import image_from_rgb
from niki_ros.scene.camera import Camera
import numpy as np
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

BODIES_TOPIC = '/humans/bodies'
TRACKED_TOPIC = f'{BODIES_TOPIC}/tracked'


def hri_message(name: str) -> Any:
    """Return a type of hri_msgs, a package that only REP-155 needs; older ones lack some types."""
    from hri_msgs import msg
    return getattr(msg, name)


class HumanTopics:
    """
    The topics of one body, and the angles of its last message.

    :param make_publisher: ``(type, topic)`` → publisher.
    :param make_latched: the same, for topics whose last message late subscribers get.
    :ivar links: pairs (link, parent) of every link of the URDF but the root.
    """

    def __init__(self, make_publisher, make_latched, label: str):
        self._label = label
        self._joint_states = make_publisher(JointState, f'{BODIES_TOPIC}/{label}/joint_states')
        self._urdf = make_latched(String, f'{BODIES_TOPIC}/{label}/urdf')
        self._crop = CropTopics(make_publisher, label)
        self.publishers = [self._joint_states, self._urdf, *self._crop.publishers]
        self._names = joint_names(label)
        self.links: List[Tuple[str, str]] = []
        self._model: HumanModel
        self._version = ''
        self._angles_rad: Optional[np.ndarray] = None

    def set_offsets(self, offsets_m, version: str) -> None:
        """Publish the URDF of new bone lengths (29, 3), metres; ``version`` is its name."""
        self._model, self._version = human_model(offsets_m), version
        self.links = [(f'{link.name}_{self._label}', f'{link.parent}_{self._label}')
                      for link in self._model.links]
        self._urdf.publish(String(data=human_urdf(self._model, self._label, version)))

    def publish(self, body: Body, stamp) -> None:
        """Publish the angles of one image."""
        angles_rad = self._model.angles(body.rotmat, self._angles_rad)
        message = JointState(name=self._names)
        message.header.stamp, message.header.frame_id = stamp, self._version
        message.position = array('d', angles_rad.tobytes())
        self._joint_states.publish(message)
        self._angles_rad = angles_rad

    def publish_crop(self, body: Body, stamp, frame_id: str, image_rgb: np.ndarray,
                     camera: Camera) -> None:
        """Publish the part of the image with the body, if there are subscribers."""
        if any(one.get_subscription_count() > 0 for one in self._crop.publishers):
            self._crop.publish(body, stamp, frame_id, image_rgb, camera)

    def transforms(self):
        """Return translations (n, 3) and quaternions (n, 4) of ``links`` for the last angles."""
        return self._model.transforms(self._angles_rad)

    def beyond_limits(self) -> List[str]:
        """Return the last angles outside of the limits of human_description, as texts."""
        return [f'{name}_{self._label} {angle:.2f} rad'
                for name, angle in beyond_limits(self._angles_rad).items()]


class CropTopics:
    """
    The topics ``roi`` and ``cropped`` of one body.

    The region is normalized, 0 … 1, as in hri_msgs since 0.8 (2022) and in libhri; the text of
    REP-155 still names sensor_msgs/RegionOfInterest.
    """

    def __init__(self, make_publisher, label: str):
        self._cropped = make_publisher(Image, f'{BODIES_TOPIC}/{label}/cropped')
        self._roi: Optional[Any] = None
        try:
            self._roi_type = hri_message('NormalizedRegionOfInterest2D')
            self._roi = make_publisher(self._roi_type, f'{BODIES_TOPIC}/{label}/roi')
        except (ImportError, AttributeError):
            pass  # TrackedIds reports a missing hri_msgs; older ones have no such type
        self.publishers = [self._cropped] + ([self._roi] if self._roi else [])

    def publish(self, body: Body, stamp, frame_id: str, image_rgb: np.ndarray,
                camera: Camera) -> None:
        """Publish both topics, unless the body is outside of the image."""
        box_px = body_box_px(body, camera)
        if box_px is None:
            return
        if self._roi is not None:
            left, top, right, bottom = (float(value) for value in box_px / (
                camera.width, camera.height, camera.width, camera.height))
            message = self._roi_type(xmin=left, ymin=top, xmax=right, ymax=bottom,
                                     c=float(np.mean(body.confidence)))
            message.header.stamp, message.header.frame_id = stamp, frame_id
            self._roi.publish(message)
        if self._cropped.get_subscription_count() > 0:
            x0, y0, x1, y1 = box_px
            image = image_from_rgb(np.ascontiguousarray(image_rgb[y0:y1, x0:x1]), 0, frame_id)
            image.header.stamp = stamp
            self._cropped.publish(image)


class TrackedIds:
    """
    The topic ``tracked`` with the ids of all published bodies.

    :ivar topic: its full name, '' without hri_msgs. :ivar missing: text of that fault, else ''.
    """

    def __init__(self, make_publisher):
        self.missing = self.topic = ''
        self.publishers: list = []
        try:
            self._type = hri_message('IdsList')
        except ImportError as error:
            self.missing = (f'{TRACKED_TOPIC} and {BODIES_TOPIC}/<id>/roi are not published: '
                            f'hri_msgs is not installed ({error})')
            return
        self.publishers = [make_publisher(self._type, TRACKED_TOPIC)]
        self.topic = self.publishers[0].topic_name

    def publish(self, labels: List[str], stamp, frame_id: str) -> None:
        """Publish the ids of the bodies of one image."""
        for publisher in self.publishers:
            message = self._type(ids=labels)
            message.header.stamp, message.header.frame_id = stamp, frame_id
            publisher.publish(message)
