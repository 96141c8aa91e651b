"""ROS messages of arrays, cameras and bodies; :mod:`niki_ros.messages` decodes them."""

from array import array
from typing import List

from builtin_interfaces.msg import Time
from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29
from niki_ros.scene.camera import Camera
import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

POINT_DTYPE = np.dtype({
    'names': ['x', 'y', 'z', 'confidence', 'status', 'joint', 'body'],
    'formats': ['<f4'] * 4 + ['<u2'] * 3, 'offsets': [0, 4, 8, 12, 16, 18, 20], 'itemsize': 24})
"""One point; x, y and z in metres in the frame of the image."""

_FIELDS = [PointField(
    name=name, offset=POINT_DTYPE.fields[name][1], count=1,
    datatype=PointField.FLOAT32 if POINT_DTYPE[name].kind == 'f' else PointField.UINT16)
    for name in POINT_DTYPE.names]


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return integer nanoseconds as builtin_interfaces/Time."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def image_from_rgb(image_rgb: np.ndarray, stamp_ns: int, frame_id: str) -> Image:
    """Return an rgb8 message of an (H, W, 3) uint8 image."""
    message = Image(height=image_rgb.shape[0], width=image_rgb.shape[1], encoding='rgb8',
                    step=3 * image_rgb.shape[1])
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame_id
    # any other type is checked element by element, which takes seconds
    message.data = array('B', image_rgb.tobytes())
    return message


def info_from_camera(camera: Camera, stamp_ns: int, frame_id: str) -> CameraInfo:
    """Return the CameraInfo of an unrectified camera."""
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model=camera.model)
    message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), frame_id
    k = camera.matrix
    message.d, message.k = camera.distortion.tolist(), k.ravel().tolist()
    message.r = np.eye(3).ravel().tolist()
    message.p = np.hstack([k, np.zeros((3, 1))]).ravel().tolist()
    return message


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
