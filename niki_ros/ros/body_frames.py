"""TF transforms of one body; the messages are made once, then only their numbers change."""

from typing import Iterable, List, Tuple

from geometry_msgs.msg import TransformStamped
import numpy as np
from std_msgs.msg import Header


class BodyFrames:
    """
    The transforms of one body in all conventions; every frame has one parent.

    :param roots: root frames at the same place: the first is a child of the frame of the image,
        the others are its children.
    :param links: for each convention the pairs (link, parent).
    """

    def __init__(self, roots: List[str], links: List[List[Tuple[str, str]]]):
        self._root = _messages([(roots[0], '')])
        self._other_roots = _messages([(name, roots[0]) for name in roots[1:]])
        self._links = [_messages(pairs) for pairs in links]

    def root(self, stamp, frame_id: str, root_m, quat_xyzw) -> List[TransformStamped]:
        """Return the transforms of the roots; ``root_m`` (3,) in metres in the image's frame."""
        self._root[0].header.frame_id = frame_id
        _fill(self._root, stamp, np.reshape(root_m, (1, 3)), np.reshape(quat_xyzw, (1, 4)))
        for message in self._other_roots:
            message.header.stamp = stamp  # the transform of a new message is the identity
        return self._root + self._other_roots

    def links(self, stamp, transforms: Iterable) -> List[TransformStamped]:
        """Return the transforms of the links, from translations and quaternions per convention."""
        for messages, (translations_m, quats_xyzw) in zip(self._links, transforms):
            _fill(messages, stamp, translations_m, quats_xyzw)
        return [message for messages in self._links for message in messages]


def _messages(pairs: List[Tuple[str, str]]) -> List[TransformStamped]:
    return [TransformStamped(header=Header(frame_id=parent), child_frame_id=child)
            for child, parent in pairs]


def _fill(messages: List[TransformStamped], stamp, translations_m: np.ndarray,
          quats_xyzw: np.ndarray) -> None:
    """Write stamp, translations (n, 3) and quaternions (n, 4) into n messages."""
    for message, xyz, xyzw in zip(messages, translations_m.tolist(), quats_xyzw.tolist()):
        message.header.stamp = stamp
        translation, rotation = message.transform.translation, message.transform.rotation
        translation.x, translation.y, translation.z = xyz
        rotation.x, rotation.y, rotation.z, rotation.w = xyzw
