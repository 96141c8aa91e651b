"""A person by our own convention: 23 ball joints as 69 revolute ones, and a URDF that fits."""

from __future__ import annotations

from array import array

from niki_ros.robot_model import urdf
from sensor_msgs.msg import JointState
from std_msgs.msg import String


class BodyTopics:
    """The topics of one person, and what must be remembered of the last message."""

    def __init__(self, make_output, make_latched, prefix: str, label: str):
        """
        Create the publishers.

        :ivar links: every link of the URDF but the root, with its parent.
        :param make_output: ``(type, topic)`` → publisher of a stream.
        :param make_latched: the same for what late readers must get too.
        """
        self._prefix, self._label = prefix, label
        # a name in a topic must not start with a digit
        topic = f'bodies/body_{label}'
        self._joint_states = make_output(JointState, f'{topic}/joint_states')
        self._robot_description = make_latched(String, f'{topic}/robot_description')
        self.publishers = [self._joint_states, self._robot_description]
        self.links = urdf.links_and_parents(prefix, label)
        self._version = ''
        self._offsets_m = None
        self._angles = None

    def set_offsets(self, offsets_m, version: str):
        """
        Take the lengths of the person's bones, and publish the URDF that has them.

        :param version: name of the description, which the joint states say they belong to.
        """
        self._offsets_m, self._version = offsets_m, version
        self._robot_description.publish(String(data=urdf.urdf_from_offsets(
            offsets_m, self._prefix, self._label, version)))

    def publish(self, body, stamp):
        """Publish angles and rates of one image, continuous from message to message."""
        self._angles = urdf.revolute_from_rotmat(body.rotmat, self._angles)
        rates = urdf.revolute_rates(self._angles, body.angular_velocity_rad_s)
        message = JointState(name=list(urdf.REVOLUTE_NAMES))
        message.header.stamp, message.header.frame_id = stamp, self._version
        message.position = array('d', self._angles.tobytes())
        message.velocity = array('d', rates.tobytes())
        self._joint_states.publish(message)

    def transforms(self):
        """Return translations and quaternions of ``links``, those of the last angles."""
        return urdf.link_transforms(self._angles, self._offsets_m)
