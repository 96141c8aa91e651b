"""
REP-155 (ROS4HRI): people under /humans/bodies/, with the joints and frames of human_description.

The URDF goes to the topic ``urdf`` beside the joint states, as the package hri_fullbody does it:
ROS 2 has no parameter server, on which REP-155 would have ``/human_description_<id>``.
"""

from __future__ import annotations

from array import array
from typing import List, Tuple

from niki_ros.core.human_description import (
    beyond_limits,
    human_model,
    human_urdf,
    HumanModel,
    joint_names,
)
from sensor_msgs.msg import JointState
from std_msgs.msg import String

TOPIC = '/humans/bodies'


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
        self.publishers = [self._joint_states, self._urdf]
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

    def transforms(self):
        """Return translations and quaternions of ``links``, those of the last angles."""
        return self._model.transforms(self._angles)

    def beyond_limits(self) -> List[str]:
        """Return the last angles that human_description does not allow, in words."""
        return [f'{name}_{self._label} {angle:.2f} rad'
                for name, angle in beyond_limits(self._angles).items()]


class TrackedIds:
    """
    The list of everybody who is there, where hri_msgs is installed.

    :ivar missing: why there is no such list, None where there is one.
    """

    def __init__(self, make_output):
        """Import the message late: nobody else needs it."""
        self.missing = self._publisher = None
        try:
            from hri_msgs.msg import IdsList
        except ImportError as error:
            self.missing = (f'{TOPIC}/tracked is not published: hri_msgs is not installed '
                            f'({error})')
            return
        self._kind = IdsList
        self._publisher = make_output(IdsList, f'{TOPIC}/tracked')

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
