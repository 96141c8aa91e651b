"""
REP-155 (ROS4HRI): people under /humans/bodies/, with the joints and frames of human_description.

The URDF goes to the topic ``urdf`` beside the joint states, as the package hri_fullbody does it:
ROS 2 has no parameter server, on which REP-155 would have ``/human_description_<id>``.
"""

from __future__ import annotations

from array import array
from typing import Any, List, Optional, Tuple

from niki_ros.robot_model.body_box import body_box_px
from niki_ros.robot_model.human_description import (
    beyond_limits,
    human_model,
    human_urdf,
    HumanModel,
    joint_names,
)
from niki_ros.ros.conversions import image_from_rgb
import numpy as np
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

TOPIC = '/humans/bodies'
TRACKED = f'{TOPIC}/tracked'


def hri_message(name: str) -> Any:
    """Return a type of hri_msgs, imported late: nobody else needs it; ImportError without it."""
    from hri_msgs import msg
    return getattr(msg, name)


class HumanTopics:
    """The topics of one person, and what must be remembered of the last message."""

    def __init__(self, make_output, make_latched, label: str):
        """
        Create the publishers.

        :param make_output: ``(type, topic)`` → publisher of a stream.
        :param make_latched: the same for what late readers must get too.
        """
        self._label = label
        self._joint_states = make_output(JointState, f'{TOPIC}/{label}/joint_states')
        self._urdf = make_latched(String, f'{TOPIC}/{label}/urdf')
        self._crop = CropTopics(make_output, label)
        self.publishers = [self._joint_states, self._urdf, *self._crop.publishers]
        self._names = joint_names(label)
        self.links: List[Tuple[str, str]] = []
        self._model: HumanModel
        self._version = ''
        self._angles = None

    def set_offsets(self, offsets_m, version: str):
        """Take the lengths of the person's bones, and publish the URDF that has them."""
        self._model, self._version = human_model(offsets_m), version
        self.links = [(f'{link.name}_{self._label}', f'{link.parent}_{self._label}')
                      for link in self._model.links]
        self._urdf.publish(String(data=human_urdf(self._model, self._label, version)))

    def publish(self, body, stamp):
        """Publish the angles of one image."""
        self._angles = self._model.angles(body.rotmat, self._angles)
        message = JointState(name=self._names)
        message.header.stamp, message.header.frame_id = stamp, self._version
        message.position = array('d', self._angles.tobytes())
        self._joint_states.publish(message)

    def publish_crop(self, body, stamp, frame_id: str, image_rgb, camera):
        """Publish the part of the image that shows the person, where somebody wants it."""
        if self._crop.wanted():
            self._crop.publish(body, stamp, frame_id, image_rgb, camera)

    def transforms(self):
        """Return translations and quaternions of ``links``, those of the last angles."""
        return self._model.transforms(self._angles)

    def beyond_limits(self) -> List[str]:
        """Return the last angles that human_description does not allow, in words."""
        return [f'{name}_{self._label} {angle:.2f} rad'
                for name, angle in beyond_limits(self._angles).items()]


class CropTopics:
    """
    Where in the image a person is, and that part of it.

    The place is normalised, 0 … 1, as hri_msgs has it since 0.8 (2022) and libhri reads it; the
    text of REP-155 still names sensor_msgs/RegionOfInterest.
    """

    def __init__(self, make_output, label: str):
        """Create the publishers; without hri_msgs there is no place."""
        self._cropped = make_output(Image, f'{TOPIC}/{label}/cropped')
        self._roi: Optional[Any] = None
        try:
            self._kind = hri_message('NormalizedRegionOfInterest2D')
            self._roi = make_output(self._kind, f'{TOPIC}/{label}/roi')
        except (ImportError, AttributeError):
            pass  # TrackedIds says it, and an older hri_msgs has another type
        self.publishers = [self._cropped] + ([self._roi] if self._roi else [])

    def wanted(self) -> bool:
        """Whether anybody listens."""
        return any(one.get_subscription_count() > 0 for one in self.publishers)

    def publish(self, body, stamp, frame_id: str, image_rgb, camera):
        """Publish both; nothing where the person is outside of the image."""
        box = body_box_px(body, camera)
        if box is None:
            return
        if self._roi is not None:
            left, top, right, bottom = (float(value) for value in box / (
                camera.width, camera.height, camera.width, camera.height))
            message = self._kind(xmin=left, ymin=top, xmax=right, ymax=bottom,
                                 c=float(np.mean(body.confidence)))
            message.header.stamp, message.header.frame_id = stamp, frame_id
            self._roi.publish(message)
        if self._cropped.get_subscription_count() > 0:
            x0, y0, x1, y1 = box
            image = image_from_rgb(np.ascontiguousarray(image_rgb[y0:y1, x0:x1]), 0, frame_id)
            image.header.stamp = stamp
            self._cropped.publish(image)


class TrackedIds:
    """
    The list of everybody who is there, where hri_msgs is installed.

    :ivar topic: full name, after remaps; '' without hri_msgs.

    :ivar missing: why there is no such list, None where there is one.
    """

    def __init__(self, make_output):
        """Create the publisher."""
        self.missing = self._publisher = None
        self.topic = ''
        try:
            self._kind = hri_message('IdsList')
        except ImportError as error:
            self.missing = (f'{TRACKED} and {TOPIC}/<id>/roi are not published: hri_msgs is not '
                            f'installed ({error})')
            return
        self._publisher = make_output(self._kind, TRACKED)
        self.topic = self._publisher.topic_name

    @property
    def publishers(self) -> list:
        """Return what is to be destroyed."""
        return [] if self._publisher is None else [self._publisher]

    def publish(self, labels: List[str], stamp, frame_id: str):
        """Publish the ids of the bodies of one image."""
        if self._publisher is not None:
            message = self._kind(ids=labels)
            message.header.stamp, message.header.frame_id = stamp, frame_id
            self._publisher.publish(message)
