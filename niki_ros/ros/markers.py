"""Skeletons for rviz and Foxglove: bones as lines, joints as spheres, coloured by confidence."""

from __future__ import annotations

from typing import Dict, List

from geometry_msgs.msg import Point
from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.images.overlay import confidence_rgb
import numpy as np
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

_LIFE_S = 1
_BONES = [joint for one in range(1, 29) for joint in (PARENTS_29[one], one)]


class SkeletonMarkers:
    """Makes the messages of one topic, and remembers who has been drawn."""

    def __init__(self):
        """Nobody is drawn yet."""
        self._drawn: Dict[int, str] = {}

    def of(self, bodies: List[Body], stamp, frame_id: str) -> MarkerArray:
        """Return the skeletons, and the removal of those who have left."""
        message = MarkerArray()
        for body in bodies:
            message.markers += _body_markers(body, stamp, frame_id)
        present = {body.id for body in bodies}
        for gone in [body_id for body_id in self._drawn if body_id not in present]:
            for namespace in ('skeleton', 'joints'):
                marker = Marker(ns=namespace, id=gone, action=Marker.DELETE)
                marker.header.stamp, marker.header.frame_id = stamp, self._drawn[gone]
                message.markers.append(marker)
            del self._drawn[gone]
        self._drawn.update(dict.fromkeys(present, frame_id))
        return message


def _body_markers(body, stamp, frame_id) -> List[Marker]:
    """Return bones and joints of one person."""
    points = [Point(x=float(x), y=float(y), z=float(z)) for x, y, z in body.joints_m]
    colours = []
    for value in np.asarray(body.confidence)[CARRIER_29]:
        red, green, blue = confidence_rgb(float(value))
        colours.append(ColorRGBA(r=red / 255, g=green / 255, b=blue / 255, a=1.0))
    lines = _marker(body.id, 'skeleton', Marker.LINE_LIST, 0.015, stamp, frame_id)
    lines.points = [points[joint] for joint in _BONES]
    lines.colors = [colours[joint] for joint in _BONES]
    spheres = _marker(body.id, 'joints', Marker.SPHERE_LIST, 0.04, stamp, frame_id)
    spheres.points, spheres.colors = points, colours
    return [lines, spheres]


def _marker(body_id, namespace, kind, size_m, stamp, frame_id) -> Marker:
    marker = Marker(ns=namespace, id=body_id, type=kind, action=Marker.ADD)
    marker.header.stamp, marker.header.frame_id = stamp, frame_id
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = size_m
    marker.lifetime.sec = _LIFE_S
    return marker
