"""Arrays and cameras to ROS messages; :mod:`niki_ros.messages` has the way back."""

from __future__ import annotations

from array import array

from builtin_interfaces.msg import Time
from niki_ros.scene.camera import Camera
import numpy as np
from sensor_msgs.msg import CameraInfo, Image


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
    message.d = [float(value) for value in camera.distortion]
    message.k = [float(value) for value in k.ravel()]
    message.r = [float(value) for value in np.eye(3).ravel()]
    message.p = [float(value) for value in np.hstack([k, np.zeros((3, 1))]).ravel()]
    return message
