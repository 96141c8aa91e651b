"""The transforms of one person: the messages are made once, then only their numbers change."""

from __future__ import annotations

from typing import Iterable, List, Tuple

from geometry_msgs.msg import TransformStamped
import numpy as np

_HERE_M, _UNTURNED_XYZW = np.zeros((1, 3)), np.array([[0.0, 0.0, 0.0, 1.0]])


class BodyFrames:
    """
    Every frame of a person has one parent, whatever conventions are published together.

    :param roots: frames of the body itself: the first hangs from the image's frame, and another,
        at the same place, from the first.
    :param links: of every convention, each link with its parent.
    """

    def __init__(self, roots: List[str], links: List[List[Tuple[str, str]]]):
        """Make the messages."""
        self._root = _messages([(roots[0], '')])
        self._twins = _messages([(twin, roots[0]) for twin in roots[1:]])
        self._links = [_messages(one) for one in links]

    def root(self, stamp, frame_id: str, at_m, quat_xyzw) -> List[TransformStamped]:
        """Return where the body is."""
        self._root[0].header.frame_id = frame_id
        _set(self._root, stamp, np.reshape(at_m, (1, 3)), np.reshape(quat_xyzw, (1, 4)))
        for twin in self._twins:
            _set([twin], stamp, _HERE_M, _UNTURNED_XYZW)
        return self._root + self._twins

    def links(self, stamp, transforms: Iterable) -> List[TransformStamped]:
        """Return the links, given translations and quaternions of each convention."""
        for messages, (xyz_m, quats_xyzw) in zip(self._links, transforms):
            _set(messages, stamp, xyz_m, quats_xyzw)
        return [message for messages in self._links for message in messages]


def _messages(links: List[Tuple[str, str]]) -> List[TransformStamped]:
    messages = [TransformStamped(child_frame_id=child) for child, _ in links]
    for message, (_, parent) in zip(messages, links):
        message.header.frame_id = parent
    return messages


def _set(messages: List[TransformStamped], stamp, xyz_m, quats_xyzw):
    """Put stamp and numbers into the messages."""
    for message, xyz, quat in zip(messages, xyz_m.tolist(), quats_xyzw.tolist()):
        message.header.stamp = stamp
        place, turn = message.transform.translation, message.transform.rotation
        place.x, place.y, place.z = xyz
        turn.x, turn.y, turn.z, turn.w = quat
