"""Skeletons for rviz and Foxglove: bones as lines, joints as spheres, coloured by confidence."""

from typing import Dict, List

from geometry_msgs.msg import Point
from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.images.overlay import confidence_rgb
import numpy as np
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

_LIFETIME_S = 1
_BONE_WIDTH_M, _JOINT_DIAMETER_M = 0.015, 0.04
# the ends of every bone, one after the other
_BONE_ENDS = [end for joint in range(1, 29) for end in (PARENTS_29[joint], joint)]


class SkeletonMarkers:
    """Makes the messages of the topic ``markers``; they delete the markers of absent people."""

    def __init__(self):
        self._drawn: Dict[int, str] = {}  # body id → frame of its markers

    def message(self, bodies: List[Body], stamp, frame_id: str) -> MarkerArray:
        """Return the markers of the bodies, and the deletion of all others."""
        message = MarkerArray()
        for body in bodies:
            message.markers += _body_markers(body, stamp, frame_id)
        present = {body.id for body in bodies}
        for absent in [body_id for body_id in self._drawn if body_id not in present]:
            for namespace in ('skeleton', 'joints'):
                marker = Marker(ns=namespace, id=absent, action=Marker.DELETE)
                marker.header.stamp, marker.header.frame_id = stamp, self._drawn[absent]
                message.markers.append(marker)
            del self._drawn[absent]
        self._drawn.update(dict.fromkeys(present, frame_id))
        return message


def _body_markers(body: Body, stamp, frame_id: str) -> List[Marker]:
    points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in body.joints_m]
    colours = []
    for value in np.asarray(body.confidence)[CARRIER_29]:
        red, green, blue = confidence_rgb(float(value))
        colours.append(ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=1.0))
    lines = _marker(body.id, 'skeleton', Marker.LINE_LIST, _BONE_WIDTH_M, stamp, frame_id)
    lines.points = [points[joint] for joint in _BONE_ENDS]
    lines.colors = [colours[joint] for joint in _BONE_ENDS]
    spheres = _marker(body.id, 'joints', Marker.SPHERE_LIST, _JOINT_DIAMETER_M, stamp, frame_id)
    spheres.points, spheres.colors = points, colours
    return [lines, spheres]


def _marker(body_id: int, namespace: str, shape: int, size_m: float, stamp,
            frame_id: str) -> Marker:
    marker = Marker(ns=namespace, id=body_id, type=shape, action=Marker.ADD)
    marker.header.stamp, marker.header.frame_id = stamp, frame_id
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    marker.lifetime.sec = _LIFETIME_S
    return marker
