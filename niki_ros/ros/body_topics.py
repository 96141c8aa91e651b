"""A person by our own convention: 23 ball joints as 69 revolute ones, and a URDF that fits."""

from __future__ import annotations

from array import array

from niki_ros.core import urdf
from sensor_msgs.msg import JointState
from std_msgs.msg import String


class BodyTopics:
    """The topics of one person, and what must be remembered of the last message."""

    def __init__(self, make_output, make_latched, prefix: str, label: str):
        """
        Create the publishers.

        :param make_output: ``(type, topic)`` → publisher of a stream.
        :param make_latched: the same for what late readers must get too.
        """
        self._prefix, self._label = prefix, label
        # a name in a topic must not start with a digit
        topic = f'bodies/body_{label}'
        self._joint_states = make_output(JointState, f'{topic}/joint_states')
        self._robot_description = make_latched(String, f'{topic}/robot_description')
        self.publishers = [self._joint_states, self._robot_description]
        self._names = urdf.link_names(prefix, label)
        self._offsets_m = None
        self._angles = None
        self._body = None

    def set_offsets(self, offsets_m):
        """Take the lengths of the person's bones, and publish the URDF that has them."""
        self._offsets_m = offsets_m
        self._robot_description.publish(String(data=urdf.urdf_from_offsets(
            offsets_m, self._prefix, self._label)))

    def publish(self, body, stamp):
        """Publish angles and rates of one image, continuous from message to message."""
        self._body = body
        self._angles = urdf.revolute_from_rotmat(body.rotmat, self._angles)
        rates = urdf.revolute_rates(self._angles, body.angular_velocity_rad_s)
        message = JointState(name=list(urdf.REVOLUTE_NAMES))
        message.header.stamp = stamp
        message.position = array('d', self._angles.tobytes())
        message.velocity = array('d', rates.tobytes())
        self._joint_states.publish(message)

    def frames(self):
        """Yield parent, child, translation and quaternion of every link of the last body."""
        xyz, quats = urdf.link_transforms(self._body.rotmat, self._offsets_m)
        for index, parent in enumerate(urdf.link_parents()[1:]):
            yield self._names[parent], self._names[index + 1], xyz[index], quats[index]
