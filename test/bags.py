"""Bags that tests write: a moving square seen by a camera, with whatever else is asked for."""

from pathlib import Path

from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
import numpy as np
import pytest
from scenes import observe_body, T_POSE

pytest.importorskip('rosbags', reason='rosbags is not installed: pip install rosbags')

from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402, I100
from rosbags.typesys import get_typestore, Stores  # noqa: E402

T0 = 1_700_000_000_000_000_000
STEP_NS = 40_000_000
FRAME_ID = 'camera_optical_frame'
CAMERA = Camera(np.array([[300.0, 0, 165], [0, 305, 118], [0, 0, 1]]), 320, 240,
                np.array([0.05, -0.02, 0.001, 0.0, 0.0]))
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


def picture(index: int, width=320, height=240) -> np.ndarray:
    """Return a picture of noise that no other index has."""
    rng = np.random.default_rng(index)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def header(stamp_ns: int):
    time = TYPES['builtin_interfaces/msg/Time'](stamp_ns // 10**9, stamp_ns % 10**9)
    return TYPES['std_msgs/msg/Header'](time, FRAME_ID)


def image(rgb, stamp_ns: int, encoding='rgb8', **fields):
    """Return a sensor_msgs/Image; ``fields`` replace what is right by what is wrong."""
    pixels = np.ascontiguousarray(rgb[..., ::-1] if encoding == 'bgr8' else rgb)
    values = {'height': rgb.shape[0], 'width': rgb.shape[1], 'encoding': encoding,
              'is_bigendian': 0, 'step': 3 * rgb.shape[1], 'data': pixels.ravel(), **fields}
    return TYPES['sensor_msgs/msg/Image'](header(stamp_ns), **values)


def jpeg(rgb, stamp_ns: int):
    return TYPES['sensor_msgs/msg/CompressedImage'](
        header(stamp_ns), 'rgb8; jpeg compressed bgr8',
        np.frombuffer(jpeg_from_rgb(rgb), np.uint8))


def info(stamp_ns: int, camera=CAMERA):
    """Return a sensor_msgs/CameraInfo; ``camera`` None = of a driver without calibration."""
    k = np.zeros(9) if camera is None else camera.matrix.ravel()
    d = np.zeros(5) if camera is None else camera.distortion
    region = TYPES['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return TYPES['sensor_msgs/msg/CameraInfo'](
        header(stamp_ns), 240, 320, 'plumb_bob', d, k, np.eye(3).ravel(), np.zeros(12), 0, 0,
        region)


def write_bag(path: Path, messages, storage='mcap', start_ns=T0) -> Path:
    """Write (topic, message or bytes of an Image) in that order; return the folder."""
    plugin = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}[storage]
    connections = {}
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for number, (topic, message) in enumerate(messages):
            raw = isinstance(message, bytes)
            kind = 'sensor_msgs/msg/Image' if raw else message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            data = message if raw else STORE.serialize_cdr(message, kind)
            writer.write(connections[topic], start_ns + number * STEP_NS // 2, data)
    return path


def camera_messages(count: int, encoding='rgb8', topic='/camera/image_raw'):
    """Return images, each with its camera_info before it."""
    return [one for index in range(count) for one in (
        ('/camera/camera_info', info(T0 + index * STEP_NS)),
        (topic, image(picture(index), T0 + index * STEP_NS, encoding)))]


class PixelObserver:
    """A front end whose answer depends on every pixel, on the camera, and on what came before."""

    def __init__(self):
        self._sum = 0
        self.faults = {}
        self.waiting = frozenset()

    def observe(self, image_rgb, camera, stamp_ns, boxes_px=None):
        weights = np.arange(1, image_rgb.size + 1, dtype=np.uint64)
        self._sum = (self._sum + int((image_rgb.ravel() * weights).sum())) % 1_000_003
        share = self._sum / 1_000_003
        return [observe_body(T_POSE, np.array([share, 0.1, 3.0 + share]), camera)]

    def reset(self):
        self._sum = 0

    def close(self):
        pass

    def describe(self):
        return {'observer': 'pixels'}


def pixel_pipeline(config=None) -> Pipeline:
    return Pipeline(PixelObserver(), load_solver('analytic'), config)
