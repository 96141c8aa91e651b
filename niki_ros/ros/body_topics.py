"""Topics of one body in the convention ``niki``: joint states and robot description."""

from array import array
from typing import Optional

from niki_ros.robot_model import revolute_joints, urdf
import numpy as np
from sensor_msgs.msg import JointState
from std_msgs.msg import String


class BodyTopics:
    """
    The topics of one body, and the angles of its last message.

    :param make_publisher: ``(type, topic)`` → publisher.
    :param make_latched: the same, for topics whose last message late subscribers get.
    :param prefix: of every link and frame. :param label: id of the body in names.
    :ivar links: pairs (link, parent) of every link of the URDF but the root.
    """

    def __init__(self, make_publisher, make_latched, prefix: str, label: str):
        self._prefix, self._label = prefix, label
        topic = f'bodies/body_{label}'  # a name in a topic must not start with a digit
        self._joint_states = make_publisher(JointState, f'{topic}/joint_states')
        self._robot_description = make_latched(String, f'{topic}/robot_description')
        self.publishers = [self._joint_states, self._robot_description]
        self.links = urdf.links_and_parents(prefix, label)
        self._version = ''
        self._offsets_m = None
        self._angles_rad: Optional[np.ndarray] = None

    def set_offsets(self, offsets_m, version: str) -> None:
        """
        Publish the URDF of new bone lengths; joint states carry its ``version`` as ``frame_id``.

        :param offsets_m: (29, 3) as in :func:`niki_ros.robot_model.urdf.link_transforms`.
        """
        self._offsets_m, self._version = offsets_m, version
        self._robot_description.publish(String(data=urdf.urdf_from_offsets(
            offsets_m, self._prefix, self._label, version)))

    def publish(self, body, stamp) -> None:
        """Publish angles and rates of one image, continuous from message to message."""
        angles_rad = revolute_joints.revolute_from_rotmat(body.rotmat, self._angles_rad)
        rates_rad_s = revolute_joints.revolute_rates(angles_rad, body.angular_velocity_rad_s)
        message = JointState(name=list(urdf.REVOLUTE_NAMES))
        message.header.stamp, message.header.frame_id = stamp, self._version
        message.position = array('d', angles_rad.tobytes())
        message.velocity = array('d', rates_rad_s.tobytes())
        self._joint_states.publish(message)
        self._angles_rad = angles_rad

    def transforms(self):
        """Return translations (75, 3) and quaternions (75, 4) of ``links`` for the last angles."""
        return urdf.link_transforms(self._angles_rad, self._offsets_m)
