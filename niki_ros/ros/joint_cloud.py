"""The topic ``joints``: a sensor_msgs/PointCloud2 with one point per joint of every body."""

from __future__ import annotations

from array import array
from typing import List

from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29
import numpy as np
from sensor_msgs.msg import PointCloud2, PointField

POINT_DTYPE = np.dtype({
    'names': ['x', 'y', 'z', 'confidence', 'status', 'joint', 'body'],
    'formats': ['<f4'] * 4 + ['<u2'] * 3, 'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})
"""One point; x, y and z in metres in the frame of the image."""

_FIELDS = [PointField(
    name=name, offset=POINT_DTYPE.fields[name][1], count=1,
    datatype=PointField.FLOAT32 if POINT_DTYPE[name].kind == 'f' else PointField.UINT16)
    for name in POINT_DTYPE.names]


def cloud_from_bodies(bodies: List[Body], stamp, frame_id: str) -> PointCloud2:
    """Return the message; a leaf has confidence and status of the joint that carries it."""
    points = np.zeros((len(bodies), 29), POINT_DTYPE)
    for row, body in zip(points, bodies):
        row['x'], row['y'], row['z'] = np.asarray(body.joints_m).T
        row['confidence'] = np.asarray(body.confidence)[CARRIER_29]
        row['status'] = np.asarray(body.status)[CARRIER_29]
        row['joint'], row['body'] = np.arange(29), body.id & 0xFFFF
    message = PointCloud2(height=1, width=points.size, fields=_FIELDS, is_dense=True,
                          point_step=POINT_DTYPE.itemsize,
                          row_step=POINT_DTYPE.itemsize * points.size)
    message.header.stamp, message.header.frame_id = stamp, frame_id
    message.data = array('B', points.tobytes())
    return message
